"""CIF to crystals.

Rules, where the standard or other programs leave a choice:

- Each data block with positions of atoms is one crystal.
- What the file says of symmetry may have several meanings (``cif_symmetry``), and so may labels (``cif_sites``). Those
  that fit the cell and the content that the file states (``stated``) count. Where they are not one and the same
  crystal, the file is refused.
- A file that says nothing of symmetry lists the whole cell, unless its stated content differs.
- Images of a site within ``MERGED_A`` are one atom, and so is a site listed twice with the same element.
- D and T are hydrogen. ``.`` for a coordinate is 0 and for an angle 90°, as in the dictionary. Occupancies within 0.001
  of one are one; a site of occupancy 0 is left out, and so is a dummy.
- Partially occupied sites make the block disordered: it has a composition and no crystal.
- Hydrogen that the file states and no site holds is an error: the crystal would be another.
"""

import math
from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, check_lattice
from matlake.materials.structure_files.cif_blocks import Block, read_blocks
from matlake.materials.structure_files.cif_disorder import disorder_in_cif
from matlake.materials.structure_files.cif_sites import CARTESIAN, FRACTIONAL, Sites, read_sites
from matlake.materials.structure_files.cif_symmetry import Symmetry, read_symmetry
from matlake.materials.structure_files.cif_values import UNKNOWN, number
from matlake.materials.structure_files.stated import Content, Stated, check_volume, read_stated
from matlake.materials.structure_files.symmetry import Operations, one_crystal, whole_cell

_LENGTHS: Final = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES: Final = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_NOT_READ: Final = {
    "_space_group_symop_magn_operation_xyz": "magnetic",
    "_space_group_magn_name_BNS": "magnetic",
    "_space_group_magn_number_BNS": "magnetic",
    "_atom_site_moment_label": "magnetic",
    "_cell_modulation_dimension": "modulated",
    "_cell_wave_vector_seq_id": "modulated",
    "_cell_wave_vector_x": "modulated",
    "_cell_subsystems_number": "modulated",
    "_space_group_symop_ssg_operation_algebraic": "modulated",
    "_space_group_ssg_name": "modulated",
}
_MOST_IMAGES: Final = 200_000  # of sites, in all readings of a file: half a minute at the very most
_NONE: Final = UNKNOWN | {"0"}

_COSINES: Final = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}  # exact, so that zeros stay zeros

_SETTLE: Final = "list the symmetry operations, or type symbols, in the file"
_REMEDY: Final = "check the sites and the symmetry, or what the file states"

Cell = tuple[NDArray[np.int16], NDArray[np.float64]]
"""Species and fractional positions of all atoms."""


def parse_cif(text: str, *, max_atoms: int = MAX_ATOMS) -> Crystal:
    """Read the only crystal of a CIF.

    Args:
        text: The file.
        max_atoms: Largest cell allowed, after symmetry.

    Raises:
        StructureError: It holds none or several, or one that cannot be read.
    """
    found = read_cif(text, max_atoms=max_atoms)
    if len(found) > 1:
        raise StructureError(
            f"{len(found)} data blocks with atoms: {', '.join(name for name, _ in found[:5])}",
            "put each into a file or a row of its own",
        )
    crystal = found[0][1]
    if isinstance(crystal, StructureError):
        raise crystal
    return crystal


def read_cif(text: str, *, max_atoms: int = MAX_ATOMS) -> list[tuple[str, Crystal | StructureError]]:
    """Read all crystals of a CIF: the name of each data block with atoms, and its crystal or what is wrong with it.

    Args:
        text: The file.
        max_atoms: Largest cell allowed, after symmetry.

    Raises:
        StructureError: The text is not a CIF, or no block has atoms.
    """
    blocks = read_blocks(text)
    found: list[tuple[str, Crystal | StructureError]] = []
    unusual = _may_be_unusual(text)
    for block in blocks:
        if block.length(FRACTIONAL[0]) or block.length(CARTESIAN[0]):
            try:
                found.append((block.name, _crystal(block, max_atoms, unusual=unusual)))
            except StructureError as error:
                found.append((block.name, error))
    if not found:
        raise StructureError(f"no positions of atoms in {len(blocks)} data block{'s' * (len(blocks) != 1)}")
    return found


def _may_be_unusual(text: str) -> bool:
    """Look for words of the tags in ``_NOT_READ``: a tenth of the time that the tags take, for nearly all files."""
    return "magn" in text or "moment" in text or "modul" in text or "wave_" in text or "_sub" in text or "ssg" in text


