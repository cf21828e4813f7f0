"""What tells beforehand how far a prediction may be off.

Amounts have the dimension of the target, on the scale on which it is fitted, and add up; factors multiply their sum.
"""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.uncertainty.reference_set import Surroundings

BLENDED: Final = 10
"""Nearest training rows whose labels make an estimate of their own, and whose spread is a signal."""

_BASE: Final = 0.5
"""Added to the out-of-distribution score, so that the middle of the training set has a finite logarithm as well."""

_CLOSE: Final = 0.05
"""Added to distances, in units of the score: a training row at the same place does not count alone."""


class Signal(StrEnum):
    """Signals, in the order of the columns of ``signals_of``: amounts, then the logarithms of factors.

    Attributes:
        RESIDUALS: Mean absolute out-of-fold error of the nearest training rows.
        SPREAD: Standard deviation of the labels of the nearest training rows: metals among insulators have a large one.
        ESTIMATE: Distance of the prediction from the mean label of the nearest training rows.
        OPINIONS: Standard deviation of the prediction and second opinions (see ``opinions``).
        SCORE: Out-of-distribution score and a half.
        ELEMENTS: How few training rows hold the rarest element.
    """

    RESIDUALS = "residuals"
    SPREAD = "spread"
    ESTIMATE = "estimate"
    OPINIONS = "opinions"
    SCORE = "score"
    ELEMENTS = "elements"


AMOUNTS: Final = (Signal.RESIDUALS, Signal.SPREAD, Signal.ESTIMATE, Signal.OPINIONS)
FACTORS: Final = (Signal.SCORE, Signal.ELEMENTS)


def signals_of(
    predicted: NDArray[np.float64],
    opinions: NDArray[np.float64],
    around: Surroundings,
    labels: NDArray[np.float64],
    rarest: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the signals of n predictions, float64 [n, signals].

    Args:
        predicted: float64 [n], on the fitted scale.
        opinions: float64 [n, k], second opinions on them; k may be 0.
        around: The reference rows around the n points.
        labels: float64 [m], of the reference rows, on the fitted scale.
        rarest: int64 [n], number of training rows that hold the rarest element.
    """
    mean, spread = blend(around, labels)
    together = np.column_stack([predicted, opinions])
    columns = {
        Signal.RESIDUALS: around.local_residuals,
        Signal.SPREAD: spread,
        Signal.ESTIMATE: np.abs(predicted - mean),
        Signal.OPINIONS: together.std(axis=1),
        Signal.SCORE: np.log(around.scores + _BASE),
        Signal.ELEMENTS: -np.log1p(rarest),
    }
    return np.stack([columns[signal] for signal in Signal], axis=1)


def blend(around: Surroundings, labels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the labels of the nearest reference rows, float64 [n] each.

    Weights are inverse distances (Shepard, Proc. 23rd ACM National Conference, 517 (1968)).

    Args:
        around: The reference rows around n points.
        labels: float64 [m], of the reference rows.
    """
    near = labels[around.rows[:, :BLENDED]]
    weights = 1.0 / (around.distances[:, :BLENDED].astype(np.float64) + _CLOSE)  # 0 where there is no row
    weights /= weights.sum(axis=1, keepdims=True)
    mean = np.einsum("ij,ij->i", weights, near)
    deviations = (near - mean[:, None]) ** 2
    return mean, np.sqrt(np.einsum("ij,ij->i", weights, deviations))


def rarest_elements(fractions: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row the count of its element of the smallest count, int64 [n].

    Args:
        fractions: float32 [n, elements].
        counts: Number of training rows that hold an element, int64 [elements], or [n, elements].
    """
    held: NDArray[np.int64] = np.where(fractions > 0.0, counts, np.iinfo(np.int64).max).min(axis=1)
    return held
