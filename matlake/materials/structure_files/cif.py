"""CIF to crystals.

Rules, where the standard or other programs leave a choice:

- Each data block with positions of atoms is one crystal.
- Symmetry is what the operations say; without them the Hall symbol, the Hermann-Mauguin name, the number, in this
  order. A name that fits two origins is settled by the stated content of the cell (formula and Z) or refused. A file
  that says nothing of symmetry lists the whole cell, unless its stated content differs.
- Images of a site within ``MERGED_A`` are one atom, and so is a site listed twice with the same element.
- D and T are hydrogen. ``.`` for a coordinate is 0 and for an angle 90°, as in the dictionary. Occupancies within 0.001
  of one are one; a site of occupancy 0 is left out.
- An element of the stated formula that no site holds (hydrogen not located) is an error: the crystal would be another.
"""

import math
import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import MAX_ATOMS, Crystal, check_lattice, make_crystal
from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS
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

_LENGTHS: Final = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES: Final = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_FRACTIONAL: Final = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_CARTESIAN: Final = ("_atom_site_Cartn_x", "_atom_site_Cartn_y", "_atom_site_Cartn_z")
_OPERATIONS: Final = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HALL: Final = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_NAMES: Final = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M")
_NUMBERS: Final = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_NOT_READ: Final = {
    "_space_group_symop_magn_operation.xyz": "magnetic",
    "_space_group_symop_magn_operation_xyz": "magnetic",
    "_cell_modulation_dimension": "modulated",
}

_UNKNOWN: Final = frozenset({"", "?", "."})
_FULL: Final = _UNKNOWN | {"1", "1.", "1.0", "1.00", "1.000", "1.0000"}
_UNCERTAINTY: Final = re.compile(r"\([\d.]*\)?$")
_FORMULA: Final = re.compile(r"(?:[A-Z][a-z]?+\s*+(?:\d++(?:\.\d*+)?+|\.\d++)?+[\s,]*+)++", re.ASCII)
_GROUP_NUMBER: Final = re.compile("[0-9]{1,3}")
_CAPITALISED: Final = re.compile("[A-Z][a-z]?")
_FORMULA_PART: Final = re.compile(r"([A-Z][a-z]?)\s*(\d*\.?\d*)", re.ASCII)
_WHOLE: Final = 1e-3  # occupancies this close to one are one
_LONGEST_FORMULA: Final = 1000
_LONGEST_NAME: Final = 200
_THIRD: Final = 1e-4  # relative; coordinates this close to 1/3 or 2/3 are that, as in pymatgen
_UNSYMMETRIC: Final = 0.05  # relative change of the metric by an operation that does not belong to this cell
_COSINES: Final = {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}  # exact, so that zeros stay zeros


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
    for block in blocks:
        if block.length(_FRACTIONAL[0]) or block.length(_CARTESIAN[0]):
            try:
                found.append((block.name, _crystal(block, max_atoms)))
            except StructureError as error:
                found.append((block.name, error))
    if not found:
        raise StructureError(f"no positions of atoms in {len(blocks)} data block{'s' * (len(blocks) != 1)}")
    return found


def _crystal(block: Block, max_atoms: int) -> Crystal:
    for tag, kind in _NOT_READ.items():
        if block.length(tag):
            raise StructureError(f"a {kind} structure", "give the average cell without magnetic moments")
    lengths = [_cell_number(block, tag, None) for tag in _LENGTHS]
    angles = [_cell_number(block, tag, 90.0) for tag in _ANGLES]
    lattice = _lattice(lengths, angles)
    check_lattice(lattice)
    numbers, positions = _sites(block, lattice, max_atoms)
    _check_formula(block, numbers)
    candidates, ambiguity = _symmetry(block, angles)
    cells = [_whole_cell(numbers, positions, lattice, operations, max_atoms) for operations in candidates]
    if ambiguity:
        stated = _stated_atoms(block)
        if stated is not None:
            cells = [cell for cell in cells if abs(len(cell[0]) - stated) < _WHOLE]
        if len(cells) != 1:
            raise StructureError(ambiguity, "list the symmetry operations in the file")
    return make_crystal(cells[0][0], lattice, cells[0][1], max_atoms=max_atoms)


def _cell_number(block: Block, tag: str, default: float | None) -> float:
    value = block.value(tag)
    if value is None or value == ".":
        if default is None:
            raise StructureError(f"no {tag}")
        return default
    return _number(value, tag)


def _number(text: str, what: str) -> float:
    """Read a number with or without its uncertainty in brackets."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(_UNCERTAINTY.sub("", text.strip("'\" ")))
    except ValueError:
        raise StructureError(f"{what} is {text[:40]!r}, not a number") from None


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


def _sites(block: Block, lattice: NDArray[np.float64], max_atoms: int) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return species and fractional positions of the sites listed, those of occupancy 0 left out."""
    cartesian = not block.length(_FRACTIONAL[0])
    tags = _CARTESIAN if cartesian else _FRACTIONAL
    count = block.length(tags[0])
    if count > max_atoms:
        raise TooManyAtomsError.of(count, max_atoms)
    positions = np.empty((count, 3))
    for axis, tag in enumerate(tags):
        column = block.column(tag) or []
        if len(column) != count:
            raise StructureError(f"{len(column)} values of {tag} for {count} sites")
        positions[:, axis] = _coordinates(column, tag)
    if cartesian:  # along the axes of _lattice, as the mmCIF dictionary has it
        positions = positions @ np.linalg.inv(lattice)
    labels = block.column("_atom_site_label")
    numbers = _species(block, labels, count)
    present = _present(block, labels, count)
    if not present.all():
        numbers, positions = numbers[present], positions[present]
    return numbers, positions


