"""Rows of a matrix of features by their numbers: folds, samples and test rows are read block by block, not copied."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES: Final = 16 << 20
"""Of a block in float64: what is computed block by block takes a few times that, whatever the number of rows."""


@dataclass(frozen=True)
class FeatureRows:
    """Some rows of a matrix.

    Attributes:
        matrix: float32 [N, d].
        rows: int [n], which of them, in any order.
    """

    matrix: NDArray[np.float32]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        """Return n and d."""
        return len(self.rows), self.matrix.shape[1]


Features: TypeAlias = NDArray[Any] | FeatureRows
"""Features float32 [n, d], as an array or as rows of one."""


def take_rows(x: Features, rows: NDArray[Any]) -> FeatureRows:
    """Return some of the rows, by their numbers or by a mask [n]."""
    chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
    return FeatureRows(x.matrix, x.rows[chosen]) if isinstance(x, FeatureRows) else FeatureRows(x, chosen)


def as_array(x: Features) -> NDArray[Any]:
    """Return the rows as an array of their own."""
    return x.matrix[x.rows] if isinstance(x, FeatureRows) else x


def row_blocks(x: Features) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield the rows block by block, at least one block: which of the n rows, and float32 [m, d]."""
    size = max(1, BLOCK_BYTES // (8 * max(1, x.shape[1])))
    for start in range(0, max(1, len(x)), size):
        part = slice(start, min(start + size, len(x)))
        yield part, x.matrix[x.rows[part]] if isinstance(x, FeatureRows) else x[part]
