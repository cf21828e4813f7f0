"""Weights of a mean of predictions, chosen greedily."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_PICKS: Final = 10


def choose_members(
    y: NDArray[np.float64], predictions: NDArray[np.float64], most_members: int | None = None
) -> NDArray[np.float64]:
    """Return weights that make the mean absolute error of a weighted mean small.

    Members are added one at a time, each time the one that helps most, also again, as long as one helps (Caruana et
    al., Proc. ICML 2004, 18): weights are counts, so that few rows cannot fit them closely.

    Args:
        y: float64 [n], measured.
        predictions: float64 [k, n], of k fits for the same rows.
        most_members: How many may get a weight; None for no limit.

    Returns:
        float64 [k], not negative, with sum 1.
    """
    counts = np.zeros(len(predictions))
    total = np.zeros(len(y))
    error = np.inf
    for picks in range(1, MOST_PICKS + 1):
        errors = np.abs((total + predictions) / picks - y).mean(axis=1)
        if most_members is not None and np.count_nonzero(counts) >= most_members:
            errors[counts == 0.0] = np.inf
        best = int(np.argmin(errors))
        if errors[best] >= error:
            break
        error = float(errors[best])
        counts[best] += 1.0
        total += predictions[best]
    weights: NDArray[np.float64] = counts / counts.sum()
    return weights
