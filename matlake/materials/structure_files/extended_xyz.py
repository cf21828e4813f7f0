"""Extended XYZ frames to crystals.

The format: https://github.com/libAtoms/extxyz. A frame is a line with the number of atoms, a line of ``key=value``
pairs with the cell, and a line an atom.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import NOT_PERIODIC

Scalar = bool | int | float | str

_PAIR: Final = re.compile(
    r"""(?P<key>"[^"]*"|[^\s="]+)
        (?:\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|\{[^}=]*\}|\[[^=]*\](?=\s|$)|\S+))?""",
    re.VERBOSE,
)
_INTEGER: Final = re.compile("[+-]?[0-9]{1,18}")
_SMALL: Final = re.compile("[0-9]{1,4}")
_TRUTH: Final = {"T": True, "True": True, "true": True, "TRUE": True, "F": False, "False": False, "false": False}
_GEOMETRY: Final = frozenset({"lattice", "properties", "pbc"})
_SPECIES: Final = ("species", "element", "elements", "symbols", "z", "numbers")
_POSITIONS: Final = ("pos", "positions")


def read_comment(line: str) -> dict[str, str]:
    """Split the second line of a frame into keys and values; a key alone has the value ``T``."""
    return {
        match["key"].strip('"'): "T" if match["value"] is None else match["value"].strip()
        for match in _PAIR.finditer(line)
    }


def scalars(pairs: Mapping[str, str]) -> dict[str, Scalar]:
    """Return the pairs that are one number, truth value or text; arrays and the geometry are left out."""
    found: dict[str, Scalar] = {}
    for key, written in pairs.items():
        value = written[1:-1] if written[:1] == '"' else written
        array = written[:1] in ("{", "[") or (
            len(words := value.split()) > 1 and not any(isinstance(_scalar(w), str) for w in words)
        )
        if key.lower() not in _GEOMETRY and not array:
            found[key] = _scalar(value)
    return found


def crystal_of_frame(pairs: Mapping[str, str], atoms: Sequence[str], *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of a frame.

    Args:
        pairs: The second line, split.
        atoms: The lines of the atoms.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: No cell, not periodic, a column or a number missing.
    """
    lower = {key.lower(): value.strip('"[]{}') for key, value in pairs.items()}
    if "lattice" not in lower:
        raise StructureError("no Lattice in the second line: not a periodic cell")
    periodic = [_TRUTH.get(word, word != "0") for word in lower.get("pbc", "T T T").replace(",", " ").split()]
    if not all(periodic):
        raise StructureError(*NOT_PERIODIC)
    cell = _floats(lower["lattice"].replace(",", " ").split(), "Lattice")
    if len(cell) != 9:  # noqa: PLR2004 - three vectors
        raise StructureError(f"Lattice of {len(cell)} numbers, not nine")
    symbol, place = _columns(lower.get("properties", "species:S:1:pos:R:3"))
    rows = [line.split() for line in atoms]
    for number, row in enumerate(rows):
        if len(row) < max(symbol + 1, place + 3):
            raise StructureError(f"atom {number + 1} has {len(row)} columns: {atoms[number].strip()[:60]!r}")
    words = [row[symbol] for row in rows]
    numbers = [int(word) if _SMALL.fullmatch(word) else atomic_number(word) for word in words]
    positions = np.array([_floats(row[place : place + 3], "position") for row in rows])
    return make_crystal(numbers, np.array(cell).reshape(3, 3), positions, cartesian=True, max_atoms=max_atoms)


def _columns(properties: str) -> tuple[int, int]:
    """Return the columns of the species and of x in lines of atoms."""
    words = properties.split(":")
    starts: dict[str, int] = {}
    column = 0
    for name, _, width in zip(words[::3], words[1::3], words[2::3], strict=False):
        starts.setdefault(name.lower(), column)
        column += int(width) if _SMALL.fullmatch(width) else 0
    symbol = next((starts[name] for name in _SPECIES if name in starts), None)
    place = next((starts[name] for name in _POSITIONS if name in starts), None)
    if symbol is None or place is None:
        raise StructureError(f"Properties without species or pos: {properties[:60]!r}")
    return symbol, place


def _floats(words: Sequence[str], what: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        raise StructureError(f"{what} is not a number: {' '.join(words)[:60]!r}") from None


def _scalar(value: str) -> Scalar:
    if value in _TRUTH:
        return _TRUTH[value]
    if _INTEGER.fullmatch(value):
        return int(value)
    try:
        return float(value)
    except ValueError:
        return value