def _crystal(block: Block, max_atoms: int, *, unusual: bool) -> Crystal:
    for tag, kind in _NOT_READ.items() if unusual else ():
        if block.length(tag) > 1 or (block.value(tag) or "0") not in _NONE:
            raise StructureError(f"a {kind} structure", "give the average cell without magnetic moments")
    lattice = _lattice(
        [_cell_number(block, tag, None) for tag in _LENGTHS], [_cell_number(block, tag, 90.0) for tag in _ANGLES]
    )
    check_lattice(lattice)
    check_volume(block, _volume(lattice))
    stated = read_stated(block)
    sites = read_sites(block, lattice, stated.elements, max_atoms)
    symmetry = read_symmetry(block)
    if sites.is_disordered:
        raise disorder_in_cif(sites, symmetry, stated, lattice, max_atoms)
    if len(sites.positions) < len(stated.multiplicities):
        stated = replace(stated, multiplicities=())  # they count the species of a site, not atoms
    numbers, positions = _settled(sites, symmetry, stated, lattice, max_atoms)
    return Crystal(numbers, lattice, positions)


def _settled(sites: Sites, symmetry: Symmetry, stated: Stated, lattice: NDArray[np.float64], max_atoms: int) -> Cell:
    """Return the only cell that agrees with the file: of all readings of labels and symmetry.

    Raises:
        StructureError: None agrees, or several that differ, or nothing that is stated can confirm it.
    """
    reason = ""
    for tier in symmetry.tiers:
        images = len(sites.positions) * len(sites.readings) * sum(map(len, tier))
        if images > _MOST_IMAGES and len(tier) * len(sites.readings) > 1:
            raise StructureError(sites.ambiguity or symmetry.ambiguity, "too many atoms to try all readings")
        found, contradiction = _agreeing(sites, tier, stated, lattice, max_atoms)
        reason = reason or contradiction
        if found:
            if not symmetry.confirmed and not (stated.counts_atoms and stated.formulas):
                raise StructureError(symmetry.ambiguity, "list all symmetry operations, or state formula and Z")
            if any(not one_crystal(found[0], cell, lattice) for cell in found[1:]):
                raise StructureError(sites.ambiguity or symmetry.ambiguity, _SETTLE)
            return found[0]
    if reason:
        raise StructureError(reason, _REMEDY if symmetry.given else "no symmetry is given: list its operations")
    raise StructureError("the cell does not have the symmetry of its operations", "check axes and setting")


def _agreeing(
    sites: Sites,
    groups: tuple[Operations, ...],
    stated: Stated,
    lattice: NDArray[np.float64],
    max_atoms: int,
) -> tuple[list[Cell], str]:
    """Return the cells that fit the lattice and agree with what is stated, and the first contradiction otherwise."""
    found: list[Cell] = []
    reason = ""
    volume = _volume(lattice)
    for operations in groups:
        if not operations.fit(lattice):
            continue
        for species in sites.readings:
            cell = whole_cell(species, sites.positions, lattice, operations, max_atoms)
            contradiction = stated.contradiction(Content(Counter(cell[0].tolist()), volume, len(operations)))
            if contradiction:
                reason = reason or contradiction
            else:
                found.append(cell)
    return found, reason


def _cell_number(block: Block, tag: str, default: float | None) -> float:
    value = block.value(tag)
    if value is None or value == ".":
        if default is None:
            raise StructureError(f"no {tag}")
        return default
    return number(value, tag)


def _lattice(lengths: list[float], angles: list[float]) -> NDArray[np.float64]:
    """Return the cell vectors: a along x, b in the plane of x and y."""
    a, b, c = lengths
    alpha, beta, gamma = (_COSINES.get(angle, math.cos(math.radians(angle))) for angle in angles)
    sine = math.sqrt(max(0.0, 1.0 - gamma * gamma))
    height = 1.0 - alpha * alpha - beta * beta - gamma * gamma + 2.0 * alpha * beta * gamma
    if not height > 0.0 or not sine > 0.0 or not all(0.0 < angle < 180.0 for angle in angles):  # noqa: PLR2004 - degrees
        raise StructureError(f"no cell has the angles {', '.join(f'{angle:g}' for angle in angles)}")
    return np.array(
        [
            [a, 0.0, 0.0],
            [b * gamma, b * sine, 0.0],
            [c * beta, c * (alpha - beta * gamma) / sine, c * math.sqrt(height) / sine],
        ]
    )


def _volume(lattice: NDArray[np.float64]) -> float:
    """Return the volume in Å³ of a cell that ``_lattice`` made: its vectors are triangular."""
    return float(lattice[0, 0] * lattice[1, 1] * lattice[2, 2])
