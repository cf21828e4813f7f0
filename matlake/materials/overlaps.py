"""Atoms on top of each other, looked for in many crystals at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from matlake.materials.crystal import SHORTEST_BOND_A, CrystalColumns
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import triangular
from matlake.materials.periodic_table import SYMBOLS

_ROUNDS: Final = 1000  # of lattice reduction; it converges within a few, and any basis gives the right answer


@dataclass(frozen=True)
class Overlap:
    """Two atoms that are closer than any bond.

    Attributes:
        crystal: Its place in the columns.
        first: An atom of it.
        second: Another, or the same one where it meets its own periodic image.
        distance: In Å.
    """

    crystal: int
    first: int
    second: int
    distance: float

    def describe(self, crystals: CrystalColumns) -> str:
        """Say it for people."""
        crystal = crystals[self.crystal]
        one, other = (SYMBOLS[int(crystal.numbers[atom]) - 1] for atom in (self.first, self.second))
        place = ", ".join(f"{value:.4f}" for value in crystal.positions[self.first])
        return f"atoms on top of each other: {one} at ({place}) and {other} are {self.distance:.3f} Å apart"


def find_overlaps(crystals: CrystalColumns, shortest: float = SHORTEST_BOND_A) -> list[Overlap]:
    """Find the crystals in which two atoms, periodic images included, are closer than they can be.

    Args:
        crystals: Any number of them.
        shortest: In Å; atoms at exactly this distance pass.

    Returns:
        One pair for each such crystal, the first one found.
    """
    found = _overlaps(crystals.offsets, crystals.lattices, crystals.positions, shortest)
    return [
        Overlap(int(crystal), int(first), int(second), float(np.sqrt(square)))
        for crystal, (first, second, square) in enumerate(found)
        if first >= 0
    ]


@kernel
def _overlaps(offsets, lattices, positions, shortest):
    """Return (first atom, second atom, squared distance) of each crystal; -1 for the atoms where none are too close."""
    found = np.full((len(lattices), 3), -1.0)
    for crystal in range(len(lattices)):
        start, stop = offsets[crystal], offsets[crystal + 1]
        lattice, change = _reduced(lattices[crystal])
        fractions = np.zeros((stop - start, 3))
        for atom in range(stop - start):
            for column in range(3):
                for row in range(3):
                    fractions[atom, column] += positions[start + atom, row] * change[row, column]
        found[crystal] = _overlap(lattice, fractions, shortest)
    return found


@kernel
def _reduced(lattice):
    """Return a basis of short vectors of the same lattice, and M such that fractional positions f become f M.

    In a skewed cell, a short distance may be that to an image many cells away. Vectors are shortened by each other
    until none gets shorter.
    """
    basis = lattice.copy()
    change = np.eye(3)
    for _ in range(_ROUNDS):
        shortened = False
        for i in range(3):
            for j in range(3):
                if i == j:
                    continue
                times = np.rint((basis[i] * basis[j]).sum() / (basis[j] * basis[j]).sum())
                candidate = basis[i] - times * basis[j]
                if (candidate * candidate).sum() < (basis[i] * basis[i]).sum() * (1 - 1e-9):
                    basis[i] = candidate
                    change[:, j] += times * change[:, i]
                    shortened = True
        if not shortened:
            break
    return basis, change


@kernel
def _overlap(lattice, fractions, shortest):
    """Sweep along the axis on which the cell is widest; atoms further apart along it than ``shortest`` never meet."""
    squares = np.empty(3)
    for axis in range(3):
        normal = np.cross(lattice[(axis + 1) % 3], lattice[(axis + 2) % 3])
        squares[axis] = (lattice[axis] * normal).sum() ** 2 / (normal * normal).sum()
    last = np.argmax(squares)
    axes = np.array([(last + 1) % 3, (last + 2) % 3, last])
    frame = triangular(lattice[axes])
    n = len(fractions)
    places = np.empty((n, 3))
    for column in range(3):
        places[:, column] = fractions[:, axes[column]] - np.floor(fractions[:, axes[column]])
    square = _closest_image(frame, 0.0, 0.0, 0.0, shortest, True)
    if square < shortest * shortest:
        return 0.0, 0.0, square
    reach = shortest / frame[2, 2] * (1 + 1e-12)
    order = np.argsort(places[:, 2], kind="mergesort")
    for k in range(n):
        i = order[k]
        for step in range(1, n):
            j = order[(k + step) % n]
            apart = places[j, 2] - places[i, 2]
            if k + step >= n:
                apart += 1.0
            if apart > reach:
                break
            square = _closest_image(
                frame, places[j, 0] - places[i, 0], places[j, 1] - places[i, 1], apart, shortest, False
            )
            if square < shortest * shortest:
                return float(min(i, j)), float(max(i, j)), square
    return -1.0, -1.0, 0.0


@kernel
def _closest_image(frame, f0, f1, f2, radius, itself):
    """Return the squared length of the shortest image vector within the radius, or of infinity."""
    closest = np.inf
    widest = radius * radius * (1 + 1e-12)
    reach2 = np.sqrt(widest) / frame[2, 2]
    for n2 in range(int(np.ceil(-f2 - reach2)), int(np.floor(-f2 + reach2)) + 1):
        s2 = n2 + f2
        rest2 = widest - (s2 * frame[2, 2]) ** 2
        if rest2 < 0:
            continue
        middle1 = f1 + s2 * frame[2, 1] / frame[1, 1]
        reach1 = np.sqrt(rest2) / frame[1, 1]
        for n1 in range(int(np.ceil(-middle1 - reach1)), int(np.floor(-middle1 + reach1)) + 1):
            s1 = n1 + f1
            rest1 = rest2 - (s2 * frame[2, 1] + s1 * frame[1, 1]) ** 2
            if rest1 < 0:
                continue
            middle0 = f0 + (s2 * frame[2, 0] + s1 * frame[1, 0]) / frame[0, 0]
            reach0 = np.sqrt(rest1) / frame[0, 0]
            for n0 in range(int(np.ceil(-middle0 - reach0)), int(np.floor(-middle0 + reach0)) + 1):
                if itself and n0 == 0 and n1 == 0 and n2 == 0:
                    continue
                x = (middle0 + n0) * frame[0, 0]
                closest = min(closest, x * x + (widest - rest1))
    return closest
