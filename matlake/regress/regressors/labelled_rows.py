"""Rows to learn from: features, target, composition, and how much each row counts."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Weights: TypeAlias = NDArray[np.float64] | None
"""How much each row counts, float64 [n], not negative; None where all count alike."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows with features and target.

    Attributes:
        x: float32 [n, d], features.
        y: float64 [n], the target in its unit.
        groups: str [n], composition of each row: no composition is both fitted and validated on.
        weights: float64 [n], how much each row counts; None where all count alike.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float64]
    groups: NDArray[np.str_]
    weights: Weights = None

    def __len__(self) -> int:
        """Return n."""
        return len(self.y)

    def take(self, rows: NDArray[Any]) -> "LabelledRows":
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        return LabelledRows(self.x[rows], self.y[rows], self.groups[rows], weights)
