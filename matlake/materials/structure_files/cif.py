"""CIF to crystals: gemmi reads the text; what it takes for wrong syntax, pymatgen's more lenient reader may still read.

Rules, where the standard or other programs leave a choice:

- Each data block with atoms is one crystal.
- Symmetry is what the operations say; without them the Hall symbol, the Hermann-Mauguin name, the number, in this
  order. Names that fit two origins are settled by the stated content of the cell (formula and Z) or refused. A file
  that says nothing of symmetry lists the whole cell, unless its stated content differs.
- Images of a site within ``MERGED_A`` are one atom, and so is a site listed twice with the same element.
- D and T are hydrogen. ``.`` for a coordinate is 0, as in the dictionary. Occupancies within 0.001 of one are one; a
  site of occupancy 0 is left out.
- An element of the stated formula that no site holds (hydrogen not located) is an error: the crystal would be another.
"""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, make_crystal
from matlake.materials.elements import SYMBOLS
from matlake.materials.structure_files.cif_blocks import Block, read_blocks
from matlake.materials.structure_files.species import atomic_number, number_of_label
from matlake.materials.structure_files.symmetry import (
    Operations,
    expand,
    hall_group,
    named_group,
    numbered_group,
    read_operations,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_CELL: Final = (
    "_cell_length_a",
    "_cell_length_b",
    "_cell_length_c",
    "_cell_angle_alpha",
    "_cell_angle_beta",
    "_cell_angle_gamma",
)
_FRACTIONAL: Final = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_CARTESIAN: Final = ("_atom_site_Cartn_x", "_atom_site_Cartn_y", "_atom_site_Cartn_z")
_OPERATIONS: Final = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HALL: Final = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_NAMES: Final = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBERS: Final = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_MAGNETIC: Final = ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_operation.xyz")
_MODULATED: Final = ("_cell_modulation_dimension", "_cell_wave_vector_seq_id")

_BRACKETS: Final = re.compile(r"\([\d.]*\)?$")
_FORMULA_PART: Final = re.compile(r"([A-Z][a-z]?)\s*(\d*\.?\d*)")
_WHOLE: Final = 1e-3  # occupancies this close to one are one
_THIRD: Final = 1e-4  # relative; coordinates this close to 1/3 or 2/3 are that, as in pymatgen
_EXACT_COSINES: Final = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}


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
            "put each into a file or row of its own",
        )
    (crystal,) = (crystal for _, crystal in found)
    if isinstance(crystal, StructureError):
        raise crystal
    return crystal


def read_cif(text: str, *, max_atoms: int = MAX_ATOMS) -> list[tuple[str, Crystal | StructureError]]:
    """Read all crystals of a CIF: name of the data block, and the crystal or why it is none.

    Args:
        text: The file.
        max_atoms: Largest cell allowed, after symmetry.

    Raises:
        StructureError: No block can be read, or none has atoms.
    """
    blocks = read_blocks(text)
    found: list[tuple[str, Crystal | StructureError]] = []
    for block in blocks:
        if block.has(_FRACTIONAL[0]) or block.has(_CARTESIAN[0]):
            try:
                found.append((block.name, _crystal(block, max_atoms)))
            except StructureError as error:
                found.append((block.name, error))
    if not found:
        raise StructureError(f"no positions of atoms in {len(blocks)} data block{'s' * (len(blocks) != 1)}")
    return found


def _crystal(block: Block, max_atoms: int) -> Crystal:
    for tags, what in ((_MAGNETIC, "magnetic"), (_MODULATED, "modulated")):
        if any(block.has(tag) for tag in tags):
            raise StructureError(f"a {what} structure", "give the average, non-magnetic cell")
    cell = [_cell_number(block, tag) for tag in _CELL]
    lattice = _lattice(cell)
    numbers, positions = _sites(block, lattice, max_atoms)
    _check_formula(block, numbers)
    candidates, settled = _symmetry(block, cell[3], cell[5])
    if any(len(operations) > 1 for operations in candidates):
        positions = _thirds(positions)
    make_crystal(numbers, lattice, positions, max_atoms=max_atoms)  # all checks but one come before symmetry
    if settled:
        return Crystal(*_expanded(numbers, positions, lattice, candidates[0], max_atoms))
    return _settle(block, [_expanded(numbers, positions, lattice, choice, max_atoms) for choice in candidates])
