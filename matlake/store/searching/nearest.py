"""Exact nearest neighbours, in two regimes that share the matrix product which finds them.

A search among up to millions of embeddings misses none that is as near as the last, and measures in float64
(``nearest_candidates``); predictions need a fixed number of ten thousand points in a few dimensions, thousands of
times a second, for which a Python loop over points is too slow (``nearest_rows``).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HELD: Final = 1 << 24
"""Squared distances held at once by a search: 64 MB; more where one point has more of them."""

_HELD_BY_ROWS: Final = 1 << 23
"""Likewise for ``nearest_rows``: 32 MB."""

_MEASURED: Final = 1 << 22
"""Numbers of vectors that are measured in float64 at once: 32 MB."""

_UNIT: Final = 2.0**-24
"""Unit roundoff of float32."""


def nearest_candidates(
    points: NDArray[np.float32],
    known: NDArray[np.float32],
    squares: NDArray[np.float64],
    k: int,
    counted: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield for each point the known rows that hold its k nearest, with their distances.

    |x - q|² = |x|² - 2 x·q + |q|² in float32 loses digits where points are close, so all rows are kept whose value is
    within rounding of the k-th smallest (a sum of d products is off by less than d u Σ|xᵢqᵢ|), and measured again.

    Args:
        points: float32 [m, d].
        known: float32 [n, d].
        squares: float64 [n], squared norms of the known rows.
        k: Number wanted.
        counted: bool [n], rows that count; None for all.

    Yields:
        Rows int64 [c], c at least k where so many count: the k nearest, all rows as near as the last of them, and maybe
        more; and their Euclidean distances float64 [c].
    """
    if counted is not None:
        rows = np.flatnonzero(counted)
        if len(rows) < len(known):
            for found, distances in nearest_candidates(points, known[rows], squares[rows], k):
                yield rows[found], distances
            return
    if not len(known):
        yield from ((np.empty(0, dtype=np.int64), np.empty(0)) for _ in points)
        return
    k = min(k, len(known))
    dim = known.shape[1]
    largest = float(np.sqrt(squares.max()))
    norms = squares.astype(np.float32)
    for part, values in _relative_squares(points, known, norms, _HELD):
        for point, row in zip(points[part], values, strict=True):
            length = float(np.linalg.norm(point.astype(np.float64)))
            error = _UNIT * largest * (2 * (dim + 4) * length + 4 * largest)
            bound = np.partition(row, k - 1)[k - 1] + 2 * error
            candidates = np.flatnonzero(row <= bound)
            yield candidates, _distances(point, known, candidates)


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
    from matlake.store.searching.nearest_kernel import smallest  # numba is imported when the first distance is measured

    distances = np.full((len(points), k), np.inf, dtype=np.float32)
    rows = np.zeros((len(points), k), dtype=np.int32)
    norms = np.einsum("ij,ij->i", known, known)
    for part, order_by in _relative_squares(points, known, norms, _HELD_BY_ROWS):
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


def _relative_squares(
    points: NDArray[np.float32], known: NDArray[np.float32], norms: NDArray[np.float32], held: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield squared distances up to a constant for each point, float32 [s, n], for some points at a time.

    Args:
        points: float32 [m, d].
        known: float32 [n, d].
        norms: float32 [n], squared norms of the known rows.
        held: Distances held at once, or those of one point.
    """
    step = max(1, held // max(1, len(known)))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        values = np.matmul(-2.0 * points[part], known.T, dtype=np.float32)
        values += norms
        yield part, values


def _distances(point: NDArray[np.float32], known: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distances of a point to some rows, float64 [c], each by itself: they depend on nothing else."""
    found = np.empty(len(rows))
    step = max(1, _MEASURED // known.shape[1])
    exact = point.astype(np.float64)
    for start in range(0, len(rows), step):
        difference = known[rows[start : start + step]].astype(np.float64) - exact
        found[start : start + step] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return found
