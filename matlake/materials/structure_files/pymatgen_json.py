"""pymatgen's dictionaries (``Structure.as_dict()``, computed entries) to crystals, without pymatgen.

Only numbers and symbols are taken from the dictionary. Its ``@module`` and ``@class``, by which pymatgen would choose
what to construct, are not followed.
"""

import json
from collections.abc import Mapping
from typing import Any

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.disorder import disorder_of, is_ordered
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_length


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
        DisorderedError: A site holds several elements, or is vacant in part.
        StructureError: It is not a structure, or is not periodic in all directions.
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
    species = [_species(site["species"]) for site in sites]
    if not all(map(is_ordered, species)):
        raise disorder_of(species)
    numbers = [z for one in species for z in one]
    if all("abc" in site for site in sites):
        return make_crystal(numbers, lattice["matrix"], [site["abc"] for site in sites], max_atoms=max_atoms)
    positions = [site["xyz"] for site in sites]
    return make_crystal(numbers, lattice["matrix"], positions, cartesian=True, max_atoms=max_atoms)


def _species(species: list[dict[str, Any]]) -> dict[int, float]:
    """Return the occupancies of a site by atomic number; species of one element, such as Fe2+ and Fe3+, are one."""
    if len(species) == 1:
        return {atomic_number(species[0]["element"]): species[0].get("occu", 1.0)}
    shares: dict[int, float] = {}
    for one in species:
        z = atomic_number(one["element"])
        shares[z] = shares.get(z, 0.0) + one.get("occu", 1.0)
    return shares
