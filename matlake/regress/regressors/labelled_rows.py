"""Rows to learn from: features, target, composition, and how much each row counts."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.feature_rows import Features, as_array, take_rows

Weights: TypeAlias = NDArray[np.float64] | None
"""How much each row counts, float64 [n], not negative; None where all count alike."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows with features and target.

    Attributes:
        features: float32 [n, d]; rows that were taken from others share their matrix.
        y: float64 [n], the target in its unit.
        groups: [n], composition of each row, by its name or number: none is both fitted and validated on.
        weights: float64 [n], how much each row counts; None where all count alike.
    """

    features: Features
    y: NDArray[np.float64]
    groups: NDArray[Any]
    weights: Weights = None

    def __len__(self) -> int:
        """Return n."""
        return len(self.y)

    @property
    def x(self) -> NDArray[np.float32]:
        """The features as an array, float32 [n, d]: a copy, where they are rows of another matrix."""
        return as_array(self.features)

    def take(self, rows: NDArray[Any]) -> "LabelledRows":
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return LabelledRows(take_rows(self.features, rows), self.y[rows], self.groups[rows], weights)
