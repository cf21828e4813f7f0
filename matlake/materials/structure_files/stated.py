"""What a CIF states about the content of its cell, held against the atoms that were read.

- Formula: the sites must give it, as a ratio. Integers are exact; a decimal stands for all that round to it. If the sum
  formula cannot be read, the structural, moiety or IUPAC formula takes its place; beside it, they only say which
  elements there are.
- Z: the cell holds Z formula units. A sum formula that is a multiple of Z may be the content of the cell instead, as
  pymatgen and others write it.
- Density: two densities that differ by a tenth are those of different contents, by 1 % where no formula is stated. One
  that agrees outweighs Z, which often belongs to another cell of the same crystal.
- Numbers of atoms in the list of atom types, where no formula is stated.
- Multiplicities of the sites, where nothing else tells how many atoms there are.
- Volume: that of the edges and angles.

Rules for content that is not stated do not exist: nothing is guessed.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from matlake.errors import StructureError
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.cif_blocks import Block
from matlake.materials.structure_files.cif_formula import (
    Amount,
    Formula,
    elements_named,
    formula_units,
    read_formula,
    spelled,
    states_solvent,
)
from matlake.materials.structure_files.cif_values import UNKNOWN, optional_number, unquoted
from matlake.materials.structure_files.species import number_of_type_symbol

_SUM: Final = "_chemical_formula_sum"
_OTHERS: Final = ("_chemical_formula_structural", "_chemical_formula_moiety", "_chemical_formula_iupac")
_TYPES: Final = "_atom_type_symbol"
_NUMBERS_IN_CELL: Final = "_atom_type_number_in_cell"
_DENSITY: Final = "_exptl_crystal_density_diffrn"
_MULTIPLICITIES: Final = ("_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity")

_SPECIES: Final = ("_atom_site_type_symbol", "_atom_site_label")
_CARBON: Final = 6
_ABBREVIATIONS: Final = frozenset({59, 89, 117})  # beside carbon: Pr is propyl, Ac acetyl, Ts tosyl
_D: Final = re.compile("D(?![a-z])")

_SAME_VOLUME: Final = 0.02  # relative; angles of two digits change it by less
_SAME_DENSITY: Final = 0.01  # relative, beside rounding; hydrogen of a compound that is missing is more
_OTHER_DENSITY: Final = 0.1  # relative; of two contents of one cell with the same formula, 25 % at least
_DENSEST: Final = 30.0  # g/cm³; above, the unit is another one
_G_PER_CM3: Final = 1.66053907  # one dalton in a cubic ångström
_DEUTERIUM: Final = 2.014  # mass in daltons
_RELATIVE: Final = 1e-4


@dataclass(frozen=True)
class Content:
    """Atoms that were read.

    Attributes:
        counts: Atomic number -> number of atoms in the cell, a fraction where sites are occupied in part.
        volume: Of the cell, in Å³.
        operations: Number of symmetry operations that made them.
    """

    counts: Mapping[int, float]
    volume: float
    operations: int


@dataclass(frozen=True)
class Stated:
    """What a data block states.

    Attributes:
        text: The formula as written.
        formulas: Its readings; none where the file gives no formula that can be read.
        others: The structural, the moiety and the IUPAC formula, as written.
        named: Elements that a formula without readings names.
        units: Formula units in the cell, Z.
        density: In g/cm³.
        multiplicities: Atoms that each site listed stands for.
        solvent: Whether the formula says that solvent is left out.
        deuterium: Whether hydrogen is named D somewhere, so that the density may be that of deuterium.
    """

    text: str
    formulas: tuple[Formula, ...]
    others: tuple[str, ...]
    named: frozenset[int]
    units: float | None
    density: Amount | None
    multiplicities: tuple[int, ...]
    solvent: bool
    deuterium: bool

    @property
    def elements(self) -> frozenset[int] | None:
        """Elements that the formula holds; None where none is stated."""
        if self.formulas:
            return frozenset().union(*self.formulas)
        return self.named or None

    @property
    def counts_atoms(self) -> bool:
        """Tell whether anything says how many atoms the cell holds."""
        return self.units is not None or self.density is not None or bool(self.multiplicities)

    def contradiction(self, content: Content) -> str:
        """Say what is stated and not so; ``""`` if all agrees."""
        if self.solvent:
            return f"the formula {self.text} states solvent that no site holds"
        fits = [(formula, units) for formula in self.formulas if (units := formula_units(content.counts, formula))]
        return self._formula_contradiction(content.counts, fits=bool(fits)) or self._size_contradiction(content, fits)

    def _formula_contradiction(self, counts: Mapping[int, float], *, fits: bool) -> str:
        if self.formulas and not fits:
            return f"the sites give {spelled(counts)}, the file states {self.text}: {_what(counts, self.formulas[0])}"
        missing = self.named - counts.keys()
        if missing:
            return f"the sites give {spelled(counts)}, the file states {self.text}: {_names(missing)} missing"
        for text in self.others:
            readings = read_formula(text) if elements_named(text) - counts.keys() else ()
            known = counts.keys() | _ABBREVIATIONS if _CARBON in counts else counts.keys()
            if readings and all(reading.keys() - known for reading in readings):
                return f"the sites give {spelled(counts)}, the file states {text}: {_what(counts, readings[0])}"
        return ""

    def _size_contradiction(self, content: Content, fits: list[tuple[Formula, tuple[float, float]]]) -> str:
        if self.density is not None:
            least, most = _densities(content, deuterium=self.deuterium)
            value, rounding = self.density
            off = max(least - value, value - most) - rounding
            if off > value * (_OTHER_DENSITY if self.formulas else _SAME_DENSITY):
                return f"the atoms read give {least:.3g} g/cm³, the file states {value:g}"
            if off <= value * _SAME_DENSITY:
                return ""
        if self.units is not None:
            return self._units_contradiction(content.counts, self.units, fits)
        if self.multiplicities and self.density is None:
            return self._multiplicity_contradiction(content)
        return ""

    def _units_contradiction(
        self, counts: Mapping[int, float], units: float, fits: list[tuple[Formula, tuple[float, float]]]
    ) -> str:
        if not self.formulas:
            fewest = max(counts.values()) < units * (1.0 - _RELATIVE)
            return f"the atoms read are {spelled(counts)}, the file states Z {units:g}" if fewest else ""
        found = ""
        for formula, (least, most) in fits:
            if least * (1.0 - _RELATIVE) <= units <= most * (1.0 + _RELATIVE):
                return ""
            if least * (1.0 - _RELATIVE) <= 1.0 <= most * (1.0 + _RELATIVE) and _divisible(formula, units):
                return ""
            atoms = sum(counts.values())
            times = _times(atoms, formula, units)
            found = f"the cell holds {atoms:,} atoms, the file states Z {units:g} of {self.text}: {times}"
        return found

    def _multiplicity_contradiction(self, content: Content) -> str:
        """Compare the sum of multiplicities; some programs write the order of the site's symmetry instead."""
        atoms, stated = sum(content.counts.values()), sum(self.multiplicities)
        orders = sum(content.operations / number for number in self.multiplicities)
        if atoms == stated or abs(orders - atoms) < 0.5:  # noqa: PLR2004 - to the next whole number
            return ""
        return f"the cell holds {atoms:,} atoms, the multiplicities of the sites add up to {stated:,}"


