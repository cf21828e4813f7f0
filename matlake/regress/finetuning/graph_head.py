"""Heads that are crystal networks, trained end to end from the weights of an encoder.

The fine-tuned network becomes an encoder that the head carries in its folder. The head itself takes two of its layers:
the one in which materials are compared, and the prediction, of which it makes values of the property. So predictions,
intervals and scores come about as those of every other head.

A tenth of the training rows is held out from the training. The network's errors there are those on new materials, and
give intervals their width (split conformal: Papadopoulos et al., Machine Learning: ECML 2002, 345). Nothing else is
chosen by these rows.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import PREDICTION, EncoderCard, InputKind
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.session import onnx_runtime
from matlake.errors import Hint, TrainingError
from matlake.extras import require_extra
from matlake.metrics import measure
from matlake.progress import Progress
from matlake.regress.features.descriptors import encode_layers
from matlake.regress.features.feature import Feature
from matlake.regress.features.frozen_rows import FrozenRows, frozen_rows
from matlake.regress.features.matrix import Matrix, read_shared_rows, resolve_targets
from matlake.regress.finetuning.network_output import NetworkOutput
from matlake.regress.heads.baselines import (
    ComparedHead,
    compare_with_baselines,
    fractions_baseline,
    frozen_baseline,
    more_baselines,
)
from matlake.regress.heads.card import HeadCard, ModelRecord, TrainingRows
from matlake.regress.heads.measure import made_now, measure_fitted
from matlake.regress.heads.plots import draw_plots
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import HeadFiles, check_new_name
from matlake.regress.heads.suggestions import what_to_try
from matlake.regress.heads.target_settings import TargetSettings, check_scale, settle_target
from matlake.regress.heads.unsaved import UnsavedHead
from matlake.regress.regressors import MODELS, Fitted
from matlake.regress.regressors.training_settings import require_torch
from matlake.regress.splits import HeldOut, Split, parse_split
from matlake.regress.splits.random_groups import grouped_folds
from matlake.regress.splits.training_dates import describe_training_dates
from matlake.regress.targets.expressions import Target
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.out_of_fold import OutOfFold
from matlake.store.folders import CARRIED
from matlake.store.lake import Lake

if TYPE_CHECKING:
    from matlake.networks.fine_tuning import FineTuned

MIN_CRYSTALS: Final = 50
"""Fewer labelled crystals are too few to train a network on, and to calibrate it."""

HELD_SHARE: Final = 0.1
FEWEST_HELD: Final = 40
MOST_HELD_SHARE: Final = 0.25
"""A tenth of the training rows calibrates; where they are few, more, but no more than a quarter."""

COMPARED_MODEL: Final = "kernel-ridge"
"""What is fitted to element fractions, and to the layers of the encoder as it was."""


def train_graph_head(lake: Lake, request: TrainRequest, source: RegisteredEncoder, progress: Progress) -> UnsavedHead:
    """Fine-tune the network of an encoder of crystals on a property, measure it, and make a head of it.

    Args:
        lake: The lake; nothing need be embedded.
        request: What to train; its model is ``fine-tune:ENCODER``.
        source: That encoder.
        progress: Receives what is being done.

    Raises:
        TrainingError: The request asks for what a network cannot have; fewer than ``MIN_CRYSTALS`` crystals; a target
            of yes or no, or a constant one; the split cannot be made; or the training diverges.
        EncoderError: The weights of the encoder cannot be read back.
        HeadError: The name is not valid.
        MissingExtraError: torch, ONNX Runtime or scikit-learn is not installed.
    """
    onnx_runtime()
    require_torch()
    require_extra("heads", "training a head")
    _check_request(request)
    from matlake.networks.fine_tuning import fine_tune, read_start  # torch takes seconds to import

    start = read_start(source)
    split = parse_split(request.split)
    target = _one_target(lake, request)
    name = request.head_name([target])
    check_new_name(lake, name)
    progress.note("reading crystals and target")
    rows = _read_rows(lake, request, target, source, split)
    held_out = split.hold_out(rows.matrix, request.seed)
    held_out = describe_training_dates(held_out, split, rows.matrix, [source.card])
    settings = settle_target(request, target, rows.matrix, held_out, (rows.default_dim,))
    fit, calibrating = _hold_out(rows.matrix, held_out, request.seed)
    y = _target(rows.matrix, settings, fit)
    tuned = fine_tune(start, rows.crystals, y, (fit, calibrating), target.name, request.seed, progress)
    matrix, features = _with_output(rows.matrix, tuned, name)
    return _measured(
        lake,
        replace(request, name=name),
        target,
        _Tuned(source.card, tuned, replace(rows, matrix=matrix), held_out, calibrating, features, settings),
        progress,
    )


@dataclass(frozen=True)
class _Tuned:
    """A network that is to become a head: where it comes from, its file, its rows, and what it makes of them."""

    source: EncoderCard
    tuned: "FineTuned"
    rows: FrozenRows
    held_out: HeldOut
    calibrating: NDArray[np.intp]
    features: tuple[Feature, ...]
    settings: TargetSettings


def _check_request(request: TrainRequest) -> None:
    """Refuse what a network that is trained end to end has no use for."""
    if request.features:
        raise TrainingError(
            f"{request.model_name} takes the crystals themselves, and features are named: "
            f"{', '.join(request.features)}",
            Hint("leave features out", cli="leave --features out"),
        )
    if request.adversarial:
        raise TrainingError(
            f"{request.model_name} cannot learn from adversarial samples: only an IR-net can",
            Hint("leave adversarial out", cli="leave --adversarial out"),
        )
    if request.counts.names:
        raise TrainingError(f"{request.model_name} takes no weights of rows", "use another model, or leave them out")


def _one_target(lake: Lake, request: TrainRequest) -> Target:
    targets = resolve_targets(lake, request.targets, request.dataset, scaled=request.transform != Transform.NONE)
    if len(targets) > 1:
        raise TrainingError(
            f"{request.model_name} learns one property, and {len(targets)} are named", "train one head a property"
        )
    check_scale(request, targets[0])
    return targets[0]


def _read_rows(
    lake: Lake, request: TrainRequest, target: Target, source: RegisteredEncoder, split: Split
) -> FrozenRows:
    """Read the crystals that have the target and that the encoder takes; others are listed as missing."""
    shared = read_shared_rows(
        lake, (target,), (), dataset=request.dataset, where=request.where, columns=split.columns, crystals=True
    )
    matrix, _ = shared.of(0)
    if matrix.kind is Kind.YES_NO:
        raise TrainingError(
            f"{target.name} is yes or no, and {request.model_name} learns numbers",
            "use another model, such as auto, or another property",
        )
    assert matrix.crystals is not None  # noqa: S101 - they were asked for
    if not matrix.crystals.sizes.any():
        raise TrainingError(
            f"none of the {len(matrix.y):,} rows has a crystal structure, which {request.model_name} needs",
            "import structures, or use another model",
        )
    rows = frozen_rows(matrix, source)
    _check_enough(rows.matrix, target, request.model_name)
    return rows


def _check_enough(matrix: Matrix, target: Target, model: str) -> None:
    if len(matrix.y) < MIN_CRYSTALS:
        others = f" ({len(matrix.missing):,} more: {matrix.missing[0].reason} …)" if matrix.missing else ""
        raise TrainingError(
            f"only {len(matrix.y):,} crystals have {target.name}{others}; {model} needs {MIN_CRYSTALS}",
            "use another model, such as auto on features of the encoder, or select more rows",
        )
    if matrix.y.min() == matrix.y.max():
        raise TrainingError(
            f"{target.name} is {matrix.y[0]:g} in all {len(matrix.y):,} crystals: nothing to learn",
            "select rows in which it varies",
        )


def _hold_out(matrix: Matrix, held_out: HeldOut, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the training rows that are fitted to, and those that calibrate; a composition is on one side."""
    rows = held_out.train
    wanted = max(HELD_SHARE * len(rows), min(FEWEST_HELD, MOST_HELD_SHARE * len(rows)))
    count = len(np.unique(matrix.codes[rows]))
    folds = min(count, max(2, round(len(rows) / wanted)))
    fit, held = grouped_folds(matrix.codes[rows], folds, seed)[0]
    return rows[fit], rows[held]


