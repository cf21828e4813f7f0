"""Weights of labels whose uncertainties are known."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.feature_search import FOLDS, GAMMAS, MAX_ROWS, RIDGES, BlockDistances, held_out_values
from matlake.regress.regressors import Blocks
from matlake.regress.splits import HeldOut, grouped_folds, subsample
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import Transform

_LEAST: Final = 0.05
"""Share of the mean squared residual that is the model's own at least: no model is without error."""


def weights_of_uncertainty(
    uncertainty: NDArray[np.float64],
    matrix: Matrix,
    held_out: HeldOut,
    space: TargetSpace,
    blocks: Blocks,
    seed: int,
) -> NDArray[np.float64]:
    """Return weights 1 / (u² + s²) of labels with standard uncertainties u, where s² is the variance of the model.

    A label differs from what the model can know by its own error and by the model's. So s² is the mean squared held-out
    residual r² less the mean u²: the method of moments of meta-analysis (DerSimonian and Laird, Control. Clin. Trials
    7, 177, 1986). Residuals are those of kernel ridge regression on the training rows. On a logarithmic scale u counts
    as u/y, on that of roots as u/(2√y) (first order; JCGM 100:2008, 5.1.2).

    Args:
        uncertainty: u, float64 [n], in the unit of the target.
        matrix: All rows.
        held_out: Which are trained on.
        space: The scale of the target.
        blocks: Lengths of the features.
        seed: Decides folds and the subsample.

    Returns:
        float64 [n].
    """
    squares = (_slope(space.transform, matrix.y) * uncertainty) ** 2
    rows = held_out.train[subsample(matrix.groups[held_out.train], MAX_ROWS, seed)]
    values = space.to_fit(matrix.y[rows])
    folds = [held for _, held in grouped_folds(matrix.groups[rows], FOLDS, seed)]
    distances, everything = BlockDistances.of(matrix.x[rows], blocks), tuple(range(len(blocks)))
    residuals = [
        held_out_values(distances.inverse(everything, gamma, ridge), values, folds) - values
        for gamma in GAMMAS
        for ridge in RIDGES
    ]
    squared = min(float(np.mean(one**2)) for one in residuals)
    own = max(squared - float(np.mean(squares[rows])), _LEAST * squared)
    weights: NDArray[np.float64] = 1.0 / (squares + own)
    return weights


def _slope(transform: Transform, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much what is fitted changes with the property."""
    allowed = y > 0.0
    safe = np.where(allowed, y, 1.0)
    if transform is Transform.LOG:
        return np.where(allowed, 1.0 / safe, 0.0)
    return np.where(allowed, 0.5 / np.sqrt(safe), 0.0) if transform is Transform.SQRT else np.ones(len(y))
