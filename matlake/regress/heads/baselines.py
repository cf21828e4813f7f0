"""What a head is compared with on its test rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import PREDICTION
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.errors import MatlakeError, TrainingError
from matlake.materials.compositions import CompositionColumns
from matlake.regress.classification.calibration import calibrated_fit
from matlake.regress.features.descriptors import describe
from matlake.regress.features.feature import Feature, layers_of
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.baseline import Baseline
from matlake.regress.heads.encoder_predictions import compared_rows, predict_rows, predicting_encoders
from matlake.regress.heads.measure import measure_of
from matlake.regress.heads.model_search import search_model
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.heads.verdict import FOREST, FRACTIONS, MEAN, NEAREST, difference_intervals
from matlake.regress.regressors import MODELS, Fitted, LabelledRows, Model, Parameters, fit_of, settled
from matlake.regress.regressors.catalogue import ENSEMBLE
from matlake.regress.regressors.elemnet import ELEMNET
from matlake.regress.regressors.ensemble import ensemble_model, ensemble_parameters
from matlake.regress.regressors.feature_rows import take_rows
from matlake.regress.splits import HeldOut, Rows, subsample
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.store.lake import Lake

FOREST_ROWS: Final = 20_000
"""Training rows that the random forest is fitted to at most: it takes seconds."""

FEWEST_ROWS: Final = 10
"""Test rows with a prediction of an encoder: fewer say nothing."""

_MAGPIE: Final = "magpie"
_FOREST_MODEL: Final = "random-forest"


@dataclass(frozen=True)
class ComparedHead:
    """A head that is compared with baselines.

    Attributes:
        target: Column of the property; empty for an expression, which no encoder predicts.
        features: Its features.
        model: Name of its model.
        test: Its test rows.
    """

    target: str
    features: Sequence[Feature]
    model: str
    test: HeldOutRows


def compared_model(model: Model) -> Model:
    """Return what a model is compared with on element fractions: itself; for a fine-tuned network, one from scratch."""
    return ELEMNET if model.slow and model.name not in MODELS else model


def fractions_baseline(
    model: Model, matrix: Matrix, held_out: HeldOut, seed: int, space: TargetSpace = PLAIN
) -> NDArray[np.float64]:
    """Choose parameters for the same kind of model on element fractions, fit it, and predict the test rows.

    Columns of the user's own stand beside the fractions: the head is to be better by what its encoders add.
    An estimator that needs more features than these, such as 200 principal components, gets zeros for the rest.

    Returns:
        float64 [m], in the target's unit.
    """
    lacking = matrix.x.shape[1] - matrix.fractions.shape[1] - len(matrix.own)
    try:
        return _on_fractions(model, matrix, held_out, seed, space)
    except TrainingError:
        if not model.in_unit or lacking <= 0:
            raise
        wider = replace(matrix, fractions=np.pad(matrix.fractions, ((0, 0), (0, lacking))))
        return _on_fractions(model, wider, held_out, seed, space)


def _on_fractions(
    model: Model, matrix: Matrix, held_out: HeldOut, seed: int, space: TargetSpace
) -> NDArray[np.float64]:
    rows, test_rows = held_out.train, held_out.test
    trained, tested = (matrix.beside_own(take_rows(matrix.fractions, some), some) for some in (rows, test_rows))
    labelled = replace(matrix.labelled(rows), features=trained)
    blocks = (matrix.fractions.shape[1], *(1 for _ in matrix.own))

    def chosen(kind: Model) -> Parameters:
        grid = kind.grid_of(blocks)
        found = search_model(kind, labelled, seed, space=space, blocks=blocks) if len(grid) > 1 else None
        return found.best.parameters if found else grid[0]

    kind = settled(compared_model(model), labelled, seed, space)
    if model.name == ENSEMBLE:
        # Parameters that suit the head's features, such as the width of a kernel, would be a handicap here.
        members = model.grid(sum(blocks))[0]["members"]
        own = {name: chosen(MODELS[name]) for name in {member["model"] for member in members}}
        kind = ensemble_model(ensemble_parameters([(m["model"], own[m["model"]], m["weight"]) for m in members]))
    parameters = chosen(kind)
    return _fitted(kind, parameters, labelled, seed, space).predict(tested)


def _fitted(kind: Model, parameters: Parameters, labelled: LabelledRows, seed: int, space: TargetSpace) -> Fitted:
    if space.kind is Kind.YES_NO:
        fit, _ = calibrated_fit(kind, parameters, labelled, seed, space)
        return fit(labelled)
    return fit_of(kind, parameters, seed, space)(labelled)


def compare_with_baselines(
    test: HeldOutRows, on_fractions: NDArray[np.float64], mean: float, seed: int, kind: Kind = Kind.NUMBER
) -> dict[str, tuple[float, ...]]:
    """Compare a head with the nearest training material, with element fractions and with the mean of the training rows.

    Args:
        test: The test rows.
        on_fractions: float64 [m], predictions of the same model on element fractions.
        mean: Of the training rows.
        seed: Of the bootstrap.
        kind: Of the property.
    """
    baselines = {NEAREST: test.nearest, FRACTIONS: on_fractions, MEAN: np.full(len(test.y), mean)}
    return difference_intervals(test.y, test.predicted, baselines, test.groups, seed, kind)


def more_baselines(
    lake: Lake, head: ComparedHead, matrix: Matrix, held_out: HeldOut, space: TargetSpace, seed: int
) -> tuple[Baseline, ...]:
    """Compare a head with a random forest on ``magpie``, and with encoders that predict the very property.

    Args:
        lake: Whose registry holds the encoders.
        head: The head and its test rows.
        matrix: All rows, with crystals where an encoder of ``predicting_encoders`` takes them.
        held_out: Which of them the head was fitted to, and which are its test rows.
        space: Of the target.
        seed: Of forest, draws and bootstrap.
    """
    return (
        *_forest_baseline(lake, head, matrix, held_out, space, seed),
        *(_encoder_baselines(lake, head, matrix, held_out, seed) if space.kind is Kind.NUMBER else ()),
    )


def _forest_baseline(
    lake: Lake, head: ComparedHead, matrix: Matrix, held_out: HeldOut, space: TargetSpace, seed: int
) -> Iterator[Baseline]:
    """Fit a random forest to ``magpie`` and the user's own columns: formulas are enough. Not if it is the head."""
    if head.model == _FOREST_MODEL and [feature.encoder for feature in layers_of(head.features)] == [_MAGPIE]:
        return
    rows = held_out.train[subsample(matrix.groups[held_out.train], FOREST_ROWS, seed)]
    encoder = open_encoder(lake.find_encoder(_MAGPIE).folder)
    trained, tested = (matrix.beside_own(_described(encoder, matrix, some), some) for some in (rows, held_out.test))
    labelled = replace(matrix.labelled(rows), features=trained)
    forest = MODELS[_FOREST_MODEL]
    predicted = _fitted(forest, forest.grid(trained.shape[1])[0], labelled, seed, space).predict(tested)
    remark = f"fitted to {len(rows):,} of {len(held_out.train):,} rows" if len(rows) < len(held_out.train) else ""
    everything = np.ones(len(held_out.test), dtype=bool)
    yield _compared(FOREST, head.test, predicted, everything, space.kind, seed, remark)


