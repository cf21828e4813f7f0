"""``finetune``: a saved IR-net is trained on rows of a target domain, and saved as a head of its own."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.session import onnx_runtime
from matlake.errors import HeadError, Hint, TrainingError
from matlake.metrics import measure
from matlake.progress import SILENT, Progress
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.finetuning.result import FinetuneResult
from matlake.regress.finetuning.source_head import read_saved_network
from matlake.regress.finetuning.tuning import CAL_INPUTS, Labelled, Tuning, check_tuning, tune
from matlake.regress.heads.baselines import ComparedHead, compare_with_baselines, fractions_baseline, more_baselines
from matlake.regress.heads.card import FineTuning, Forgetting, HeadCard, ModelRecord, TrainingRows
from matlake.regress.heads.measure import learning_curve, made_now, measure_fitted
from matlake.regress.heads.past import Past, SourceRows, find_past, target_of
from matlake.regress.heads.plots import draw_plots
from matlake.regress.heads.storage import check_new_name, find_encoders, save_head
from matlake.regress.heads.suggestions import what_to_try
from matlake.regress.heads.target_settings import TargetSettings
from matlake.regress.regressors import Fitted, LabelledRows
from matlake.regress.regressors.ir_net import IR_NETS, ir_net_model
from matlake.regress.regressors.training_settings import require_torch
from matlake.regress.splits import HeldOut, hold_out_groups
from matlake.regress.splits.split import MIN_COMPOSITIONS, find_trouble
from matlake.regress.targets.bounds import check_labels
from matlake.regress.uncertainty.out_of_fold import predict_out_of_fold
from matlake.store.lake import Lake

_SPLIT: Final = "random"


@dataclass(frozen=True)
class FinetuneRequest:
    """What to fine-tune.

    Attributes:
        head: Name of an IR-net's head.
        target_rows: SQL predicate over ``materials`` that selects the rows of the target domain.
        method: ``plain``, ``cal`` or ``cal-inputs``.
        name: Name of the new head; by default that of the old one and the method.
        seed: Decides which rows are held out, their order, and what is drawn.
    """

    head: str
    target_rows: str
    method: str = "plain"
    name: str | None = None
    seed: int = 0


def finetune(lake: Lake, request: FinetuneRequest, progress: Progress = SILENT) -> FinetuneResult:
    """Train a saved IR-net on, measure it before and after, calibrate its intervals, and save it as a new head.

    A fifth of the target's compositions is held out for the test, drawn from those that the head was not trained on.

    Args:
        lake: The lake that holds the head.
        request: What to do.
        progress: Receives what is being done.

    Raises:
        HeadError: No such head, one that is not an IR-net, or a name that cannot be given to the new one.
        TrainingError: Unknown method; too few rows are selected, or the head was trained on nearly all of them.
        QueryError: ``target_rows`` is not a valid predicate over ``materials``.
        EncoderError: An encoder that the head was trained on is not there.
        MissingExtraError: ONNX Runtime or torch is not installed.
    """
    onnx_runtime()
    check_tuning(request.method)
    require_torch()
    saved = read_saved_network(lake, request.head)
    name = request.name or f"{request.head}-{request.method}"
    _check_names(lake, name, request.head)
    find_encoders(lake, saved.card)
    progress.note("reading the rows of the target domain, and those that the head was trained on")
    matrix = _read_target(lake, saved.card, request.target_rows)
    past = find_past(lake, saved.card)
    held_out = _hold_out(matrix, past, request)
    tuning, seed = Tuning(request.method, dropout=saved.dropout), request.seed
    own = _labelled(past.rows) if past.rows and request.method == CAL_INPUTS else None

    def fit(labelled: LabelledRows) -> Fitted:
        return tune(saved.fitted, tuning, (labelled.x, labelled.y), own, seed).kept

    card, rows, test_rows = saved.card, held_out.train, held_out.test
    labelled = matrix.labelled(rows)
    check_labels(labelled.y, card.bounds, card.target)
    progress.note(f"fine-tuning {card.name} on {len(rows):,} rows")
    fitted = fit(labelled)
    progress.note("calibrating intervals on held-out folds of these rows")
    fractions = matrix.fractions[rows]
    measured = measure_fitted(
        matrix,
        held_out,
        fitted,
        card.features,
        lambda: predict_out_of_fold(fit, labelled, fractions, seed, slow=True),
        seed,
    )
    progress.note("comparing with fewer rows and with element fractions")
    before = measure(matrix.y[test_rows], saved.fitted.predict(matrix.x[test_rows]))
    change = FineTuning(
        before, _forgetting(saved.fitted, fitted, past.rows, matrix.groups[rows]) if past.rows else None
    )
    from_scratch = ir_net_model(IR_NETS[card.model.kind], saved.widths)
    parameters = {
        "widths": list(saved.widths),
        **tuning.document(),
        "from_head": card.name,
        "from_sha256": card.sha256,
        "target_rows": request.target_rows,
    }
    on_fractions = fractions_baseline(from_scratch, matrix, held_out, seed, card.space)
    new = HeadCard(
        name=name,
        target=card.target,
        unit=card.unit,
        features=card.features,
        training=TrainingRows(matrix.sql, _SPLIT, held_out.description, len(held_out.dropped), seed, matrix.tables),
        model=ModelRecord(card.model.kind, parameters, None, measured.parity),
        evaluation=measured.evaluation,
        fractions_baseline=measure(measured.test.y, on_fractions),
        random_evaluation=None,
        learning_curve=learning_curve(fit, matrix, held_out, seed),
        fine_tuning=change,
        calibration=measured.calibration,
        domain=measured.domain,
        provenance=made_now(),
        difference_intervals=compare_with_baselines(measured.test, on_fractions, float(labelled.y.mean()), seed),
        bounds=card.bounds,
        transform=card.transform,
        scale=TargetSettings(card.space, None).record(target_of(lake, card), measured.test),
        is_expression=card.is_expression,
    )
    compared = ComparedHead("" if card.is_expression else card.target, card.features, card.model.kind, measured.test)
    new = replace(new, more_baselines=more_baselines(lake, compared, matrix, held_out, card.space, seed))
    new = replace(new, suggestions=what_to_try(lake, new))
    plots = draw_plots(new, measured.test, fitted.regressor, progress)
    new = save_head(lake, new, measured.content, measured.reference, plots)
    return FinetuneResult(new, change, matrix.missing, measured.test)


def _forgetting(before: Fitted, after: Fitted, own: SourceRows, trained: NDArray[np.str_]) -> Forgetting | None:
    """Measure both heads on the old one's test rows, but for compositions that are now trained on."""
    rows = own.held_out.test[~np.isin(own.matrix.groups[own.held_out.test], trained)]
    if not len(rows):
        return None
    x, y = own.matrix.x[rows], own.matrix.y[rows]
    return Forgetting(len(rows), measure(y, before.predict(x)), measure(y, after.predict(x)))


