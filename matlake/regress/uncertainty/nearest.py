"""Nearest neighbours for predictions: among fifty thousand points in a few dimensions, thousands of times a second.

Searches among the vectors of a lake are those of ``store.searching.k_nearest``.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FEW: Final = 64
"""Points for which numpy does what otherwise a compiled kernel does: importing numba takes as long as thousands."""

_HELD: Final = 1 << 23
"""Squared distances held at once: 32 MB; more where one point has more of them."""


def nearest_rows(
    points: NDArray[np.float32],
    known: NDArray[np.float32],
    k: int,
    groups: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the k nearest known points of each point, nearest first.

    Args:
        points: float32 [n, p].
        known: float32 [m, p].
        k: Number wanted; where there are fewer, distances are infinite and rows 0.
        groups: Numbers [n] and [m]; a known point of a point's own number does not count.

    Returns:
        Euclidean distances float32 [n, k], and rows of ``known`` int32 [n, k].
    """
    smallest = smallest_of_few if len(points) <= FEW and not load_kernel.cache_info().currsize else load_kernel()
    distances = np.full((len(points), k), np.inf, dtype=np.float32)
    rows = np.zeros((len(points), k), dtype=np.int32)
    norms = np.einsum("ij,ij->i", known, known)
    step = max(1, _HELD // max(1, len(known)))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        order_by = np.matmul(-2.0 * points[part], known.T, dtype=np.float32)
        order_by += norms
        if groups is not None:
            order_by[groups[0][part, None] == groups[1][None]] = np.inf
        found = np.zeros((len(order_by), k), dtype=np.bool_)
        smallest(order_by, rows[part], found)
        # |a|² + |b|² - 2ab loses digits where points are close: the few that count are measured again
        exact = np.sqrt(np.sum((points[part, None] - known[rows[part]]) ** 2, axis=2))
        exact[~found] = np.inf
        order = np.argsort(exact, axis=1, kind="stable")
        distances[part] = np.take_along_axis(exact, order, axis=1)
        rows[part] = np.take_along_axis(rows[part], order, axis=1)
    return distances, rows


@cache
def load_kernel() -> Callable[[Any, Any, Any], None]:
    """Import numba and the compiled kernel, which from then on is used for few points, too.

    A server does so when it starts: the kernel is ten times as fast.
    """
    from matlake.regress.uncertainty.nearest_kernel import smallest

    compiled: Callable[[Any, Any, Any], None] = smallest
    return compiled


def smallest_of_few(values: NDArray[np.float32], columns: NDArray[np.int32], found: NDArray[np.bool_]) -> None:
    """Do what ``nearest_kernel.smallest`` does, without numba.

    Args:
        values: float32 [n, m].
        columns: int32 [n, k], filled with the columns of the k smallest finite values of each row, ascending; of equal
            ones the first.
        found: bool [n, k], set where there is one.
    """
    k = columns.shape[1]
    for row, chosen, known in zip(values, columns, found, strict=True):
        bound = np.partition(row, k - 1)[k - 1] if k < len(row) else np.inf
        near = np.flatnonzero(row <= bound) if bound < np.inf else np.flatnonzero(row < np.inf)
        near = near[np.argsort(row[near], kind="stable")][:k]
        chosen[: len(near)] = near
        known[: len(near)] = True