def read_stated(block: Block) -> Stated:
    """Collect what a block states; values that cannot be read state nothing."""
    text = _text(block, _SUM)
    formulas = read_formula(text)
    others = [other for tag in _OTHERS if (other := _text(block, tag))]
    named = elements_named(text) if not formulas else frozenset()
    if not formulas and not named:
        text, formulas = next(((other, found) for other in others if (found := read_formula(other))), (text, ()))
    units = optional_number(block.value("_cell_formula_units_Z"))
    if not formulas and not named and (cell := _numbers_in_cell(block)):
        text, formulas, units = f"{cell} in the cell", read_formula(cell), 1.0
    density = _density(block)
    return Stated(
        " ".join(text.split()),
        formulas,
        tuple(others),
        named,
        units if units is not None and 0.0 < units < math.inf else None,
        density,
        _multiplicities(block) if units is None and density is None else (),
        any(states_solvent(one) for one in (text, *others)),
        density is not None and _names_deuterium(block, [text, *others]),
    )


def _numbers_in_cell(block: Block) -> str:
    """Return the content of the cell that the list of atom types gives, as a formula; ``""`` where it does not."""
    numbers = [optional_number(number) or 0.0 for number in block.column(_NUMBERS_IN_CELL) or ()]
    symbols = block.column(_TYPES) if numbers else None
    if not symbols or len(symbols) != len(numbers) or min(numbers) <= 0.0:
        return ""
    try:
        elements = [SYMBOLS[number_of_type_symbol(symbol.strip("'\"")) - 1] for symbol in symbols]
    except StructureError:
        return ""
    return " ".join(f"{element}{number:g}" for element, number in zip(elements, numbers, strict=True))


