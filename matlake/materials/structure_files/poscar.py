"""VASP's POSCAR and CONTCAR to crystals.

The format: https://www.vasp.at/wiki/POSCAR. Files of VASP 4 name no species; they are taken from the comment line where
it lists as many elements as there are counts, as most programs write it.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_length

_FEWEST_LINES: Final = 8  # comment, scale, three vectors, counts, mode, an atom
_NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_COUNT: Final = re.compile("[0-9]{1,9}")
_LINE_SHOWN: Final = 60


def parse_poscar(text: str, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Read the crystal of a POSCAR; velocities and what else follows the positions are not looked at.

    Args:
        text: The file.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: It cannot be read, or is not a crystal.
    """
    check_length(len(text))
    lines = text.splitlines()
    if len(lines) < _FEWEST_LINES:
        raise StructureError(f"{len(lines)} lines, too few for a POSCAR")
    lattice, factors = _scaled(_vectors(lines, 2, 3), lines[1])
    row = 5
    symbols = lines[row].partition("!")[0].split()
    if symbols and _COUNT.fullmatch(symbols[0]):
        symbols = lines[0].split()
    else:
        row += 1
    counts = _counts(lines[row])
    if len(symbols) != len(counts):
        raise StructureError(f"{len(counts)} counts but {len(symbols)} species", "name the species in the line before")
    species = [atomic_number(symbol) for symbol in symbols]
    total = sum(counts)
    if total > max_atoms:
        raise TooManyAtomsError.of(total, max_atoms)
    row += 2 if lines[row + 1].strip()[:1] in ("s", "S") else 1  # selective dynamics
    if len(lines) <= row + total:
        raise StructureError(f"{max(0, len(lines) - row - 1)} lines of positions for {total} atoms")
    cartesian = lines[row].strip()[:1] in ("c", "C", "k", "K")
    positions = _vectors(lines, row + 1, total)
    return make_crystal(
        np.repeat(species, counts),
        lattice,
        positions * factors if cartesian else positions,
        cartesian=cartesian,
        max_atoms=max_atoms,
    )


def _scaled(lattice: NDArray[np.float64], line: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Apply the second line: one factor, one volume (negative), or three factors for x, y and z."""
    scale = [float(word) for word in line.split()[:3] if _NUMBER.fullmatch(word)]
    if not scale or not scale[0]:
        raise StructureError(f"line 2 should hold the scale: {line[:_LINE_SHOWN]!r}")
    factors = np.array(scale) if len(scale) == 3 else np.full(3, scale[0])  # noqa: PLR2004 - x, y, z
    if scale[0] < 0.0:
        volume = abs(float(np.linalg.det(lattice)))
        if not volume > 0.0:
            raise StructureError("the cell vectors lie in a plane")
        factors = np.full(3, (-scale[0] / volume) ** (1 / 3))
    return lattice * factors, factors


def _counts(line: str) -> list[int]:
    words = line.partition("!")[0].split()
    if not words or not all(_COUNT.fullmatch(word) for word in words):
        raise StructureError(f"line {line[:_LINE_SHOWN]!r} should hold the numbers of atoms")
    return [int(word) for word in words]


def _vectors(lines: list[str], start: int, count: int) -> NDArray[np.float64]:
    """Read the first three numbers of some lines: float64 [count, 3]."""
    try:
        return np.array([line.split(None, 3)[:3] for line in lines[start : start + count]], dtype=np.float64).reshape(
            count, 3
        )
    except ValueError:
        for row in range(start, start + count):
            words = lines[row].split(None, 3)[:3]
            if len(words) < 3 or not all(_NUMBER.fullmatch(word) for word in words):  # noqa: PLR2004 - x, y, z
                raise StructureError(
                    f"line {row + 1} should hold three numbers: {lines[row][:_LINE_SHOWN]!r}"
                ) from None
        raise
