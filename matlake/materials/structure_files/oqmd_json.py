"""Structures as OQMD's REST interface answers them: ``unit_cell`` in Å, ``sites`` as ``"Mg @ x y z"``, fractional."""

from collections.abc import Mapping
from typing import Any, Final

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_atoms

CELL, SITES = "unit_cell", "sites"
STRUCTURE_FIELDS: Final = frozenset({CELL, SITES})
"""Fields that say what the structure is."""

_AXES: Final = 3


def is_oqmd(found: object) -> bool:
    """Tell whether an object has what an entry of OQMD has."""
    return isinstance(found, dict) and CELL in found and SITES in found


def oqmd_crystal(found: Mapping[str, Any], max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of an entry.

    Raises:
        StructureError: It is not a crystal.
    """
    cell, sites = found[CELL], found[SITES]
    if cell is None or sites is None:
        raise StructureError(f"no structure: {CELL if cell is None else SITES} is null")
    check_atoms(len(sites), max_atoms)
    numbers, positions = [], []
    for site in sites:
        symbol, at, place = site.partition("@")
        if not at or len(place.split()) != _AXES:
            raise StructureError(f"a site that is not 'element @ x y z': {site[:40]!r}")
        numbers.append(atomic_number(symbol))
        positions.append([float(word) for word in place.split()])
    return make_crystal(numbers, cell, positions, max_atoms=max_atoms)