def check_volume(block: Block, volume: float) -> None:
    """Refuse a cell whose edges and angles give another volume than the file states.

    Args:
        block: The data block.
        volume: Of the cell as read, in Å³.

    Raises:
        StructureError: It differs by more than 2 %.
    """
    stated = optional_number(block.value("_cell_volume"))
    if stated is not None and stated > 0.0 and abs(volume - stated) > _SAME_VOLUME * stated:
        raise StructureError(
            f"the cell edges and angles give {volume:.5g} Å³, the file states {stated:g} Å³", "check the cell"
        )


def _text(block: Block, tag: str) -> str:
    value = unquoted(block.value(tag) or "")
    return "" if value in UNKNOWN else value


def _density(block: Block) -> Amount | None:
    text = block.value(_DENSITY)
    value = optional_number(text)
    if text is None or value is None or not 0.0 < value < _DENSEST:
        return None
    decimals = text.partition("(")[0].partition(".")[2]
    return Amount(value, 0.5 * 10.0 ** -len(decimals))


def _multiplicities(block: Block) -> tuple[int, ...]:
    for tag in _MULTIPLICITIES:
        column = block.column(tag)
        if column and all(value.isdecimal() and int(value) for value in column):
            return tuple([int(value) for value in column])
    return ()


def _names_deuterium(block: Block, formulas: list[str]) -> bool:
    """Tell whether a formula or a site has D, such as ``D1`` but not ``Dy1``."""
    sites = [symbol for tag in _SPECIES for symbol in block.column(tag) or ()]
    return any(map(_D.search, formulas)) or any(map(_D.match, sites))


def _densities(content: Content, *, deuterium: bool) -> tuple[float, float]:
    """Return the density in g/cm³ with natural hydrogen, and with deuterium in its place if there may be any."""
    mass = sum(count * _mass(z) for z, count in content.counts.items())
    heavier = mass + deuterium * content.counts.get(1, 0) * (_DEUTERIUM - _mass(1))
    return mass * _G_PER_CM3 / content.volume, heavier * _G_PER_CM3 / content.volume


@lru_cache(maxsize=len(SYMBOLS))
def _mass(z: int) -> float:
    import gemmi

    return gemmi.Element(z).weight


def _divisible(formula: Formula, units: float) -> bool:
    return units.is_integer() and all(value % units == 0.0 for value, _ in formula.values())


def _times(atoms: float, formula: Formula, units: float) -> str:
    stated = sum(value for value, _ in formula.values()) * units
    return f"{stated:g} atoms, {'more' if stated > atoms else 'fewer'} than the sites and the symmetry give"


def _what(counts: Mapping[int, float], formula: Formula) -> str:
    """Say which elements are missing, too many, or in another ratio."""
    missing, more = formula.keys() - counts.keys(), counts.keys() - formula.keys()
    if missing:
        return f"{_names(missing)} missing"
    if more:
        return f"{_names(more)} not in the formula"
    heaviest = max(counts, key=lambda z: (z != 1, counts[z]))
    units = counts[heaviest] / formula[heaviest].value
    wrong = next((z for z in counts if abs(counts[z] - units * formula[z].value) > _RELATIVE), heaviest)
    return f"{counts[wrong]:g} of {units * formula[wrong].value:g} {_name(wrong)} in the cell"


def _names(numbers: set[int] | frozenset[int]) -> str:
    names = ", ".join(_name(z) for z in sorted(numbers))
    return f"{names} {'is' if len(numbers) == 1 else 'are'}"


def _name(z: int) -> str:
    return "hydrogen" if z == 1 else SYMBOLS[z - 1]
