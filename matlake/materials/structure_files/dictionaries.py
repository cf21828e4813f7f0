"""Structures as objects of JSON, in the forms of pymatgen, JARVIS, OPTIMADE and OQMD."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal
from matlake.materials.structure_files.jarvis_json import is_jarvis, jarvis_crystal
from matlake.materials.structure_files.optimade_json import is_optimade, optimade_crystal
from matlake.materials.structure_files.oqmd_json import is_oqmd, oqmd_crystal
from matlake.materials.structure_files.pymatgen_json import is_structure, pymatgen_crystal
from matlake.materials.structure_files.text import check_length

_FORMS: Final[dict[str, tuple[Callable[[object], bool], Callable[[Any, int], Crystal]]]] = {
    "pymatgen": (is_structure, pymatgen_crystal),
    "JARVIS": (is_jarvis, jarvis_crystal),
    "OPTIMADE": (is_optimade, optimade_crystal),
    "OQMD": (is_oqmd, oqmd_crystal),
}
_NESTED: Final = ("structure", "atoms", "attributes")
_SHOWN: Final = 200


def form_of(found: object) -> str:
    """Return the form that an object has: ``pymatgen``, ``JARVIS``, ``OPTIMADE``, ``OQMD``; ``""`` for none."""
    return next((form for form, (fits, _) in _FORMS.items() if fits(found)), "")


def crystal_of(found: object, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of a structure in any of the forms.

    Args:
        found: As ``json`` reads it; an object that holds a structure under ``structure``, ``atoms`` or ``attributes``
            will do.
        max_atoms: Largest cell allowed.

    Raises:
        DisorderedError: A site holds several elements, or is vacant in part.
        StructureError: It is in none of the forms, or is not a crystal.
    """
    form = form_of(found)
    if not form and isinstance(found, Mapping):
        found, form = next(((found[key], form) for key in _NESTED if (form := form_of(found.get(key)))), (found, ""))
    if not form:
        raise _no_structure(found)
    try:
        return _FORMS[form][1](found, max_atoms)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise StructureError(f"a damaged {form} structure: {what[:_SHOWN]}") from error


def parse_structure_json(text: str, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Read a structure from JSON text.

    Args:
        text: A structure, or an object that holds one; see ``crystal_of``.
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


def looks_like_structure(text: str) -> str:
    """Return the form that JSON text seems to have by the names in it, ``""`` for none."""
    names = {
        "pymatgen": ('"lattice"', '"sites"'),
        "JARVIS": ('"lattice_mat"', '"coords"'),
        "OPTIMADE": ('"lattice_vectors"', '"species_at_sites"'),
        "OQMD": ('"unit_cell"', '"sites"'),
    }
    return next((form for form, both in names.items() if all(name in text for name in both)), "")


def _no_structure(found: object) -> StructureError:
    if found is None or found == {}:
        return StructureError("no structure")
    if not isinstance(found, Mapping):
        return StructureError("not a structure")
    if "sites" in found:
        return StructureError("a molecule: it has no cell")
    fields = ", ".join(str(name) for name in list(found)[:5])
    return StructureError(f"not a structure of pymatgen, JARVIS, OPTIMADE or OQMD: it has the fields {fields}")