def _coordinates(column: list[str], tag: str) -> NDArray[np.float64]:
    try:
        return np.array(column, dtype=np.float64)
    except ValueError:
        return np.array([0.0 if value == "." else _number(value, tag) for value in column])


def _species(block: Block, labels: list[str] | None, count: int) -> NDArray[np.int16]:
    symbols = block.column("_atom_site_type_symbol") or ["?"] * count
    labels = labels or ["?"] * count
    if not len(symbols) == len(labels) == count:
        raise StructureError(f"{len(symbols)} type symbols and {len(labels)} labels for {count} sites")
    return np.array(
        [
            number_of_label(label.strip("'\"")) if symbol in _UNKNOWN else atomic_number(symbol.strip("'\""))
            for symbol, label in zip(symbols, labels, strict=True)
        ],
        dtype=np.int16,
    )


def _present(block: Block, labels: list[str] | None, count: int) -> NDArray[np.bool_]:
    """Tell which sites are occupied; all of those must be so fully."""
    column = block.column("_atom_site_occupancy")
    if column is None or len(column) != count:
        return np.ones(count, dtype=bool)
    if set(column) <= _FULL:
        return np.ones(count, dtype=bool)
    occupancies: NDArray[np.float64] = np.array(
        [1.0 if value in _UNKNOWN else _number(value, "occupancy") for value in column]
    )
    partial = np.flatnonzero((np.abs(occupancies - 1.0) > _WHOLE) & (occupancies != 0.0))
    if len(partial):
        site = int(partial[0])
        name = labels[site] if labels and len(labels) == count else f"site {site}"
        raise StructureError(
            f"disordered: {name} has occupancy {occupancies[site]:g}", "encoders need one element on every site"
        )
    return np.asarray(occupancies != 0.0)


def _check_formula(block: Block, numbers: NDArray[np.int16]) -> None:
    formula = block.value("_chemical_formula_sum") or ""
    present = {SYMBOLS[z - 1] for z in set(numbers.tolist())}
    if present.issuperset(_CAPITALISED.findall(formula)):
        return
    stated = {"H" if symbol in ("D", "T") else symbol for symbol, _ in _formula(formula) or ()}
    missing = stated - present
    if missing:
        raise StructureError(
            f"no atoms of {', '.join(sorted(missing))}, which the formula in the file contains",
            "add the atoms that were not located, or take the element out of the formula",
        )


def _formula(text: str) -> list[tuple[str, float]] | None:
    """Split a formula in the standard form (``C2 H4 O``); None for anything else."""
    text = text.strip("'\"; \r\n")
    if len(text) > _LONGEST_FORMULA or not _FORMULA.fullmatch(text):
        return None
    parts = [(symbol, float(amount or 1)) for symbol, amount in _FORMULA_PART.findall(text)]
    known = all(amount > 0.0 and (symbol in ATOMIC_NUMBER or symbol in ("D", "T")) for symbol, amount in parts)
    return parts if known else None


def _stated_atoms(block: Block) -> float | None:
    """Return the number of atoms that formula and Z put into the cell."""
    formula, units = _formula(block.value("_chemical_formula_sum") or ""), block.value("_cell_formula_units_Z")
    if formula is None or units is None or units in _UNKNOWN:
        return None
    return sum(amount for _, amount in formula) * _number(units, "Z")


def _symmetry(block: Block, angles: list[float]) -> tuple[tuple[Operations, ...], str]:
    """Return the operations, or two choices, and why they are ambiguous."""
    for tag in _OPERATIONS:
        triplets = block.column(tag)
        if triplets is not None and triplets[0] not in _UNKNOWN:
            return (read_operations(tuple(triplets)),), ""
    for symbol in _texts(block, _HALL):
        found = hall_group(symbol)
        if found:
            return found, ""
    for name in _texts(block, _NAMES):
        alpha, gamma = (angles[0], angles[2]) if name[:1] in ("R", "r") else (0.0, 0.0)
        found = named_group(name, alpha, gamma)
        if not found:
            raise StructureError(f"unknown space group {name[:40]!r}", "list the symmetry operations in the file")
        ambiguity = f"space group {name} has two origins, and the file does not say which" if len(found) > 1 else ""
        return found, ambiguity
    for text in _texts(block, _NUMBERS):
        found = numbered_group(int(text)) if _GROUP_NUMBER.fullmatch(text) else ()
        if not found:
            raise StructureError(f"unknown space group number {text[:40]!r}")
        ambiguity = f"space group {text} has two origins, and the file does not say which" if len(found) > 1 else ""
        return found, ambiguity
    nothing = "no symmetry is given, and the atoms listed are not all that formula and Z state"
    return (read_operations(("x,y,z",)),), nothing


def _texts(block: Block, tags: tuple[str, ...]) -> list[str]:
    values = [value[:_LONGEST_NAME].strip("'\" ") for tag in tags if (value := block.value(tag))]
    return [value for value in values if value not in _UNKNOWN]


def _whole_cell(
    numbers: NDArray[np.int16],
    positions: NDArray[np.float64],
    lattice: NDArray[np.float64],
    operations: Operations,
    max_atoms: int,
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    if len(operations) > 1:
        metric = lattice @ lattice.T
        moved = np.swapaxes(operations.rotations, 1, 2) @ metric @ operations.rotations
        if np.abs(moved - metric).max() > _UNSYMMETRIC * np.abs(metric).max():
            raise StructureError("the cell does not have the symmetry of its operations", "check axes and setting")
        for third in (1 / 3, 2 / 3):
            positions = np.where(np.abs(positions / third - 1.0) <= _THIRD, third, positions)
    return expand(numbers, positions, lattice, operations, max_atoms)
