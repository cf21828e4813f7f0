"""Which format a text is in."""

import re
from typing import Final

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal
from matlake.materials.structure_files.dictionaries import looks_like_structure, parse_structure_json
from matlake.materials.structure_files.poscar import parse_poscar

_HEAD: Final = 1 << 16
_CIF: Final = re.compile(r"^[ \t]*(?:data_\S*|loop_|_cell[_.]length_a\b)", re.MULTILINE | re.IGNORECASE)
_THREE_NUMBERS: Final = re.compile(r"\s*+(?:[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eEdD][+-]?\d++)?(?:\s++|$)){3}")
_LATTICE_LINES: Final = slice(2, 5)  # of a POSCAR


def recognised(text: str) -> str:
    """Return ``cif``, ``poscar`` or the form of a JSON object by the look of a text, ``""`` if it is none of them."""
    head = text[:_HEAD]
    if head.lstrip("\ufeff \t\r\n").startswith("{"):
        return looks_like_structure(text)
    if _CIF.search(head):
        return "cif"
    vectors = head.split("\n", _LATTICE_LINES.stop)[_LATTICE_LINES]
    poscar = len(vectors) == 3 and all(_THREE_NUMBERS.match(line) for line in vectors)  # noqa: PLR2004 - a, b, c
    return "poscar" if poscar else ""


def parse_structure(text: str | None, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Read one crystal from text in any of the formats: CIF, POSCAR, JSON of pymatgen, JARVIS, OPTIMADE or OQMD.

    Args:
        text: The text; None or blank where a table has no value.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: It is in none of the formats, or not a crystal.
    """
    if text is None or not text.strip():
        raise StructureError("no structure")
    kind = recognised(text)
    if kind == "cif":
        from matlake.materials.structure_files.cif import parse_cif  # numba, for symmetry, takes a second to import

        return parse_cif(text, max_atoms=max_atoms)
    if kind == "poscar":
        return parse_poscar(text, max_atoms=max_atoms)
    if text.lstrip().startswith("{"):
        return parse_structure_json(text, max_atoms=max_atoms)
    raise StructureError(f"neither CIF nor POSCAR nor JSON of a structure: {text.strip()[:40]!r}")
