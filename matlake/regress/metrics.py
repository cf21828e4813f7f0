"""Errors of predictions, and the floor that any model has to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """Errors on one set of rows.

    Attributes:
        mae: Mean absolute error, in the target's unit.
        rmse: Root of the mean squared error, in the target's unit.
        r2: Coefficient of determination; None where the true values do not vary.
    """

    mae: float
    rmse: float
    r2: float | None


def measure(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> Metrics:
    """Compare predictions with true values.

    Args:
        y: float64 [n], true values.
        predicted: float64 [n].
    """
    error = predicted - y
    spread = float(np.mean((y - y.mean()) ** 2))
    squared = float(np.mean(error**2))
    return Metrics(
        mae=float(np.mean(np.abs(error))),
        rmse=squared**0.5,
        r2=1.0 - squared / spread if spread > 0 else None,
    )


def mean_baseline(y_train: NDArray[np.float64], y_test: NDArray[np.float64]) -> Metrics:
    """Return the errors of predicting the training rows' mean for every test row.

    Args:
        y_train: float64 [n].
        y_test: float64 [m].
    """
    return measure(y_test, np.full_like(y_test, y_train.mean()))
