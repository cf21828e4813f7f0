"""VASP's POSCAR and CONTCAR to crystals.

The format: https://www.vasp.at/wiki/POSCAR. Files of VASP 4 name no species in a line of their own. They are taken from
behind the positions, or from the comment where it consists of as many symbols as there are counts, as most programs
write it. Where species stand in two places, both must say the same.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_length

_FEWEST_LINES: Final = 8  # comment, scale, three vectors, counts, mode, an atom
_NUMBER: Final = re.compile(r"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
_FORTRAN_EXPONENT: Final = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)", re.ASCII)
_COUNT: Final = re.compile("[0-9]{1,9}")
_SYMBOL_WITH_COUNT: Final = re.compile(r"([A-Z][a-z]?)(\d{0,9})", re.ASCII)
_COMMENT: Final = re.compile("[!#]")
_FLAGS: Final = frozenset({"T", "F", ".TRUE.", ".FALSE.", "t", "f"})
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
    if text.count("configuration=") > 1:
        raise StructureError("a trajectory of several configurations", "write the one that is meant to a POSCAR")
    lattice, factors = _scaled(_vectors(lines, 2, 3), lines[1])
    symbols, row = _words_until(lines, 5, counts=True)
    counts, row = _words_until(lines, row, counts=False, most=len(symbols) or MAX_ATOMS)
    if not counts:
        raise StructureError(f"line {_shown(lines, row)} should hold the numbers of atoms")
    atoms = [int(count) for count in counts]
    if symbols and len(symbols) != len(counts):
        raise StructureError(f"{len(counts)} counts but {len(symbols)} species", "name the species in the line before")
    total = sum(atoms)
    if total > max_atoms:
        raise TooManyAtomsError.of(total, max_atoms)
    selective = _line(lines, row).strip()[:1] in ("s", "S")
    row += selective
    mode = _line(lines, row).strip()
    if mode[:1] and not mode[:1].isalpha():
        raise StructureError(f"line {_shown(lines, row)} should say Direct or Cartesian")
    if len(lines) <= row + total:
        raise StructureError(f"{max(0, len(lines) - row - 1)} lines of positions for {total} atoms")
    positions = _vectors(lines, row + 1, total)
    _refuse_more(lines, row + 1 + total, total)
    cartesian = mode[:1] in ("c", "C", "k", "K")
    behind = [_species_behind(line, selective=selective) for line in lines[row + 1 : row + 1 + total]]
    return make_crystal(
        _species(symbols, atoms, behind, lines[0], row + 2),
        lattice,
        positions * factors if cartesian else positions,
        cartesian=cartesian,
        max_atoms=max_atoms,
    )


def _words_until(lines: list[str], row: int, *, counts: bool, most: int = MAX_ATOMS) -> tuple[list[str], int]:
    """Return the words of one or several lines before one that begins with a count, or before one that does not.

    Args:
        lines: The file.
        row: Where to begin.
        counts: Whether counts end the words; else they are counts, and anything else ends them.
        most: Number of words after which no further line is read.
    """
    found: list[str] = []
    while row < len(lines) and len(found) < most:
        words = _COMMENT.split(lines[row], 1)[0].split()
        if not words or (_COUNT.fullmatch(words[0]) is not None) == counts:
            break
        if counts:
            for word in words:
                atomic_number(word)
        elif not all(_COUNT.fullmatch(word) for word in words):
            raise StructureError(f"line {_shown(lines, row)} should hold the numbers of atoms")
        found += words
        row += 1
    return found, row


def _species(
    symbols: list[str], counts: list[int], behind: list[int | None], comment: str, first: int
) -> NDArray[np.int64]:
    """Return the atomic number of each atom: int64 [n].

    Args:
        symbols: Those of the file's own line, none in a file of VASP 4.
        counts: Numbers of atoms.
        behind: Species behind each position, or None.
        comment: The first line.
        first: Number of the line of the first position, for the message.
    """
    named: list[int] | None = None
    if symbols:
        named = np.repeat([atomic_number(symbol) for symbol in symbols], counts).tolist()
    elif fits := _species_of_comment(comment, counts):
        named = np.repeat(fits, counts).tolist()
    written = [z for z in behind if z is not None]
    if len(written) < len(behind) or not written:
        if named is None:
            raise StructureError(
                f"no species: {len(counts)} counts, and a comment that does not name as many elements",
                "name the species in a line before the counts",
            )
        return np.array(named, dtype=np.int64)
    if named is not None and named != written:
        place = next(place for place, (one, other) in enumerate(zip(named, written, strict=True)) if one != other)
        where = "line of species" if symbols else "comment"
        raise StructureError(
            f"line {first + place} says {SYMBOLS[written[place] - 1]} behind the position, but the {where} "
            f"{SYMBOLS[named[place] - 1]}",
            "correct one of them",
        )
    return np.array(written, dtype=np.int64)


def _species_of_comment(comment: str, counts: list[int]) -> list[int]:
    """Return the species of a comment of symbols, ``Cs Cl`` or ``Cs1 Cl1``, that fits the counts; else none."""
    words = [_SYMBOL_WITH_COUNT.fullmatch(word) for word in comment.split()]
    if len(words) != len(counts):
        return []
    found = []
    for word, count in zip(words, counts, strict=True):
        if word is None or word.group(1) not in ATOMIC_NUMBER or int(word.group(2) or count) != count:
            return []
        found.append(ATOMIC_NUMBER[word.group(1)])
    return found


def _species_behind(line: str, *, selective: bool) -> int | None:
    """Return the species behind a position, after the flags of selective dynamics; None where there is none."""
    rest = line.split(None, 3)[3:]
    if not rest:
        return None
    words = rest[0].replace("!", " ").replace("#", " ").split()
    if selective or (len(words) >= 3 and _FLAGS.issuperset(words[:3])):  # noqa: PLR2004 - x, y, z
        words = words[3:]
    if not words:
        return None
    try:
        return atomic_number(words[0])
    except StructureError:
        return None


def _refuse_more(lines: list[str], row: int, total: int) -> None:
    """Refuse a further position; velocities come after a line without numbers."""
    words = _line(lines, row).split()[:3]
    if len(words) == 3 and all(_NUMBER.fullmatch(_FORTRAN_EXPONENT.sub("e", word)) for word in words):  # noqa: PLR2004
        raise StructureError(f"more than {total} lines of positions for {total} atoms", "correct the counts")


def _line(lines: list[str], row: int) -> str:
    return lines[row] if row < len(lines) else ""


def _shown(lines: list[str], row: int) -> str:
    return f"{row + 1} ({_line(lines, row)[:_LINE_SHOWN]!r})"


def _scaled(lattice: NDArray[np.float64], line: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Apply the second line: one factor, one volume (negative), or three factors for x, y and z."""
    words = [_FORTRAN_EXPONENT.sub("e", word) for word in _COMMENT.split(line, 1)[0].split()]
    scale = [float(word) for word in words[:3] if _NUMBER.fullmatch(word)]
    if len(scale) not in (1, 3) or not all(scale) or (len(scale) > 1 and min(scale) < 0.0):
        raise StructureError(f"line 2 should hold the scale, one number or three: {line[:_LINE_SHOWN]!r}")
    factors = np.array(scale) if len(scale) > 1 else np.full(3, scale[0])
    if scale[0] < 0.0:
        volume = abs(float(np.linalg.det(lattice)))
        if not volume > 0.0:
            raise StructureError("the cell vectors lie in a plane")
        factors = np.full(3, (-scale[0] / volume) ** (1 / 3))
    return lattice * factors, factors


def _vectors(lines: list[str], start: int, count: int) -> NDArray[np.float64]:
    """Read the first three numbers of some lines: float64 [count, 3]."""
    words = [line.split(None, 3)[:3] for line in lines[start : start + count]]
    try:
        return np.array(words, dtype=np.float64).reshape(count, 3)
    except ValueError:
        words = [[_FORTRAN_EXPONENT.sub("e", word) for word in three] for three in words]
        for row, three in enumerate(words, start):
            if len(three) < 3 or not all(_NUMBER.fullmatch(word) for word in three):  # noqa: PLR2004 - x, y, z
                raise StructureError(
                    f"line {row + 1} should hold three numbers: {lines[row][:_LINE_SHOWN]!r}"
                ) from None
        return np.array(words, dtype=np.float64).reshape(count, 3)
