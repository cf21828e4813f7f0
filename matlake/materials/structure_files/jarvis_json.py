"""JARVIS's dictionaries of atoms (``jarvis.core.atoms.Atoms.to_dict``): cell vectors in Å, coordinates, elements."""

from collections.abc import Mapping
from typing import Any, Final

from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import check_atoms

_LATTICE: Final = "lattice_mat"


def is_jarvis(found: object) -> bool:
    """Tell whether an object has what JARVIS's atoms have."""
    return isinstance(found, dict) and _LATTICE in found and "coords" in found and "elements" in found


def jarvis_crystal(found: Mapping[str, Any], max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of such a dictionary; ``cartesian`` says whether coordinates are in Å or fractional.

    Raises:
        StructureError: It is not a crystal.
    """
    elements = found["elements"]
    check_atoms(len(elements), max_atoms)
    cartesian = str(found.get("cartesian", False)).lower() in ("true", "1")
    numbers = [atomic_number(element) for element in elements]
    return make_crystal(numbers, found[_LATTICE], found["coords"], cartesian=cartesian, max_atoms=max_atoms)