def _described(encoder: Encoder, matrix: Matrix, rows: Rows) -> NDArray[np.float32]:
    """Return the attributes of rows, float32 [n, d]; zeros where they are not known."""
    x = np.zeros((len(rows), encoder.card.layer(None).dim), dtype=np.float32)
    describe(encoder, encoder.card.default_layer, CompositionColumns.from_matrix(matrix.fractions[rows]), x)
    return x


def _encoder_baselines(
    lake: Lake, head: ComparedHead, matrix: Matrix, held_out: HeldOut, seed: int
) -> Iterator[Baseline]:
    """Compare with the predictions of encoders, on rows outside their training where enough of these are known."""
    test = head.test
    for registered in predicting_encoders(lake, head.target):
        try:
            predicted = predict_rows(registered, head.target, matrix, held_out.test, seed)
        except MatlakeError:  # a baseline that cannot be computed costs nobody a head
            continue
        known = np.isfinite(predicted)
        if np.count_nonzero(known) < FEWEST_ROWS:
            continue
        outside, exposed, remark = compared_rows(registered.card, head.target, test.groups[known])
        rows = known.copy()
        rows[known] = outside
        name = registered.card.name
        compared = _compared(f"{name}@{PREDICTION}", test, predicted, rows, Kind.NUMBER, seed, remark)
        yield replace(compared, encoder=name, exposed=exposed)


def frozen_baseline(
    name: str,
    model: Model,
    frozen: tuple[NDArray[np.float32], tuple[int, ...]],
    head: ComparedHead,
    matrix: Matrix,
    held_out: HeldOut,
    space: TargetSpace,
    seed: int,
) -> Baseline:
    """Compare a head that is a fine-tuned network with a model on the layers of the network as it was.

    Args:
        name: What it is called.
        model: The kind of model; its parameters are chosen by cross-validation.
        frozen: float32 [n, d], layers of the encoder side by side, of all rows; and their lengths.
        head: The head and its test rows.
        matrix: All rows.
        held_out: Which of them the head was fitted to, and which are its test rows.
        space: Of the target.
        seed: Of folds and bootstrap.
    """
    x, blocks = frozen
    labelled = replace(matrix.labelled(held_out.train), features=take_rows(x, held_out.train))
    best = search_model(model, labelled, seed, space=space, blocks=blocks).best
    predicted = _fitted(model, best.parameters, labelled, seed, space).predict(take_rows(x, held_out.test))
    everything = np.ones(len(held_out.test), dtype=bool)
    return _compared(name, head.test, predicted, everything, space.kind, seed, "")


def _compared(
    name: str,
    test: HeldOutRows,
    predicted: NDArray[np.float64],
    rows: NDArray[np.bool_],
    kind: Kind,
    seed: int,
    remark: str,
) -> Baseline:
    y, own, other, groups = test.y[rows], test.predicted[rows], predicted[rows], test.groups[rows]
    measured = measure_of(kind)
    interval = difference_intervals(y, own, {name: other}, groups, seed, kind)[name]
    return Baseline(name, len(y), measured(y, other), measured(y, own), interval, remark)
