"""Crystals in ``.res`` files as AIRSS writes them.

The format is that of SHELX (https://shelx.uni-goettingen.de) with all atoms written out, ``LATT -1``, and with
``TITL NAME PRESSURE VOLUME ENTHALPY SPIN |SPIN| ATOMS (GROUP) n - COPIES`` (https://airss-docs.github.io). Pressure is
in GPa, volume in Å³ and enthalpy in eV, both of the cell. Files with symmetry or partly occupied sites are refused.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.periodic_table import ATOMIC_NUMBER
from matlake.store.importing.readers import Reader, Record

_TITLE = ("material_id", "pressure_GPa", "volume_A3", "enthalpy_eV")
_NO_ATOMS = frozenset("ZERR REM END FVAR UNIT WGHT HKLF PLAN L.S. BOND FMAP ACTA CONF TEMP SIZE".split())
_CELL_FIELDS, _ATOM_FIELDS, _FULL = 8, 5, 11.0
_P1 = "-1"


def read_res(content: bytes, max_atoms: int) -> Iterator[Record]:
    """Yield the crystals of a file; AIRSS writes one a file, and programs append them to one another."""
    text = content.decode("utf-8", errors="replace")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    starts = [place for place, words in enumerate(lines) if words[0] == "TITL"]
    if not starts:
        raise StructureError("there is no line TITL: not a .res file")
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        properties = _properties(lines[start][1:])
        try:
            yield Record(properties, _crystal(lines[start + 1 : stop], max_atoms))
        except StructureError as error:
            yield Record(properties, error)


def _properties(title: list[str]) -> dict[str, str | float | None]:
    values: dict[str, str | float | None] = {"material_id": title[0]} if title else {}
    return values | {name: _number(word) for name, word in zip(_TITLE[1:], title[1:], strict=False)}


def _crystal(lines: list[list[str]], max_atoms: int) -> Crystal:
    lattice: NDArray[np.float64] | None = None
    symbols: list[str] = []
    numbers: list[int] = []
    positions: list[list[float]] = []
    for words in lines:
        key = words[0].upper()
        if key == "END":
            break
        if key == "CELL":
            lattice = _lattice(_numbers(words[2:], _CELL_FIELDS - 2))
        elif (key == "LATT" and words[1:] != [_P1]) or key == "SYMM":
            raise StructureError(f"{' '.join(words)}: only files with all atoms, LATT -1, are read")
        elif key == "SFAC":
            symbols += words[1:]
        elif key not in _NO_ATOMS and key != "LATT":
            number, position = _atom(words, symbols)
            numbers.append(number)
            positions.append(position)
            if len(numbers) > max_atoms:
                raise TooManyAtomsError(f"more than {max_atoms:,} atoms")
    else:
        raise StructureError("the file ends without END: it is cut off")
    if lattice is None:
        raise StructureError("there is no line CELL")
    return make_crystal(numbers, lattice, positions, max_atoms=max_atoms)


def _atom(words: list[str], symbols: list[str]) -> tuple[int, list[float]]:
    """Read ``NAME TYPE X Y Z OCCUPANCY``; a 1 in front of the occupancy's point, 11 for a full site, means fixed."""
    if len(words) < _ATOM_FIELDS or not words[1].isdecimal() or not 0 < int(words[1]) <= len(symbols):
        raise StructureError(f"{' '.join(words)[:60]!r} is neither an atom nor an instruction that is known")
    symbol = symbols[int(words[1]) - 1]
    if symbol not in ATOMIC_NUMBER:
        raise StructureError(f"{symbol!r} in SFAC is not an element")
    occupancy = _numbers(words[_ATOM_FIELDS : _ATOM_FIELDS + 1], 1)[0] if len(words) > _ATOM_FIELDS else 1.0
    if occupancy not in (1.0, _FULL):
        raise StructureError(f"site {words[0]} is partly occupied ({occupancy:g})")
    return ATOMIC_NUMBER[symbol], _numbers(words[2:_ATOM_FIELDS], 3)


def _lattice(cell: list[float]) -> NDArray[np.float64]:
    """Return the cell vectors in Å, the first along x and the second in the xy plane."""
    lengths: NDArray[np.float64] = np.array(cell[:3])
    alpha, beta, gamma = np.cos(np.radians(cell[3:])).tolist()
    sine = math.sqrt(max(0.0, 1.0 - gamma**2))
    if sine == 0.0:
        raise StructureError("CELL has an angle gamma of 0 or 180°")
    y = (alpha - beta * gamma) / sine
    z = math.sqrt(max(0.0, 1.0 - beta**2 - y**2))
    directions: NDArray[np.float64] = np.array([[1.0, 0.0, 0.0], [gamma, sine, 0.0], [beta, y, z]])
    return lengths[:, None] * directions


def _numbers(words: list[str], count: int) -> list[float]:
    values = [_number(word) for word in words[:count]]
    if len(values) < count or None in values:
        raise StructureError(f"{' '.join(words)[:60]!r} should hold {count} numbers")
    return [value for value in values if value is not None]


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


READER = Reader("res", (".res",), read_res)
