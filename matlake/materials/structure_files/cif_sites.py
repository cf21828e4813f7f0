"""Sites of a CIF: where they are, which element they hold, and that each of them holds one atom."""

import itertools
import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.disorder import WHOLE
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.cif_blocks import Block
from matlake.materials.structure_files.cif_values import UNKNOWN, number, optional_number
from matlake.materials.structure_files.species import LabelReading, is_label, number_of_type_symbol, read_label

FRACTIONAL: Final = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
CARTESIAN: Final = ("_atom_site_Cartn_x", "_atom_site_Cartn_y", "_atom_site_Cartn_z")

_TO_CARTESIAN: Final = [[f"_atom_sites_Cartn_tran_matrix_{row}{column}" for column in (1, 2, 3)] for row in (1, 2, 3)]
_ORIGIN: Final = [f"_atom_sites_Cartn_tran_vector_{row}" for row in (1, 2, 3)]
_FULL: Final = UNKNOWN | {"1", "1.", "1.0", "1.00", "1.000", "1.0000"}
_WITH_HYDROGEN: Final = re.compile(r"O[WH](?![A-Z])|O\d+W", re.IGNORECASE)
_MOST_READINGS: Final = 64  # of labels that are ambiguous, all combinations
_SKEWED: Final = 1e-6  # Å
_SAME_DECIMALS: Final = 5  # of coordinates that are written twice


@dataclass(frozen=True)
class Sites:
    """Sites listed, dummies and empty sites left out.

    Attributes:
        readings: int16 [s] each, the species; several where labels allow it, the most usual first.
        positions: float64 [s, 3], fractional.
        ambiguity: Why there are several readings.
        occupancies: Of each site.
    """

    readings: list[NDArray[np.int16]]
    positions: NDArray[np.float64]
    ambiguity: str
    occupancies: list[float]

    @property
    def is_disordered(self) -> bool:
        """Whether a site is occupied in part."""
        return any(abs(occupancy - 1.0) > WHOLE for occupancy in self.occupancies)


@dataclass(frozen=True)
class _Loop:
    """Columns of the sites that are atoms."""

    block: Block
    count: int
    kept: list[int] | None

    def column(self, tag: str) -> list[str] | None:
        values = self.block.column(tag)
        if values is None:
            return None
        if len(values) != self.count:
            raise StructureError(f"{len(values)} values of {tag} for {self.count} sites")
        return values if self.kept is None else [values[site] for site in self.kept]

    def __len__(self) -> int:
        return self.count if self.kept is None else len(self.kept)


def read_sites(block: Block, lattice: NDArray[np.float64], elements: frozenset[int] | None, max_atoms: int) -> Sites:
    """Read the sites of a block.

    Args:
        block: The data block.
        lattice: float64 [3, 3] in Å.
        elements: Atomic numbers in the stated formula, which settle ambiguous labels; None where none is stated.
        max_atoms: Largest number of sites.

    Raises:
        StructureError: A site has no place or no element, or has hydrogen that is not listed; or sites of full
            occupancy exclude each other.
    """
    cartesian = not block.length(FRACTIONAL[0])
    count = block.length((CARTESIAN if cartesian else FRACTIONAL)[0])
    if count > max_atoms:
        raise TooManyAtomsError.of(count, max_atoms)
    loop, occupancies = _occupied(_without_dummies(_Loop(block, count, None)))
    if not len(loop):
        raise StructureError("no atoms: all sites are dummies or empty")
    positions = _cartesian_positions(loop, lattice) if cartesian else _coordinates(loop, FRACTIONAL)
    _refuse_alternatives(loop, occupancies)
    stated = elements is not None
    labels = loop.column("_atom_site_label")
    readings, ambiguity = _species(loop, labels, elements if stated else _elements_of_types(block), stated=stated)
    _refuse_hydrogen_not_listed(loop, labels, readings[0], stated=stated)
    return _united(Sites(readings, positions, ambiguity, occupancies))


def _united(sites: Sites) -> Sites:
    """Unite sites at one place that hold one element, such as Fe2+ and Fe3+."""
    if not sites.is_disordered:
        return sites
    first: dict[tuple[object, ...], int] = {}
    shares: dict[int, float] = {}
    for site, share in enumerate(sites.occupancies):
        place = (sites.positions[site] % 1.0).round(_SAME_DECIMALS) % 1.0
        key = (*place.tolist(), *(int(species[site]) for species in sites.readings))
        kept = first.setdefault(key, site)
        shares[kept] = shares.get(kept, 0.0) + share
    rows = list(shares)
    readings = [species[rows] for species in sites.readings]
    return Sites(readings, sites.positions[rows], sites.ambiguity, list(shares.values()))


