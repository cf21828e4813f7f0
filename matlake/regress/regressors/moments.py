"""Sums over rows, all that a linear least-squares fit needs of them: block by block, in float64."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.feature_rows import Features, row_blocks
from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.scaling import Scaler


@dataclass(frozen=True)
class Moments:
    """Means, and products of deviations from them.

    Attributes:
        mean: float64 [d], of the features.
        target: Mean of the target.
        gram: float64 [d, d], sum over rows of the products of two features.
        cross: float64 [d], sum over rows of the products of a feature and the target.
    """

    mean: NDArray[np.float64]
    target: float
    gram: NDArray[np.float64]
    cross: NDArray[np.float64]


def moments_of(scaler: Scaler | None, x: Features, y: NDArray[np.float64], weights: Weights = None) -> Moments:
    """Return the moments of rows.

    Args:
        scaler: Standardises the features; None where they are so.
        x: float32 [n, d], or float64 without a scaler.
        y: float64 [n], the target.
        weights: float64 [n], how much each row counts.
    """
    d = x.shape[1]
    total = float(len(y) if weights is None else weights.sum())
    target = float(np.average(y, weights=weights))
    sums, gram, cross = np.zeros(d), np.zeros((d, d)), np.zeros(d)
    for part, block in row_blocks(x):
        z = scaler.transform(block) if scaler else np.asarray(block, dtype=np.float64)
        counted = 1.0 if weights is None else weights[part]
        sums += z.sum(axis=0) if weights is None else counted @ z
        cross += z.T @ (counted * (y[part] - target))
        if weights is not None:
            z = z * np.sqrt(counted)[:, None]
        gram += z.T @ z
    mean = sums / total
    return Moments(mean, target, gram - total * np.outer(mean, mean), cross)
