"""Structures as OPTIMADE describes them (https://www.optimade.org, specification 1.2), and tables with its columns.

Lattice vectors and Cartesian positions are in Å. A species may be a mixture, a vacancy (``vacancy``), or an unknown
element (``X``).
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.disorder import WHOLE, disorder_of, is_ordered
from matlake.materials.structure_files.species import atomic_number
from matlake.materials.structure_files.text import NOT_PERIODIC, check_atoms

LATTICE, POSITIONS, SPECIES_AT_SITES, SPECIES = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species_at_sites",
    "species",
)
STRUCTURE_FIELDS: Final = frozenset(
    {
        LATTICE,
        POSITIONS,
        SPECIES_AT_SITES,
        SPECIES,
        "assemblies",
        "dimension_types",
        "nperiodic_dimensions",
        "structure_features",
        "fractional_site_positions",
        "elements",
        "nelements",
        "elements_ratios",
        "nsites",
    }
)
"""Properties of the standard that say what the structure is; all others are properties of the material."""

_VACANCY: Final = "vacancy"
_UNLISTED: Final = {
    "implicit_atoms": "atoms that no site lists",
    "site_attachments": "atoms attached to sites that no site lists",
    "assemblies": "groups of sites that exclude each other",
    "unknown_positions": "sites without a position",
}
_DIRECTIONS: Final = 3
_SHOWN: Final = 40


def is_optimade(found: object) -> bool:
    """Tell whether an object has the fields of an OPTIMADE structure, null or not."""
    return isinstance(found, dict) and LATTICE in found and POSITIONS in found and SPECIES_AT_SITES in found


def optimade_crystal(found: Mapping[str, Any], max_atoms: int = MAX_ATOMS) -> Crystal:
    """Make a crystal of the attributes of an entry.

    Args:
        found: The attributes; ``species`` may be JSON text, as in tables of LeMaterial.
        max_atoms: Largest cell allowed.

    Raises:
        DisorderedError: A site holds several elements, or is vacant in part.
        StructureError: A part of the structure is null or not listed, or it is not periodic in all directions.
    """
    _refuse_incomplete(found)
    names = found[SPECIES_AT_SITES]
    check_atoms(len(names), max_atoms)
    sites = _sites(found.get(SPECIES), names)
    if not all(map(is_ordered, {id(site): site for site in sites}.values())):
        raise disorder_of(sites)
    numbers = [next(iter(site)) for site in sites]
    try:
        return make_crystal(numbers, found[LATTICE], found[POSITIONS], cartesian=True, max_atoms=max_atoms)
    except StructureError:
        if np.isnan(np.asarray(found[POSITIONS], dtype=np.float64)).any():
            raise StructureError("a site without a position (null)") from None
        raise


def _refuse_incomplete(found: Mapping[str, Any]) -> None:
    missing = [name for name in (LATTICE, POSITIONS, SPECIES_AT_SITES) if found[name] is None]
    if missing:
        raise StructureError(f"no structure: {', '.join(missing)} is null")
    directions = found.get("dimension_types")
    known = directions is not None and None not in directions
    periodic = sum(directions) if known else found.get("nperiodic_dimensions")
    if periodic is not None and periodic != _DIRECTIONS:
        raise StructureError(*NOT_PERIODIC)
    for feature in found.get("structure_features") or ():
        if feature in _UNLISTED:
            raise StructureError(f"{_UNLISTED[feature]} ({feature})")
    if found.get("assemblies"):
        raise StructureError(_UNLISTED["assemblies"])


def _sites(species: Any, names: Sequence[str]) -> list[Mapping[int, float]]:
    """Return what each site holds: atomic number -> occupancy."""
    used = dict.fromkeys(names)
    listed = _of_text(species) if isinstance(species, str) else _by_name(species or ())
    if not listed:
        held = {name: {atomic_number(name): 1.0} for name in used}
    elif unlisted := [name for name in used if name not in listed]:
        raise StructureError(f"species_at_sites has {str(unlisted[0])[:_SHOWN]!r}, which species does not list")
    else:
        held = {name: _shares(listed[name]) for name in used}
    return [held[name] for name in names]


def _by_name(species: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    listed: dict[str, Mapping[str, Any]] = {}
    for one in species:
        if listed.setdefault(one["name"], one) != one:
            raise StructureError(f"two different species have the name {str(one['name'])[:_SHOWN]!r}")
    return listed


@lru_cache(maxsize=4096)
def _of_text(species: str) -> dict[str, Mapping[str, Any]]:
    """Read a list of species from JSON: tables hold the same few texts again and again."""
    return _by_name(json.loads(species))


def _shares(species: Mapping[str, Any]) -> dict[int, float]:
    symbols, shares = species["chemical_symbols"], species.get("concentration")
    if any(species.get("nattached") or species.get("attached") or ()):
        raise StructureError(f"species {str(species['name'])[:_SHOWN]!r} has {_UNLISTED['site_attachments']}")
    if len(symbols) == 1 and (shares is None or abs(shares[0] - 1.0) <= WHOLE):
        return {} if symbols[0] == _VACANCY else {atomic_number(symbols[0]): 1.0}
    if shares is None or len(shares) != len(symbols):
        raise StructureError(f"species {str(species['name'])[:_SHOWN]!r} has no concentration for each symbol")
    held: dict[int, float] = {}
    for symbol, share in zip(symbols, shares, strict=True):
        if symbol != _VACANCY and share != 0:
            z = atomic_number(symbol)
            held[z] = held.get(z, 0.0) + share
    return held
