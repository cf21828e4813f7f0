"""pymatgen's dictionaries (``Structure.as_dict()``, computed entries) to crystals, without pymatgen.

Only numbers and symbols are taken from the dictionary. Its ``@module`` and ``@class``, by which pymatgen would choose
what to construct, are not followed.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_length

_WHOLE: Final = 1e-3  # occupancies this close to one are one


def parse_pymatgen_json(text: str, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Read a structure from JSON text.

    Args:
        text: A structure, or an object that holds one under ``structure``.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: It cannot be read, or is not a crystal.
    """
    check_length(len(text))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StructureError(f"not JSON: {error}") from error
    return crystal_of(found, max_atoms=max_atoms)


def is_structure(found: object) -> bool:
    """Tell whether an object has what a pymatgen structure has."""
    return isinstance(found, Mapping) and "sites" in found and "lattice" in found


def crystal_of(found: object, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of a structure's dictionary.

    Args:
        found: As ``json`` reads it; an object that holds a structure under ``structure`` will do.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: It is not a structure, is disordered, or is not periodic in all directions.
    """
    if isinstance(found, Mapping) and not is_structure(found) and is_structure(found.get("structure")):
        found = found["structure"]
    if not isinstance(found, Mapping):
        raise StructureError("no structure" if found is None else "not a pymatgen structure")
    if "sites" in found and "lattice" not in found:
        raise StructureError("a molecule: it has no cell")
    if not is_structure(found):
        raise StructureError(f"not a pymatgen structure: it has no lattice and no sites ({', '.join(list(found)[:5])})")
    try:
        return _crystal(found, max_atoms)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise StructureError(f"a damaged pymatgen structure: {what[:200]}") from error


def _crystal(found: Mapping[str, Any], max_atoms: int) -> Crystal:
    sites = found["sites"]
    if len(sites) > max_atoms:
        raise TooManyAtomsError.of(len(sites), max_atoms)
    lattice = found["lattice"]
    if not all(lattice.get("pbc") or (True,)):
        raise StructureError("not periodic in all three directions", "slabs and molecules have no crystal embedding")
    numbers = [_number(site["species"]) for site in sites]
    if all("abc" in site for site in sites):
        return make_crystal(numbers, lattice["matrix"], [site["abc"] for site in sites], max_atoms=max_atoms)
    positions = [site["xyz"] for site in sites]
    return make_crystal(numbers, lattice["matrix"], positions, cartesian=True, max_atoms=max_atoms)


def _number(species: list[dict[str, Any]]) -> int:
    if len(species) != 1 or abs(species[0].get("occu", 1.0) - 1.0) > _WHOLE:
        shares = ", ".join(f"{one['element']} {one.get('occu', 1.0):g}" for one in species[:4])
        raise StructureError(f"disordered: a site holds {shares or 'nothing'}", "encoders need one element on a site")
    return atomic_number(species[0]["element"])