def _check_names(lake: Lake, name: str, head: str) -> None:
    check_new_name(lake, name)
    if name == head:
        raise HeadError(f"the new head would take the place of {head}", "give it another name")


def _read_target(lake: Lake, card: HeadCard, where: str) -> Matrix:
    try:
        return read_matrix(lake, target_of(lake, card), card.features, where=where)
    except TrainingError as error:
        raise TrainingError(
            f"target rows {where!r}: {error}",
            Hint(f"check the predicate; {error.hint}", cli=f"check the predicate; {error.cli_hint}"),
        ) from error


def _hold_out(matrix: Matrix, past: Past, request: FinetuneRequest) -> HeldOut:
    """Hold out a fifth of the compositions that the head was not trained on; train on all other rows."""
    new = np.flatnonzero(~np.isin(matrix.groups, sorted(past.compositions)))
    compositions = len(np.unique(matrix.groups[new]))
    if compositions < MIN_COMPOSITIONS:
        selected = len(np.unique(matrix.groups))
        raise TrainingError(
            f"{request.head} was trained on all but {compositions} of the {selected:,} compositions that "
            f"{request.target_rows!r} selects; {MIN_COMPOSITIONS} new ones are needed, of which some are tested",
            "select other rows, or train the head without these first",
        )
    _, drawn = hold_out_groups(matrix.groups[new], request.seed)
    test = new[drawn]
    train = np.setdiff1d(np.arange(len(matrix.y)), test)
    known = len(matrix.y) - len(new)
    description = (
        f"tests {len(test):,} of {len(matrix.y):,} target rows, a fifth of the compositions that {request.head} was "
        f"not trained on, and trains on {len(train):,}"
        + (f"; {known:,} of these it was trained on before" if known else "")
    )
    held = HeldOut("target", train, test, np.empty(0, dtype=np.intp), description)
    trouble = find_trouble(matrix, held)
    if trouble is not None:
        raise trouble
    return held


def _labelled(rows: SourceRows) -> Labelled:
    trained = rows.held_out.train
    return rows.matrix.x[trained], rows.matrix.y[trained]
