"""Ragged arrays: rows of any length one after another in a flat array, and the offsets at which they begin."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def offsets_of(lengths: NDArray[np.integer] | Sequence[int]) -> NDArray[np.int64]:
    """Return where rows of some lengths begin, and where the last one ends: int64 [n + 1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def ranges(
    offsets: NDArray[np.int64], rows: NDArray[np.integer] | Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the elements of some rows, one row after another, and the offsets of the result."""
    chosen = np.asarray(rows, dtype=np.int64)
    sizes = offsets[chosen + 1] - offsets[chosen]
    new = offsets_of(sizes)
    return np.arange(new[-1]) + np.repeat(offsets[chosen] - new[:-1], sizes), new


def widest_rows(offsets: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the length of the longest row in each group of rows; no group is empty.

    Args:
        offsets: Of the rows.
        groups: Offsets at which groups of rows begin, int64 [g + 1].

    Returns:
        int64 [g].
    """
    lengths = np.diff(offsets)
    return np.maximum.reduceat(lengths, groups[:-1]) if len(groups) > 1 else lengths[:0]