def _without_dummies(loop: _Loop) -> _Loop:
    flags = loop.column("_atom_site_calc_flag")
    if not flags or "dum" not in (kinds := [flag.lower() for flag in flags]):
        return loop
    return _Loop(loop.block, loop.count, [site for site, kind in enumerate(kinds) if kind != "dum"])


def _coordinates(loop: _Loop, tags: tuple[str, ...]) -> NDArray[np.float64]:
    columns = []
    for tag in tags:
        column = loop.column(tag)
        if column is None:
            raise StructureError(f"no {tag}")
        columns.append(column)
    try:
        values = [[float(value) for value in column] for column in columns]  # a few numbers: faster than numpy
    except ValueError:
        _refuse_no_place(loop, columns)
        values = [
            [0.0 if value == "." else number(value, tag) for value in column]
            for tag, column in zip(tags, columns, strict=True)
        ]
    if not math.isfinite(sum(map(sum, values))):
        raise StructureError("a position that is not finite numbers")
    return np.ascontiguousarray(np.array(values).T)


def _refuse_no_place(loop: _Loop, columns: list[list[str]]) -> None:
    """Refuse a site without any coordinate; a single ``.`` is 0, as in the dictionary."""
    for site, values in enumerate(zip(*columns, strict=True)):
        if all(value in UNKNOWN for value in values):
            labels = loop.column("_atom_site_label")
            name = labels[site] if labels else f"site {site}"
            raise StructureError(f"{name} has no position: its coordinates are {' '.join(values)}")


