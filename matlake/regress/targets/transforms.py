"""Monotone functions of a property that are learned in its place: skewed properties are easier to learn so."""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGEST_LOG: Final = 700.0
"""Logarithms end here: float64 holds no exponential of more than 709."""


class Transform(StrEnum):
    """What a regressor is fitted to in place of a property."""

    NONE = "none"
    LOG = "log"
    SQRT = "sqrt"

    def forward(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is fitted, float64 [n], for values of the property float64 [n].

        ``log`` is the natural logarithm. It needs positive values, and ``sqrt`` values that are not negative.
        """
        if self is Transform.LOG:
            return np.log(values)
        return np.sqrt(values) if self is Transform.SQRT else values

    def allows(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which values of the property it has a value for, bool [n]."""
        if self is Transform.LOG:
            return values > 0.0
        return values >= 0.0 if self is Transform.SQRT else np.ones(len(values), dtype=bool)

    def inverse(self, fitted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the property, float64 [n], for what was fitted; a negative root counts as zero."""
        if self is Transform.LOG:
            return np.exp(np.minimum(fitted, LARGEST_LOG))
        return np.maximum(fitted, 0.0) ** 2 if self is Transform.SQRT else fitted