def _target(matrix: Matrix, settings: TargetSettings, fit: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the target on the scale on which it is learned, float64 [n]."""
    if np.ptp(matrix.y[fit]) == 0.0:
        raise TrainingError(
            f"the target is {matrix.y[fit[0]]:g} in all {len(fit):,} crystals that are trained on",
            "select rows in which it varies",
        )
    return settings.space.to_fit(matrix.y)


def _with_output(matrix: Matrix, tuned: "FineTuned", head: str) -> tuple[Matrix, tuple[Feature, ...]]:
    """Return the rows with what the fine-tuned network makes of them as their features, and these."""
    assert matrix.crystals is not None  # noqa: S101 - they were asked for
    card = tuned.card
    layers = [card.layer(None), card.layer(PREDICTION)]
    with TemporaryDirectory() as folder:
        for file, content in tuned.files.items():
            Path(folder, file).write_bytes(content)
        encoder = open_encoder(folder)
        x, reasons = encode_layers(encoder, [layer.name for layer in layers], matrix.crystals)
    if any(reasons):
        raise TrainingError(
            f"the fine-tuned network has no finite value for {sum(map(bool, reasons)):,} of {len(reasons):,} crystals",
            "look for wrong targets, or use another model",
        )
    features = tuple(
        Feature(str(card.ref(one.name)), card.name, one.name, card.sha256, one.dim, InputKind.CRYSTAL, carried_by=head)
        for one in layers
    )
    return replace(matrix, x=x), features


def _measured(lake: Lake, request: TrainRequest, target: Target, found: _Tuned, progress: Progress) -> UnsavedHead:
    """Measure a network on the test rows beside baselines, calibrate it, and make a head of it."""
    matrix, held_out, seed = found.rows.matrix, found.held_out, request.seed
    tuned, space, split = found.tuned, found.settings.space, parse_split(request.split)
    fitted = Fitted(None, NetworkOutput(matrix.x.shape[1]), tuned.mean, tuned.std, space)
    progress.note("calibrating on crystals that were held out")
    out_of_fold = _out_of_fold(matrix, held_out, found.calibrating, fitted)
    measured = measure_fitted(matrix, held_out, fitted, found.features, lambda: out_of_fold, seed)
    progress.note("comparing with baselines")
    compared = MODELS[COMPARED_MODEL]
    on_fractions = fractions_baseline(compared, matrix, held_out, seed, space)
    card = HeadCard(
        name=request.name or "",
        target=target.name,
        unit=target.unit,
        features=found.features,
        training=TrainingRows(matrix.sql, split.text, held_out.description, len(held_out.dropped), seed, matrix.tables),
        model=ModelRecord(request.model_name, _parameters(found), None, measured.parity),
        evaluation=measured.evaluation,
        fractions_baseline=measure(measured.test.y, on_fractions),
        random_evaluation=None,
        learning_curve=(),
        fine_tuning=None,
        calibration=measured.calibration,
        domain=measured.domain,
        provenance=made_now(),
        difference_intervals=compare_with_baselines(
            measured.test, on_fractions, float(matrix.y[held_out.train].mean()), seed
        ),
        bounds=space.bounds,
        transform=space.transform,
        scale=found.settings.record(target, measured.test),
        is_expression=not target.is_column,
    )
    head = ComparedHead(target.name if target.is_column else "", found.features, card.model.kind, measured.test)
    beside = frozen_baseline(
        f"{COMPARED_MODEL} on {found.source.name} as it was",
        compared,
        (found.rows.frozen, found.rows.blocks),
        head,
        matrix,
        held_out,
        space,
        seed,
    )
    card = replace(card, more_baselines=(beside, *more_baselines(lake, head, matrix, held_out, space, seed)))
    card = replace(card, suggestions=what_to_try(lake, card))
    plots = draw_plots(card, measured.test, fitted.regressor, progress)
    carried = {f"{CARRIED}/{tuned.card.name}/{file}": content for file, content in tuned.files.items()}
    files = HeadFiles(card, measured.content, measured.reference, plots, carried)
    return UnsavedHead(files, matrix.missing, measured.test, COMPARED_MODEL)


def _parameters(found: _Tuned) -> dict[str, object]:
    trained = len(found.held_out.train) - len(found.calibrating)
    return {**found.tuned.settings, "fitted_rows": trained, "calibration_rows": len(found.calibrating)}


def _out_of_fold(matrix: Matrix, held_out: HeldOut, calibrating: NDArray[np.intp], fitted: Fitted) -> OutOfFold:
    """Return predictions for the training rows that were held out from the training, NaN for the others."""
    rows = held_out.train
    held = np.isin(rows, calibrating)
    predicted = np.full(len(rows), np.nan)
    predicted[held] = fitted.predict(matrix.features_of(rows[held]))
    return OutOfFold.of_random(predicted, np.where(held, 0, -1))
