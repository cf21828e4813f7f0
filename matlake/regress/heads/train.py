"""Training: read, split, choose, fit, measure beside the baselines, calibrate, save."""

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.session import onnx_runtime
from matlake.extras import require_extra
from matlake.materials.units import unit_of
from matlake.metrics import measure
from matlake.progress import SILENT, Progress
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.card import Budget, Evaluation, HeadCard, ModelRecord, TrainingRows, check_name
from matlake.regress.heads.feature_search import choose_features, with_features
from matlake.regress.heads.measure import evaluate, learning_curve, made_now, measure_fitted
from matlake.regress.heads.model_search import search_model
from matlake.regress.heads.model_spec import resolve_model
from matlake.regress.heads.plots import draw_plots
from matlake.regress.heads.storage import save_head
from matlake.regress.heads.train_result import HeldOutRows, TrainResult
from matlake.regress.heads.verdict import FRACTIONS, MEAN, NEAREST, difference_intervals
from matlake.regress.regressors import AUTO, MODELS, Fit, Model, Parameters, fit_model
from matlake.regress.regressors.elemnet import ELEMNET
from matlake.regress.regressors.ensemble import ENSEMBLE, ensemble_model, ensemble_parameters
from matlake.regress.splits import HeldOut, parse_split
from matlake.regress.splits.training_dates import describe_training_dates
from matlake.regress.uncertainty.bounds import UNBOUNDED, Bounds, find_bounds
from matlake.regress.uncertainty.conformal import FOLDS, SLOW_FOLDS, residuals_of
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.sequences import as_list
from matlake.store.lake import Lake

_RANDOM: Final = "random"


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        target: Numeric property column.
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, each layer embedded in the lake.
        model: A model of ``models.MODELS``, such as ``fine-tune:ENCODER`` (see ``resolve_model``), or ``auto``.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split: A method of ``splits``, with its argument.
        name: Name of the head; by default the target and the model.
        seed: Decides split, folds and what models draw.
        budget: Bounds the search for model and parameters.
        adversarial: ``cal`` or ``sal``: the model, an IR-net, learns from adversarial samples too.
        minimum: Smallest value that the target can have, in its unit: predictions and intervals keep to it. Default: 0
            if the training labels are plain about it (see ``find_bounds``); minus infinity for none.
        maximum: Largest value; default: none.
    """

    target: str
    features: list[str]
    model: str = "auto"
    dataset: str | None = None
    where: str | None = None
    split: str = _RANDOM
    name: str | None = None
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    adversarial: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        """Take one feature as text for a list of one."""
        object.__setattr__(self, "features", as_list(self.features))


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
    x, y, groups = matrix.x[rows], matrix.y[rows], matrix.groups[rows]
    bounds = find_bounds(request.target, y, request.minimum, request.maximum)
    blocks = tuple(feature.dim for feature in features)
    choice = search_model(
        wanted,
        x,
        y,
        groups,
        seed,
        progress,
        budget=budget,
        bounds=bounds,
        blocks=blocks,
        learns_blocks=chosen is not None and chosen.learns_blocks,
    )
    best, model = choice.best, choice.model
    progress.note(f"fitting {best.model} to {len(rows):,} rows")
    fit = partial(fit_model, model, best.parameters, seed=seed, bounds=bounds)
    fitted = fit(x, y)
    progress.note("calibrating intervals on held-out folds of the training rows")
    folds = SLOW_FOLDS if model.slow else FOLDS
    measured = measure_fitted(matrix, held_out, fitted, lambda: residuals_of(fit, x, y, groups, folds, seed), seed)
    progress.note("comparing with fewer rows, with element fractions and with a random split")
    on_fractions = fractions_baseline(model, matrix, held_out, seed, bounds)
    card = HeadCard(
        name=name,
        target=request.target,
        unit=unit_of(request.target),
        features=features,
        training=TrainingRows(matrix.sql, split.text, held_out.description, len(held_out.dropped), seed),
        model=ModelRecord(best.model, best.parameters, choice.search, measured.parity, chosen),
        evaluation=measured.evaluation,
        fractions_baseline=measure(measured.test.y, on_fractions),
        random_evaluation=None if split.text == _RANDOM else _random_evaluation(fit, matrix, seed),
        learning_curve=learning_curve(fit, matrix, held_out, seed),
        fine_tuning=None,
        calibration=measured.calibration,
        domain=measured.domain,
        provenance=made_now(),
        difference_intervals=compare_with_baselines(measured.test, on_fractions, float(y.mean()), seed),
        bounds=bounds,
    )
    plots = draw_plots(card, measured.test, fitted.regressor, progress)
    card = save_head(lake.path, card, measured.content, measured.reference, plots)
    return TrainResult(card, matrix.missing, measured.test, _on_fractions(model).name)


def _on_fractions(model: Model) -> Model:
    """Return what a model is compared with on element fractions: itself; for a fine-tuned network, one from scratch."""
    return ELEMNET if model.slow and model.name not in MODELS else model


def fractions_baseline(
    model: Model, matrix: Matrix, held_out: HeldOut, seed: int, bounds: Bounds = UNBOUNDED
) -> NDArray[np.float64]:
    """Choose parameters for the same kind of model on element fractions, fit it, and predict the test rows.

    Returns:
        float64 [m], in the target's unit.
    """
    rows, test_rows = held_out.train, held_out.test
    x, y, groups = matrix.fractions[rows], matrix.y[rows], matrix.groups[rows]

    def chosen(kind: Model) -> Parameters:
        grid = kind.grid(x.shape[1])
        return grid[0] if len(grid) == 1 else search_model(kind, x, y, groups, seed, bounds=bounds).best.parameters

    kind = _on_fractions(model)
    if model.name == ENSEMBLE:
        # Parameters that suit the head's features, such as the width of a kernel, would be a handicap here.
        members = model.grid(x.shape[1])[0]["members"]
        parameters = {name: chosen(MODELS[name]) for name in {member["model"] for member in members}}
        kind = ensemble_model(ensemble_parameters([(m["model"], parameters[m["model"]], m["weight"]) for m in members]))
    return fit_model(kind, chosen(kind), x, y, seed, bounds).predict(matrix.fractions[test_rows])


def compare_with_baselines(
    test: HeldOutRows, on_fractions: NDArray[np.float64], mean: float, seed: int
) -> dict[str, tuple[float, ...]]:
    """Compare a head with the nearest training material, with element fractions and with the mean of the training rows.

    Args:
        test: The test rows.
        on_fractions: float64 [m], predictions of the same model on element fractions.
        mean: Of the training rows.
        seed: Of the bootstrap.
    """
    baselines = {NEAREST: test.nearest, FRACTIONS: on_fractions, MEAN: np.full(len(test.y), mean)}
    return difference_intervals(test.y, test.predicted, baselines, test.groups, seed)


def _random_evaluation(fit: Fit, matrix: Matrix, seed: int) -> Evaluation:
    """Fit and measure the same model with the same parameters on a random split."""
    held_out = parse_split(_RANDOM).hold_out(matrix, seed)
    rows = held_out.train
    predicted = fit(matrix.x[rows], matrix.y[rows]).predict(matrix.x[held_out.test])
    return evaluate(matrix, held_out, predicted, choose_reference(matrix, rows, seed), seed)