def _cartesian_positions(loop: _Loop, lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return fractions of the cell: by the matrix of the file, or with a along x and b in the plane of x and y.

    The mmCIF dictionary has these axes. The core dictionary leaves them open, which matters in oblique cells only.
    """
    positions = _coordinates(loop, CARTESIAN)
    given = [[optional_number(loop.block.value(tag)) for tag in row] for row in _TO_CARTESIAN]
    if all(value is not None for row in given for value in row):
        matrix = np.array(given, dtype=np.float64)
        origin = [optional_number(loop.block.value(tag)) or 0.0 for tag in _ORIGIN]
        if abs(np.linalg.det(matrix) / np.linalg.det(lattice)) < 0.5:  # noqa: PLR2004 - far from any matrix of this cell
            raise StructureError("the matrix of Cartesian axes does not fit the cell")
        fractional: NDArray[np.float64] = (positions - origin) @ np.linalg.inv(matrix).T
        return fractional
    oblique = np.abs(lattice - np.diag(np.diag(lattice))).max() > _SKEWED
    if oblique and not loop.block.mmcif:
        raise StructureError("Cartesian positions in an oblique cell, with axes that are not given", "give fractions")
    return positions @ np.linalg.inv(lattice)


def _occupied(loop: _Loop) -> tuple[_Loop, list[float]]:
    """Return the sites that hold an atom, fully or in part, and their occupancies."""
    column = loop.column("_atom_site_occupancy")
    if column is None or set(column) <= _FULL:
        return loop, [1.0] * len(loop)
    occupancies = [1.0 if value in UNKNOWN else number(value, "occupancy") for value in column]
    for place, occupancy in enumerate(occupancies):
        if not -WHOLE <= occupancy <= 1.0 + WHOLE:
            labels = loop.column("_atom_site_label")
            name = labels[place] if labels else f"site {place}"
            raise StructureError(f"{name} has occupancy {occupancy:g}, not between 0 and 1")
    present = [place for place, occupancy in enumerate(occupancies) if occupancy > 0.0]
    kept = present if loop.kept is None else [loop.kept[place] for place in present]
    return _Loop(loop.block, loop.count, kept), [occupancies[place] for place in present]


def _refuse_alternatives(loop: _Loop, occupancies: list[float]) -> None:
    """Refuse sites of which only some are there at a time, though each is said to be occupied fully."""
    groups = loop.column("_atom_site_disorder_group")
    if loop.block.mmcif:
        groups = groups or loop.column("_atom_site_label_alt_id")
        models = set(loop.column("_atom_site_pdbx_PDB_model_num") or ())
        if len(models) > 1:
            raise StructureError(f"{len(models)} models of one structure", "keep one of them")
    if groups and not set(groups) <= UNKNOWN | {"0"}:
        assemblies = loop.column("_atom_site_disorder_assembly") or ["."] * len(groups)
        alternatives: dict[str, set[str]] = {}
        for assembly, group, occupancy in zip(assemblies, groups, occupancies, strict=True):
            if group not in UNKNOWN | {"0"} and abs(occupancy - 1.0) <= WHOLE:
                alternatives.setdefault(assembly, set()).add(group)
        for found in alternatives.values():
            if len(found) > 1 or any(group.startswith("-") for group in found):
                raise StructureError(
                    f"disordered: sites of groups {', '.join(sorted(found))} exclude each other", "keep one alternative"
                )


def _refuse_hydrogen_not_listed(
    loop: _Loop, labels: list[str] | None, species: NDArray[np.int16], *, stated: bool
) -> None:
    """Refuse hydrogen without a place; where some is listed, the stated formula tells whether that is all."""
    column = loop.column("_atom_site_attached_hydrogens")
    if column is None and stated:
        return
    listed = bool((species == 1).any())
    attached = sum(optional_number(value) or 0.0 for value in column or ())
    if attached and not (listed and stated):
        raise StructureError(
            f"_atom_site_attached_hydrogens states {attached:g} hydrogen atoms that are not listed",
            "add the atoms that were not located",
        )
    if not listed and not stated and labels:
        water = next((label for label in labels if _WITH_HYDROGEN.match(label.strip("'\" "))), None)
        if water is not None:
            raise StructureError(
                f"site {water} is named after water or hydroxyl, and no hydrogen is listed",
                "state the formula in the file",
            )


def _elements_of_types(block: Block) -> frozenset[int] | None:
    """Return the elements in the file's list of atom types, None where there is none or one is not an element."""
    symbols = block.column("_atom_type_symbol")
    if not symbols or not set(symbols).isdisjoint(UNKNOWN):
        return None
    try:
        return frozenset([number_of_type_symbol(symbol.strip("'\"")) for symbol in symbols])
    except StructureError:
        return None


def _species(
    loop: _Loop, labels: list[str] | None, elements: frozenset[int] | None, *, stated: bool
) -> tuple[list[NDArray[np.int16]], str]:
    """Return the species that the sites can hold, by type symbol or else label, and why there are several."""
    symbols = loop.column("_atom_site_type_symbol") or ["?"] * len(loop)
    if UNKNOWN.isdisjoint(symbols) and not any(map(is_label, set(symbols))):
        return [np.array([number_of_type_symbol(symbol.strip("'\"")) for symbol in symbols], dtype=np.int16)], ""
    labels = labels or ["?"] * len(loop)
    numbers = np.zeros(len(loop), dtype=np.int16)
    ambiguous: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for site, (symbol, label) in enumerate(zip(symbols, labels, strict=True)):
        labelled = is_label(symbol)
        if symbol not in UNKNOWN and not labelled:
            numbers[site] = number_of_type_symbol(symbol.strip("'\""))
            continue
        name = symbol if labelled else label.strip("'\" ")
        possible = _possible(name, read_label(name), elements, stated=stated)
        numbers[site] = possible[0]
        if len(possible) > 1:
            ambiguous.setdefault((name.rstrip("0123456789"), possible), []).append(site)
    if not ambiguous:
        return [numbers], ""
    names = ", ".join(dict.fromkeys(letters for letters, _ in ambiguous))
    why = f"labels {names} have two readings, and the stated formula fits both or neither"
    if 2 ** len(ambiguous) > _MOST_READINGS:
        raise StructureError(why, "give a column of type symbols")
    readings = []
    for choice in itertools.product(*[possible for _, possible in ambiguous]):
        reading = numbers.copy()
        for z, sites in zip(choice, ambiguous.values(), strict=True):
            reading[sites] = z
        readings.append(reading)
    return readings, why


def _possible(label: str, reading: LabelReading, elements: frozenset[int] | None, *, stated: bool) -> tuple[int, ...]:
    """Return what a label can mean beside the elements that are known to be there."""
    if elements is not None:
        fitting = tuple([z for z in reading.numbers if z in elements])
        if fitting:
            return fitting[:1] if reading.certain else fitting
    if reading.certain or stated:  # a formula that does not fit is refused later
        return reading.numbers[:1]
    meanings = " or ".join(SYMBOLS[z - 1] for z in reading.numbers)
    raise StructureError(f"site label {label[:40]!r} may mean {meanings}", "give type symbols or the formula")
