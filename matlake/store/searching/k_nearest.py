"""Exact nearest neighbours of some points among rows that come by in blocks, in memory that the rows do not fill.

None that is as near as the last is missed, and distances are measured in float64. A matrix product in float32 says
which rows can be among the nearest: |x - q|² - |q|² = |x|² - 2 x·q loses digits where points are close, but its error
has a bound (a sum of d products is off by less than d u Σ|xᵢqᵢ|, u being the unit roundoff). Rows within that bound of
the k-th nearest so far are measured again, one by one.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HELD: Final = 1 << 24
"""Squared distances held at once: 64 MB; more where one point has more of them in a block."""

_MEASURED: Final = 1 << 22
"""Numbers of vectors that are measured in float64 at once: 32 MB."""

_MOST: Final = 1 << 48
"""No lake has so many rows; places among them fit into int64."""

_UNIT: Final = 2.0**-24
"""Unit roundoff of float32."""

_UNIT_64: Final = 2.0**-48
"""More than what is lost between a distance in float64 and its square."""

_LARGEST: Final = float(np.finfo(np.float32).max)


class KNearest:
    """The k nearest rows of each of some points, and all rows as near as the last of them."""

    def __init__(self, points: NDArray[np.float32], k: int) -> None:
        """Begin without rows.

        Args:
            points: float32 [q, d].
            k: Number wanted.
        """
        self.points = points
        self.k = min(k, _MOST)
        self._exact = points.astype(np.float64)
        self._squares = np.einsum("ij,ij->i", self._exact, self._exact)
        self._limits = np.full(len(points), np.inf)  # the squared distance of the k-th, less the point's square
        self._which = np.empty(0, dtype=np.int64)
        self._rows = np.empty(0, dtype=np.int64)
        self._distances = np.empty(0)

    @property
    def is_full(self) -> bool:
        """Whether k rows were found for every point, so that few of the rows to come can matter."""
        return bool(np.isfinite(self._limits).all())

    def add(
        self,
        rows: NDArray[np.int64],
        vectors: NDArray[np.float32],
        squares: NDArray[np.float32],
        counted: NDArray[np.bool_] | None = None,
        keep: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
    ) -> None:
        """Look at a block of rows.

        Args:
            rows: int64 [b], their numbers.
            vectors: float32 [b, d].
            squares: float32 [b], their squared norms, summed in float32 or better.
            counted: bool [b], rows that count; None for all.
            keep: Says of some of the rows, by their places in the block, which count. It is asked of the few that may
                be near, so that a block needs no ``counted`` once this ``is_full``.
        """
        if counted is not None and not counted.all():
            squares = np.where(counted, squares, np.float32(np.inf))
            largest = float(np.sqrt(squares[counted].max(initial=0.0)))
        else:
            largest = float(np.sqrt(squares.max(initial=0.0)))
        if not len(rows):
            return
        step = max(1, _HELD // len(rows))
        for start in range(0, len(self.points), step):
            part = slice(start, start + step)
            which, found = self._candidates(part, vectors, squares, largest, counted)
            if keep is not None:
                counts = keep(found)
                which, found = which[counts], found[counts]
            self._keep(start + which, rows[found], self._measure(start + which, vectors, found))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows that are among the nearest so far, once for each point that they are near."""
        return self._rows

    def add_measured(self, which: NDArray[np.int64], rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Look at rows that were found otherwise: row ``rows[i]`` with ``vectors[i]`` for point ``which[i]``."""
        self._keep(which, rows, self._measure(which, vectors, np.arange(len(rows))))

    def pairs_within(
        self, distance: float, vectors: NDArray[np.float32], squares: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of a point and a row; see ``within``."""
        self._limits = distance**2 - self._squares
        largest = float(np.sqrt(squares.max(initial=0.0)))
        which, found = self._candidates(slice(None), vectors, squares, largest, None)
        near = self._measure(which, vectors, found) <= distance
        return which[near], found[near]

    def result(self) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return for each point the rows, nearest first, and their Euclidean distances."""
        starts = np.searchsorted(self._which, np.arange(len(self.points) + 1))
        return [(self._rows[start:end], self._distances[start:end]) for start, end in pairwise(starts)]

    def _candidates(
        self,
        part: slice,
        vectors: NDArray[np.float32],
        squares: NDArray[np.float32],
        largest: float,
        counted: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of a point, counted from the first of the part, and a row of the block that may be near it."""
        points = self.points[part]
        if not np.isfinite(largest):  # squares that float32 does not hold
            every = np.arange(len(vectors)) if counted is None else np.flatnonzero(counted)
            return np.repeat(np.arange(len(points)), len(every)), np.tile(every, len(points))
        values = np.matmul(-2.0 * points, vectors.T, dtype=np.float32)
        values += squares
        lengths = np.sqrt(self._squares[part])
        sums = _UNIT * (vectors.shape[1] + 4)
        error = sums * largest * (2.0 * lengths + largest) + _UNIT_64 * (lengths + largest) ** 2
        limits = self._limits[part] + error
        fresh = np.flatnonzero(~np.isfinite(limits))
        if len(fresh) and len(vectors) >= self.k:
            some = values if len(fresh) == len(values) else values[fresh]
            limits[fresh] = np.partition(some, self.k - 1, axis=1)[:, self.k - 1] + 2.0 * error[fresh]
        bounds = np.nextafter(np.minimum(limits, _LARGEST).astype(np.float32), np.float32(_LARGEST))
        near = values <= bounds[:, None]
        which, found = np.divmod(np.flatnonzero(near), len(vectors))
        return which, found

    def _measure(
        self, which: NDArray[np.int64], vectors: NDArray[np.float32], found: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the distances of pairs of a point and a row, each by itself: they depend on nothing else."""
        distances = np.empty(len(found))
        step = max(1, _MEASURED // vectors.shape[1])
        for start in range(0, len(found), step):
            part = slice(start, start + step)
            difference = vectors[found[part]].astype(np.float64) - self._exact[which[part]]
            distances[part] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return distances

    def _keep(self, which: NDArray[np.int64], rows: NDArray[np.int64], distances: NDArray[np.float64]) -> None:
        """Take pairs up among the nearest, and drop those that are no longer."""
        if not len(which):
            return
        which, rows = np.concatenate([self._which, which]), np.concatenate([self._rows, rows])
        distances = np.concatenate([self._distances, distances])
        order = np.lexsort((rows, distances, which))
        which, rows, distances = which[order], rows[order], distances[order]
        starts = np.searchsorted(which, np.arange(len(self.points) + 1))
        last = starts[:-1] + self.k - 1
        full = last < starts[1:]
        bounds = np.full(len(self.points), np.inf)
        bounds[full] = distances[last[full]]
        kept = distances <= bounds[which]
        self._which, self._rows, self._distances = which[kept], rows[kept], distances[kept]
        self._limits = bounds**2 - self._squares


def within(
    points: NDArray[np.float32], vectors: NDArray[np.float32], squares: NDArray[np.float32], distance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of a point [q, d] and a row [b, d] that are no farther apart than a distance, in float64.

    Args:
        points: float32 [q, d].
        vectors: float32 [b, d].
        squares: float32 [b], as for ``KNearest.add``.
        distance: Largest distance.

    Returns:
        Numbers of points and of rows, int64 [p] each.
    """
    return KNearest(points, 1).pairs_within(distance, vectors, squares)


def squares_of(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the squared norms of vectors [n, d], float32 [n]."""
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", vectors, vectors)
    return squares
