"""pymatgen's dictionaries (``Structure.as_dict()``, computed entries) to crystals, without pymatgen.

Only numbers and symbols are taken from the dictionary. Its ``@module`` and ``@class``, by which pymatgen would choose
what to construct, are not followed.
"""

from collections.abc import Mapping
from typing import Any

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.disorder import disorder_of, is_ordered
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import NOT_PERIODIC, check_atoms


def is_structure(found: object) -> bool:
    """Tell whether an object has what a pymatgen structure has."""
    return isinstance(found, dict) and "sites" in found and "lattice" in found


def pymatgen_crystal(found: Mapping[str, Any], max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of a structure's dictionary.

    Raises:
        DisorderedError: A site holds several elements, or is vacant in part.
        StructureError: It is not periodic in all directions, or not a crystal.
    """
    sites = found["sites"]
    check_atoms(len(sites), max_atoms)
    lattice = found["lattice"]
    if not all(lattice.get("pbc") or (True,)):
        raise StructureError(*NOT_PERIODIC)
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
