"""CIFs with sites that are occupied in part: their composition, held against what the file states as for crystals."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.disorder import DisorderedError, disorder_of, exact_occupancy
from matlake.materials.structure_files.cif_sites import Sites
from matlake.materials.structure_files.cif_symmetry import Symmetry
from matlake.materials.structure_files.stated import Content, Stated
from matlake.materials.structure_files.symmetry import MERGED_A, Operations, whole_cell

_MOST_NUMBERED: Final = np.iinfo(np.int16).max
_MOST_SITES: Final = 2000
"""Sites that are compared with all others: some seconds at the very most."""


def disorder_in_cif(
    sites: Sites, symmetry: Symmetry, stated: Stated, lattice: NDArray[np.float64], max_atoms: int
) -> DisorderedError:
    """Return the error for a block with partial occupancies, which has the composition.

    Args:
        sites: The sites, with their occupancies.
        symmetry: What the block says of symmetry.
        stated: What it states of its content.
        lattice: float64 [3, 3] in Å.
        max_atoms: Largest number of atoms, after symmetry.

    Raises:
        StructureError: No reading of the file agrees with what it states, or several do that differ; or a site holds
            more than one atom.
    """
    stated = replace(stated, multiplicities=())  # they count sites, not atoms
    reason = ""
    for tier in symmetry.tiers:
        found: list[DisorderedError] = []
        for operations in tier:
            if operations.fit(lattice):
                for disorder, contradiction in _readings(sites, operations, stated, lattice, max_atoms):
                    reason = reason or contradiction
                    found += [] if contradiction else [disorder]
        if found:
            if not symmetry.confirmed and not (stated.counts_atoms and stated.formulas):
                raise StructureError(symmetry.ambiguity, "list all symmetry operations, or state formula and Z")
            if any(one.composition != found[0].composition for one in found):
                raise StructureError(sites.ambiguity or symmetry.ambiguity, "give type symbols and all operations")
            return found[0]
    raise StructureError(reason or "the cell does not have the symmetry of its operations", "check axes and sites")


def _readings(
    sites: Sites, operations: Operations, stated: Stated, lattice: NDArray[np.float64], max_atoms: int
) -> Iterator[tuple[DisorderedError, str]]:
    """Yield the disorder of each reading of the labels, and what the file states otherwise."""
    if len(sites.positions) > _MOST_NUMBERED:
        raise TooManyAtomsError.of(len(sites.positions), _MOST_NUMBERED)
    order = np.arange(len(sites.positions), dtype=np.int16)
    of_site, places = whole_cell(order, sites.positions, lattice, operations, max_atoms)
    groups = _places_shared(of_site, places, lattice)
    multiplicities = np.bincount(of_site, minlength=len(order)).tolist()
    volume = abs(float(np.linalg.det(lattice)))
    for species in sites.readings:
        held: dict[int, dict[int, float]] = {}
        written: dict[int, float] = {}
        exact: dict[int, float] = {}
        for site, (z, share) in enumerate(zip(species.tolist(), sites.occupancies, strict=True)):
            if multiplicities[site]:
                group = held.setdefault(groups[site], {})
                group[z] = group.get(z, 0.0) + share
                written[z] = written.get(z, 0.0) + multiplicities[site] * share
                exact[z] = exact.get(z, 0.0) + float(multiplicities[site] * exact_occupancy(share))
        disorder = disorder_of(list(held.values()), [multiplicities[group] for group in held])
        # programs add occupancies up as they stand, chemists as what they mean
        contents = [Content(counts, volume, len(operations)) for counts in (exact, written)]
        contradictions = [stated.contradiction(content) for content in contents]
        yield disorder, contradictions[0] if all(contradictions) else ""


def _places_shared(
    of_site: NDArray[np.int16], places: NDArray[np.float64], lattice: NDArray[np.float64]
) -> dict[int, int]:
    """Return for each site the first one that is at the same place."""
    first: dict[int, int] = {}
    for site in np.unique(of_site).tolist():
        first[site] = site
        if len(first) <= _MOST_SITES:
            apart = places - places[np.argmax(of_site == site)]
            near = np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=1) < MERGED_A
            first[site] = min(first.get(other, site) for other in of_site[near].tolist())
    return first
