"""What a notebook holds, as crystals and compositions: objects of pymatgen and ASE, matlake's own, text, dictionaries.

Objects are known by their attributes, so neither pymatgen nor ASE is imported here. Anything with the attributes of
pymatgen's ``Structure`` (``lattice``, ``sites``) or of ASE's ``Atoms`` (``numbers``, ``cell``, ``positions``) is a
crystal; anything with such a crystal under ``structure`` (a ``ComputedStructureEntry``, a document of the Materials
Project) stands for it; a dictionary of amounts (pymatgen's ``Composition`` is one) is a composition.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np

from matlake.errors import MatlakeError, StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.disorder import DisorderedError, disorder_of, is_ordered
from matlake.materials.formula import Composition, composition_of_amounts, parse_formula
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.dictionaries import crystal_of, form_of
from matlake.materials.structure_files.sniff import parse_structure
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import NOT_PERIODIC

Material: TypeAlias = Crystal | Composition

_NAMES_OF_MISSING: Final = ("NAType", "NaTType")  # pandas' NA and NaT, which refuse to be compared
_SHOWN: Final = 200
_Z: Final = range(1, len(SYMBOLS) + 1)

Read = TypeVar("Read", Crystal, Composition, Material)


def as_crystal(given: object, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Return the crystal that an object, a text or a dictionary stands for.

    Args:
        given: pymatgen ``Structure`` or something that has one under ``structure``; ASE ``Atoms``; ``Crystal``; text of
            a CIF, a POSCAR or pymatgen's JSON; the dictionary of a structure.
        max_atoms: Largest cell allowed.

    Raises:
        DisorderedError: A site holds several elements, or none in part of the cells; the error has the composition.
        StructureError: It is missing, not a structure, not periodic in all directions, or not a valid crystal.
    """
    return _guarded(_crystal, given, max_atoms)


def crystal_or_error(given: object, *, max_atoms: int = MAX_ATOMS) -> Crystal | StructureError:
    """Return the crystal that something stands for, or what is wrong with it; see ``as_crystal``."""
    try:
        return as_crystal(given, max_atoms=max_atoms)
    except StructureError as error:
        return error


def as_composition(given: object) -> Composition:
    """Return the composition that an object, a text or a dictionary stands for.

    Args:
        given: A formula; pymatgen ``Composition``, or a dictionary of elements and amounts; ``Composition``; or a
            structure as ``as_crystal`` takes it, which may be disordered.

    Raises:
        FormulaError: A formula cannot be read.
        StructureError: It is missing, neither a formula nor a structure, or not a valid crystal.
    """
    try:
        material = as_material(given)
    except DisorderedError as error:
        return error.composition
    return material.composition if isinstance(material, Crystal) else material


def as_material(given: object, *, max_atoms: int = MAX_ATOMS) -> Material:
    """Return the crystal that something stands for, or its composition where it says no more.

    Args:
        given: As for ``as_composition``.
        max_atoms: Largest cell allowed.

    Raises:
        FormulaError: A formula cannot be read.
        DisorderedError: As for ``as_crystal``.
        StructureError: As for ``as_composition``.
    """
    return _guarded(_material, given, max_atoms)


def is_missing(given: object) -> bool:
    """Tell whether a cell is empty: None, NaN, pandas' NA."""
    if given is None or type(given).__name__ in _NAMES_OF_MISSING:
        return True
    return isinstance(given, float | np.floating) and math.isnan(given)


def is_structure_text(text: str) -> bool:
    """Tell whether text can only be that of a structure: no formula and no path has several lines or is JSON."""
    text = text.strip()
    return "\n" in text or text.startswith("{")


def has_structure(given: object) -> bool:
    """Tell whether an object, which is not text, stands for a crystal, be it valid or not.

    A dictionary does if it is a structure itself; one that holds a structure is a row of a table.
    """
    if isinstance(given, dict):
        return bool(form_of(given))
    if isinstance(given, Crystal) or _is_sites(given) or _is_molecule(given):
        return True
    return _is_atoms(given) or _inner(given) is not None


def has_composition(given: object) -> bool:
    """Tell whether an object, which is not text, is a composition without a structure."""
    return isinstance(given, Composition) or _is_amounts(given) or _amounts_of_entry(given) is not None


def _guarded(read: Callable[[Any, int], Read], given: object, max_atoms: int) -> Read:
    """Read an object; what goes wrong inside it is a StructureError as well."""
    try:
        return read(given, max_atoms)
    except MatlakeError:
        raise
    except Exception as error:
        raise StructureError(f"cannot read a {type(given).__name__}: {str(error)[:_SHOWN]}") from error


def _material(given: Any, max_atoms: int) -> Material:
    if isinstance(given, Composition):
        return given
    if isinstance(given, str):
        return _crystal(given.strip(), max_atoms) if is_structure_text(given) else parse_formula(given)
    amounts = given if _is_amounts(given) else _amounts_of_entry(given)
    if amounts is not None:
        return composition_of_amounts(_summed(amounts.items()))
    if is_missing(given):
        raise StructureError("no formula and no structure")
    return _crystal(given, max_atoms)


