"""Periodic neighbour lists, exact for every cell, without the GIL.

In the frame in which the lattice is lower triangular, the image vector of a pair is ``s T`` with ``s`` the difference
of fractional positions plus whole numbers. Its last component depends on the third number only, the one before on two,
so that three nested intervals contain every image inside the sphere and none that could be left out (Fincke and
Pohst, Math. Comp. 44, 463, 1985). Skewed and tiny cells need no special case.

**The nearest k.** Where the k-th and the (k+1)-th neighbour are equally far, any choice between them would depend on
the order of the atoms, on the cell or on rounding. So the whole shell stays, and its m members share the r places left
with the weight r/m each. Neighbours belong to one shell when their distances differ by less than ``SHELL_A``, link by
link. Of the 14 nearest in CsCl, the 8 at the first distance count fully, and the 6 behind them 4/6 each.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.colours import ascending
from matlake.materials.crystal import Crystal
from matlake.materials.kernels import kernel

SHELL_A: Final = 1e-4
"""Distances closer than this are equal: above the noise of relaxed positions, below any change of bonding."""

_EDGE_A: Final = 1e-8  # a neighbour at exactly the cutoff is not lost to rounding

_FIRST_SEARCH_A: Final = 5.0  # holds 12 neighbours nearly always, and a quarter of the images of 8 Å


@dataclass(frozen=True)
class NeighbourList:
    """The neighbours of every atom of a crystal, nearest first.

    Attributes:
        first: int64 [n + 1]; the neighbours of atom i are ``first[i]:first[i + 1]`` of the other arrays.
        neighbours: int32 [pairs], index of the neighbour within the cell.
        shifts: int32 [pairs, 3], the cell it is in, counted in cell vectors from the position given.
        distances: float64 [pairs] in Å.
        weights: float64 [pairs]; below one for a shell that only partly fits under the cap.
    """

    first: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    shifts: NDArray[np.int32]
    distances: NDArray[np.float64]
    weights: NDArray[np.float64]


def neighbour_list(crystal: Crystal, cutoff: float, max_neighbours: int = 0) -> NeighbourList:
    """Find all neighbours of all atoms within a cutoff, periodic images of the atom itself included.

    Args:
        crystal: The crystal.
        cutoff: In Å; a neighbour at exactly this distance counts.
        max_neighbours: Keep the nearest ones only, whole shells with weights (see above); 0 keeps all.
    """
    lattice, positions = plain(crystal.lattice), plain(crystal.positions)
    first, neighbours, shifts, vectors, weights, _ = search(lattice, positions, float(cutoff), max_neighbours, 0.0)
    return NeighbourList(first, neighbours, shifts, vectors[:, 3].copy(), weights)


def plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy, contiguous and writable: numba compiles anew for every other kind of array."""
    return np.require(array, requirements=["C", "W"])


@kernel
def search(lattice, positions, cutoff, max_neighbours, resolution):
    """Find neighbours.

    Returns:
        What ``NeighbourList`` holds, but for ``vectors`` float64 [pairs, 4], in the triangular frame, with the distance
        last, and ``lines`` int32 [pairs]: pairs of one line differ in distance by no more than the resolution.
    """
    frame = triangular(lattice)
    if max_neighbours > 0 and cutoff > _FIRST_SEARCH_A:
        first, neighbours, shifts, vectors, lines = _within(frame, positions, _FIRST_SEARCH_A, resolution)
        if _complete(first, vectors, max_neighbours, _FIRST_SEARCH_A):
            return _cap(first, neighbours, shifts, vectors, lines, max_neighbours)
    first, neighbours, shifts, vectors, lines = _within(frame, positions, cutoff, resolution)
    if max_neighbours > 0:
        return _cap(first, neighbours, shifts, vectors, lines, max_neighbours)
    return first, neighbours, shifts, vectors, np.ones(len(neighbours)), lines


@kernel
def _complete(first, vectors, most, radius):
    """Say whether the shell that the cap falls into ends, for every atom, within the sphere that was searched."""
    for atom in range(len(first) - 1):
        last = first[atom] + most - 1
        if last >= first[atom + 1]:
            return False
        while last + 1 < first[atom + 1] and vectors[last + 1, 3] - vectors[last, 3] < SHELL_A:
            last += 1
        if last + 1 == first[atom + 1] and radius - vectors[last, 3] < SHELL_A:
            return False
    return True


@kernel
def triangular(lattice):
    """Return T, lower triangular, with ``lattice = T Q`` and Q a rotation (Gram and Schmidt on the rows)."""
    frame = np.zeros((3, 3))
    axes = np.zeros((3, 3))
    for row in range(3):
        rest = lattice[row].copy()
        for _ in range(2):  # once more, for flat cells
            for axis in range(row):
                along = rest[0] * axes[axis, 0] + rest[1] * axes[axis, 1] + rest[2] * axes[axis, 2]
                frame[row, axis] += along
                for k in range(3):
                    rest[k] -= along * axes[axis, k]
        frame[row, row] = np.sqrt(rest[0] ** 2 + rest[1] ** 2 + rest[2] ** 2)
        for k in range(3):
            axes[row, k] = rest[k] / frame[row, row]
    return frame


