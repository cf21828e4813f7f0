"""What a head is compared with on its test rows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matlake.regress.classification.calibration import calibrated_fit
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.model_search import search_model
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.heads.verdict import FRACTIONS, MEAN, NEAREST, difference_intervals
from matlake.regress.regressors import MODELS, Model, Parameters, fit_of
from matlake.regress.regressors.elemnet import ELEMNET
from matlake.regress.regressors.ensemble import ENSEMBLE, ensemble_model, ensemble_parameters
from matlake.regress.splits import HeldOut
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.regress.uncertainty.out_of_fold import FOLDS, SLOW_FOLDS


def compared_model(model: Model) -> Model:
    """Return what a model is compared with on element fractions: itself; for a fine-tuned network, one from scratch."""
    return ELEMNET if model.slow and model.name not in MODELS else model


def fractions_baseline(
    model: Model, matrix: Matrix, held_out: HeldOut, seed: int, space: TargetSpace = PLAIN
) -> NDArray[np.float64]:
    """Choose parameters for the same kind of model on element fractions, fit it, and predict the test rows.

    Returns:
        float64 [m], in the target's unit.
    """
    rows, test_rows = held_out.train, held_out.test
    labelled = replace(matrix.labelled(rows), x=matrix.fractions[rows])
    width = labelled.x.shape[1]

    def chosen(kind: Model) -> Parameters:
        grid = kind.grid(width)
        return grid[0] if len(grid) == 1 else search_model(kind, labelled, seed, space=space).best.parameters

    kind = compared_model(model)
    if model.name == ENSEMBLE:
        # Parameters that suit the head's features, such as the width of a kernel, would be a handicap here.
        members = model.grid(width)[0]["members"]
        own = {name: chosen(MODELS[name]) for name in {member["model"] for member in members}}
        kind = ensemble_model(ensemble_parameters([(m["model"], own[m["model"]], m["weight"]) for m in members]))
    parameters = chosen(kind)
    fit = fit_of(kind, parameters, seed, space)
    if space.kind is Kind.YES_NO:
        fit, _ = calibrated_fit(kind, parameters, labelled, seed, space, SLOW_FOLDS if kind.slow else FOLDS)
    return fit(labelled).predict(matrix.fractions[test_rows])


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
