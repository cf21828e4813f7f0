"""Exact nearest neighbours: matrix products find the few rows that can be nearest, float64 decides among them."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HELD: Final = 1 << 24
"""Squared distances held at once: 64 MB; more where one point has more of them."""

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
    step = max(1, _HELD // len(known))
    for start in range(0, len(points), step):
        some = points[start : start + step]
        values = (-2.0 * some) @ known.T
        values += norms
        for point, row in zip(some, values, strict=True):
            length = float(np.linalg.norm(point.astype(np.float64)))
            error = _UNIT * largest * (2 * (dim + 4) * length + 4 * largest)
            bound = np.partition(row, k - 1)[k - 1] + 2 * error
            candidates = np.flatnonzero(row <= bound)
            yield candidates, _distances(point, known, candidates)


def _distances(point: NDArray[np.float32], known: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distances of a point to some rows, float64 [c], each by itself: they depend on nothing else."""
    found = np.empty(len(rows))
    step = max(1, _MEASURED // known.shape[1])
    exact = point.astype(np.float64)
    for start in range(0, len(rows), step):
        difference = known[rows[start : start + step]].astype(np.float64) - exact
        found[start : start + step] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return found