@kernel
def _within(frame, positions, cutoff, resolution):
    """Return all neighbours within the cutoff, sorted by distance for each atom; see ``search``."""
    n = len(positions)
    volume = frame[0, 0] * frame[1, 1] * frame[2, 2]
    capacity = int(n * (0.7 * n / volume * 4.19 * cutoff**3 + 8.0))
    pairs = np.empty((capacity, 5), dtype=np.int32)  # each pair once: two atoms, shift
    vectors = np.empty((capacity, 3))
    squares = np.empty(capacity)
    square = (cutoff + _EDGE_A) ** 2
    widest = square * (1 + 1e-12)  # bounds must not lose an image at the cutoff to rounding; the last test decides
    t00, t10, t11, t20, t21, t22 = frame[0, 0], frame[1, 0], frame[1, 1], frame[2, 0], frame[2, 1], frame[2, 2]
    reach = np.sqrt(widest) / t22
    count = 0
    first = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        for j in range(i, n):
            f0 = positions[j, 0] - positions[i, 0]
            f1 = positions[j, 1] - positions[i, 1]
            f2 = positions[j, 2] - positions[i, 2]
            for n2 in range(0 if i == j else int(np.ceil(-f2 - reach)), int(np.floor(-f2 + reach)) + 1):
                s2 = n2 + f2
                z = s2 * t22
                left = widest - z * z
                if left < 0:
                    continue
                middle = f1 + s2 * t21 / t11
                reach1 = np.sqrt(left) / t11
                for n1 in range(int(np.ceil(-middle - reach1)), int(np.floor(-middle + reach1)) + 1):
                    s1 = n1 + f1
                    y = s2 * t21 + s1 * t11
                    rest = left - y * y
                    if rest < 0:
                        continue
                    along = s2 * t20 + s1 * t10
                    start = f0 + along / t00
                    reach0 = np.sqrt(rest) / t00
                    for n0 in range(int(np.ceil(-start - reach0)), int(np.floor(-start + reach0)) + 1):
                        if i == j and n2 == 0 and (n1 < 0 or (n1 == 0 and n0 <= 0)):
                            continue
                        x = along + (n0 + f0) * t00
                        distance2 = x * x + y * y + z * z
                        if distance2 > square:
                            continue
                        if count == capacity:
                            capacity *= 2
                            pairs, vectors, squares = _grown(pairs, vectors, squares, capacity)
                        pairs[count, 0] = i
                        pairs[count, 1] = j
                        pairs[count, 2] = n0
                        pairs[count, 3] = n1
                        pairs[count, 4] = n2
                        vectors[count, 0] = x
                        vectors[count, 1] = y
                        vectors[count, 2] = z
                        squares[count] = distance2
                        first[i + 1] += 1
                        first[j + 1] += 1
                        count += 1
    for i in range(n):
        first[i + 1] += first[i]
    return _both_directions(first, pairs, vectors, squares[:count], resolution)


@kernel
def _both_directions(first, pairs, vectors, squares, resolution):
    """Enter each pair under both its atoms, nearest first."""
    order = ascending(squares)
    ends = first[:-1].copy()
    neighbours = np.empty(first[-1], dtype=np.int32)
    shifts = np.empty((first[-1], 3), dtype=np.int32)
    ordered = np.empty((first[-1], 4))
    lines = np.empty(first[-1], dtype=np.int32)
    line, line_start = -1, -np.inf
    for pair in order:
        distance = np.sqrt(squares[pair])
        if distance - line_start > resolution:
            line += 1
            line_start = distance
        for end in range(2):
            sign = 1 - 2 * end
            owner = pairs[pair, end]
            e = ends[owner]
            ends[owner] += 1
            neighbours[e] = pairs[pair, 1 - end]
            for k in range(3):
                shifts[e, k] = sign * pairs[pair, 2 + k]
                ordered[e, k] = sign * vectors[pair, k]
            ordered[e, 3] = distance
            lines[e] = line
    return first, neighbours, shifts, ordered, lines


@kernel
def _grown(pairs, vectors, squares, capacity):
    more_pairs = np.empty((capacity, 5), dtype=np.int32)
    more_vectors = np.empty((capacity, 3))
    more_squares = np.empty(capacity)
    for p in range(len(pairs)):
        for k in range(5):
            more_pairs[p, k] = pairs[p, k]
        for k in range(3):
            more_vectors[p, k] = vectors[p, k]
        more_squares[p] = squares[p]
    return more_pairs, more_vectors, more_squares


@kernel
def _cap(first, neighbours, shifts, vectors, lines, most):
    """Keep the nearest ``most``; a shell that only partly fits stays whole, with weights below one."""
    n = len(first) - 1
    kept = np.zeros(n + 1, dtype=np.int64)
    weights = np.empty(len(neighbours))
    end = 0
    for i in range(n):
        a, b = first[i], first[i + 1]
        inner = stop = b
        if b - a > most:
            inner = a + most
            while inner > a and vectors[inner, 3] - vectors[inner - 1, 3] < SHELL_A:
                inner -= 1
            stop = a + most
            while stop < b and vectors[stop, 3] - vectors[stop - 1, 3] < SHELL_A:
                stop += 1
        for e in range(a, stop):  # moves towards the front: nothing is overwritten that is still needed
            neighbours[end] = neighbours[e]
            for k in range(3):
                shifts[end, k] = shifts[e, k]
            for k in range(4):
                vectors[end, k] = vectors[e, k]
            lines[end] = lines[e]
            weights[end] = 1.0 if e < inner else (a + most - inner) / (stop - inner)
            end += 1
        kept[i + 1] = end
    return kept, neighbours[:end], shifts[:end], vectors[:end], weights[:end], lines[:end]