def _crystal(given: Any, max_atoms: int) -> Crystal:
    if _is_sites(given):
        return _of_sites(given, max_atoms)
    if _is_atoms(given):
        return _of_atoms(given, max_atoms)
    if isinstance(given, Crystal):
        make_crystal(given.numbers, given.lattice, given.positions, max_atoms=max_atoms)  # one may be made by hand
        return given
    if isinstance(given, str):
        return parse_structure(given, max_atoms=max_atoms)
    if isinstance(given, dict) and not _is_amounts(given):
        return crystal_of(given, max_atoms=max_atoms)
    if (inner := _inner(given)) is not None:
        return _crystal(inner, max_atoms)
    if is_missing(given):
        raise StructureError("no structure")
    raise _no_crystal(given)


def _no_crystal(given: object) -> StructureError:
    if has_composition(given):
        return StructureError("a composition, not a crystal structure")
    if _is_molecule(given):
        return StructureError("a molecule: it has no cell")
    if isinstance(given, os.PathLike):
        return StructureError(f"{given} is a path, not a structure", "give its text: path.read_text()")
    return StructureError(
        f"a {type(given).__name__} is neither a structure nor a formula",
        "give pymatgen Structures, ASE Atoms, formulas, or the text of CIF or POSCAR files",
    )


def _is_sites(given: object) -> bool:
    """Tell whether something looks like pymatgen's Structure."""
    return hasattr(given, "lattice") and hasattr(given, "sites")


def _is_molecule(given: object) -> bool:
    """Tell whether something looks like pymatgen's Molecule; a table may have a column of that name."""
    return hasattr(given, "sites") and not hasattr(given, "lattice") and not hasattr(given, "iloc")


def _is_atoms(given: object) -> bool:
    """Tell whether something looks like ASE's Atoms."""
    return hasattr(given, "cell") and hasattr(given, "numbers") and hasattr(given, "positions")


def _inner(given: object) -> object | None:
    """Return the structure of an entry or a document."""
    inner = getattr(given, "structure", None)
    return inner if inner is not None and (_is_sites(inner) or form_of(inner)) else None


def _is_amounts(given: object) -> bool:
    """Tell whether something is a dictionary of elements and amounts."""
    if not isinstance(given, Mapping) or not given:
        return False
    if not all(isinstance(amount, int | float | np.number) for amount in given.values()):
        return False
    return all(_is_element(key) if isinstance(key, str) else hasattr(key, "symbol") or key in _Z for key in given)


def _is_element(symbol: str) -> bool:
    try:
        return symbol[:1].isupper() and bool(atomic_number(symbol))  # "b" is the name of a property
    except StructureError:
        return False


def _amounts_of_entry(given: object) -> Mapping[Any, Any] | None:
    """Return the composition of an entry that has no structure; a molecule has sites and does not count."""
    if hasattr(given, "sites") or _inner(given) is not None:
        return None
    amounts = getattr(given, "composition", None)
    return amounts if isinstance(amounts, Mapping) and _is_amounts(amounts) else None


def _summed(amounts: Iterable[tuple[Any, Any]]) -> dict[int, float]:
    """Add up amounts of species by atomic number: Fe2+ and Fe3+ are one element."""
    total: dict[int, float] = {}
    for species, amount in amounts:
        number = _number(species)
        total[number] = total.get(number, 0.0) + float(amount)
    return total


def _number(species: Any) -> int:
    """Return the atomic number of a symbol, a number, or a species of pymatgen."""
    return int(species) if isinstance(species, int) else atomic_number(getattr(species, "symbol", species))


def _of_sites(given: Any, max_atoms: int) -> Crystal:
    sites, lattice = given.sites, given.lattice
    if len(sites) > max_atoms:
        raise TooManyAtomsError.of(len(sites), max_atoms)
    _check_periodic(getattr(lattice, "pbc", (True,)))
    held = [_summed(site.species.items()) for site in sites]
    if not all(map(is_ordered, held)):
        raise disorder_of(held)
    numbers = [number for site in held for number in site]
    return make_crystal(numbers, lattice.matrix, [site.frac_coords for site in sites], max_atoms=max_atoms)


def _of_atoms(given: Any, max_atoms: int) -> Crystal:
    if len(given.numbers) > max_atoms:
        raise TooManyAtomsError.of(len(given.numbers), max_atoms)
    _check_periodic(getattr(given, "pbc", (True,)))
    _check_occupancies(given)
    return make_crystal(
        given.numbers, np.asarray(given.cell), np.asarray(given.positions), cartesian=True, max_atoms=max_atoms
    )


def _check_periodic(directions: Iterable[Any]) -> None:
    if not all(directions):
        raise StructureError(*NOT_PERIODIC)


def _check_occupancies(given: Any) -> None:
    """Refuse atoms of a disordered crystal: ASE lists each site once and keeps the occupancies beside them.

    See ``ase.spacegroup.crystal``: ``info['occupancy']`` has what each kind of site holds, by the kind as text.
    """
    occupancies = getattr(given, "info", {}).get("occupancy") or {}
    kinds = given.arrays.get("spacegroup_kinds") if occupancies else None
    if kinds is None:
        return
    held = [_summed(occupancies[str(kind)].items()) for kind in kinds]
    if not all(map(is_ordered, held)):
        raise disorder_of(held)
