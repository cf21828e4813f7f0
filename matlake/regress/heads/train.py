"""Training: read, split, choose, fit, measure beside the baselines, calibrate, save."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.session import onnx_runtime
from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.materials.units import unit_of
from matlake.progress import SILENT, Progress
from matlake.regress.classification.calibration import calibrated_fit
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.baselines import compare_with_baselines, compared_model, fractions_baseline
from matlake.regress.heads.card import Evaluation, HeadCard, ModelRecord, TrainingRows, check_name
from matlake.regress.heads.feature_search import choose_features, with_features
from matlake.regress.heads.measure import evaluate, learning_curve, made_now, measure_fitted, measure_of
from matlake.regress.heads.model_search import search_model
from matlake.regress.heads.model_spec import resolve_model
from matlake.regress.heads.plots import draw_plots
from matlake.regress.heads.request import RANDOM, TrainRequest
from matlake.regress.heads.storage import save_head
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.regressors import AUTO, Fit, LabelledRows, Model, Parameters, fit_of
from matlake.regress.splits import parse_split
from matlake.regress.splits.training_dates import describe_training_dates
from matlake.regress.targets.bounds import find_bounds
from matlake.regress.targets.kinds import Kind, check_classes
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.conformal import FOLDS, SLOW_FOLDS, residuals_of
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.store.lake import Lake


def train(lake: Lake, request: TrainRequest, progress: Progress = SILENT) -> TrainResult:
    """Train a head, measure it on held-out rows, calibrate its intervals, and save it.

    The head is fitted to the training rows only, so that its metrics are those of the very file that is saved.

    Args:
        lake: The lake, with the features embedded.
        request: What to train.
        progress: Hears what is being done, and the number of fits done in the search for model and parameters.

    Raises:
        TrainingError: The data do not allow it; see ``read_matrix``, ``parse_split``, ``Split.hold_out`` and
            ``resolve_model``.
        EncoderError: No such encoder or layer, or its weights cannot be trained on.
        QueryError: ``where`` is not a valid predicate over ``materials``.
        HeadError: The name is not valid, or the model does not survive the conversion to ONNX.
        MissingExtraError: ONNX Runtime or scikit-learn is not installed, or torch, which deep networks need.
    """
    onnx_runtime()
    seed, split = request.seed, parse_split(request.split)
    features = resolve_features(lake, request.features)
    wanted: str | Model = AUTO
    if request.model != AUTO or request.adversarial:
        wanted = resolve_model(lake, request.model, features, request.adversarial)
    require_extra("heads", "training a head")
    named = filter(None, (request.target, request.model, request.adversarial))
    name = request.name or "-".join(named).replace(":", "-")
    check_name(name)
    progress.note("reading features and target")
    matrix = read_matrix(
        lake,
        request.target,
        features,
        dataset=request.dataset,
        where=request.where,
        columns=split.columns,
        crystals=split.needs_crystals,
    )
    held_out = split.hold_out(matrix, seed)
    budget, chosen = request.budget, None
    if wanted == AUTO and len(features) > 1:
        progress.note("choosing features")
        started = time.monotonic()
        chosen = choose_features(matrix, held_out, features, seed, budget.seconds)
        budget = budget.after(started)
    if chosen is not None:
        matrix, features = with_features(matrix, features, chosen.chosen.features)
    cards = [lake.find_encoder(name).card for name in dict.fromkeys(feature.encoder for feature in features)]
    held_out = describe_training_dates(held_out, split, matrix, cards)
    rows = held_out.train
    labelled = matrix.labelled(rows)
    space = _space_of(request, matrix.kind, labelled.y, held_out.description)
    blocks = tuple(feature.dim for feature in features)
    choice = search_model(
        wanted,
        labelled,
        seed,
        progress,
        budget=budget,
        space=space,
        blocks=blocks,
        learns_blocks=chosen is not None and chosen.learns_blocks,
    )
    best, model = choice.best, choice.model
    progress.note(f"fitting {best.model} to {len(rows):,} rows")
    folds = SLOW_FOLDS if model.slow else FOLDS
    fit, residuals = _fit_and_residuals(model, best.parameters, labelled, seed, space, folds)
    fitted = fit(labelled)
    progress.note("calibrating on held-out folds of the training rows")
    measured = measure_fitted(matrix, held_out, fitted, residuals, seed)
    progress.note("comparing with fewer rows, with element fractions and with a random split")
    on_fractions = fractions_baseline(model, matrix, held_out, seed, space)
    card = HeadCard(
        name=name,
        target=request.target,
        unit=unit_of(request.target),
        features=features,
        training=TrainingRows(matrix.sql, split.text, held_out.description, len(held_out.dropped), seed),
        model=ModelRecord(best.model, best.parameters, choice.search, measured.parity, chosen),
        evaluation=measured.evaluation,
        fractions_baseline=measure_of(space.kind)(measured.test.y, on_fractions),
        random_evaluation=None if split.text == RANDOM else _random_evaluation(fit, matrix, seed),
        learning_curve=learning_curve(fit, matrix, held_out, seed),
        fine_tuning=None,
        calibration=measured.calibration,
        domain=measured.domain,
        provenance=made_now(),
        difference_intervals=compare_with_baselines(
            measured.test, on_fractions, float(labelled.y.mean()), seed, space.kind
        ),
        bounds=space.bounds,
        transform=space.transform,
        classes=measured.classes and replace(measured.classes, numeric=not matrix.boolean),
    )
    plots = draw_plots(card, measured.test, fitted.regressor, progress)
    card = save_head(lake.path, card, measured.content, measured.reference, plots)
    return TrainResult(card, matrix.missing, measured.test, compared_model(model).name)


def _space_of(request: TrainRequest, kind: Kind, labels: NDArray[np.float64], split: str) -> TargetSpace:
    """Return what a fit has to know of the target.

    Args:
        request: What to train.
        kind: Of the target.
        labels: float64 [n], of the training rows.
        split: What held out the others, in words.

    Raises:
        TrainingError: The labels break the bounds, or hold too few of a class.
    """
    if kind is Kind.NUMBER:
        return TargetSpace(bounds=find_bounds(request.target, labels, request.minimum, request.maximum))
    if request.minimum is not None or request.maximum is not None:
        raise TrainingError(f"{request.target} is yes or no: it has no minimum and no maximum", "leave them out")
    check_classes(labels, request.target, f"training rows (the split {split})")
    return TargetSpace(kind=kind)


def _fit_and_residuals(
    model: Model, parameters: Parameters, labelled: LabelledRows, seed: int, space: TargetSpace, folds: int
) -> tuple[Fit, Callable[[], NDArray[np.float64]]]:
    """Return a fit, and what gives absolute errors of it on held-out folds of the training rows."""
    if space.kind is Kind.YES_NO:
        fit, off = calibrated_fit(model, parameters, labelled, seed, space, folds)
        return fit, lambda: off
    fit = fit_of(model, parameters, seed, space)
    return fit, lambda: residuals_of(fit, labelled, folds, seed)


def _random_evaluation(fit: Fit, matrix: Matrix, seed: int) -> Evaluation:
    """Fit and measure the same model with the same parameters on a random split."""
    held_out = parse_split(RANDOM).hold_out(matrix, seed)
    rows = held_out.train
    predicted = fit(matrix.labelled(rows)).predict(matrix.x[held_out.test])
    return evaluate(matrix, held_out, predicted, choose_reference(matrix, rows, seed), seed)
