"""Chemical formulas: parsing, exact composition, content hash.

A composition is kept as whole-number amounts without a common divisor, so that ``TiO2``, ``Ti2O4``, ``O2Ti``
and ``Ti0.5O`` are one and the same, with no rounding anywhere. pymatgen's ``Composition`` is the referee (the
tests hold the two against each other), and not needed to run.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from matlake.errors import FormulaError
from matlake.materials.formula_reading.dots import split_at_dots
from matlake.materials.formula_reading.grammar import PLAIN, Amounts, amounts_of, plain_amounts
from matlake.materials.formula_reading.markup import SEPARATOR, plain_text
from matlake.materials.formula_reading.two_readings import FULLERENES, refuse_second_readings
from matlake.materials.periodic_table import ELECTRONEGATIVITY, SYMBOLS

MAX_LENGTH = 1000
"""Longest formula read; far above any real one, and it bounds the work on hostile input."""

_LARGEST_RATIO = 10**12
_SIMPLE = 1000  # largest denominator of a simple fraction
_DECIMALS = 9
_WRITTEN = {z: value for z, value in enumerate(ELECTRONEGATIVITY, start=1) if math.isfinite(value)}


@dataclass(frozen=True)
class Composition:
    """An exact composition: relative amounts of elements.

    Attributes:
        amounts: (atomic number, amount) in order of atomic number; amounts are positive, without a common divisor.
    """

    amounts: tuple[tuple[int, int], ...]

    @cached_property
    def canonical(self) -> str:
        """Equal for equal compositions: symbols in order of atomic number, every amount written (``O2Ti1``)."""
        return "".join([f"{SYMBOLS[z - 1]}{amount}" for z, amount in self.amounts])

    @cached_property
    def content_hash(self) -> str:
        """What a composition encoder sees, as 32 hexadecimal digits (128-bit BLAKE2b of ``canonical``)."""
        return hashlib.blake2b(self.canonical.encode(), digest_size=16).hexdigest()

    @cached_property
    def reduced_formula(self) -> str:
        """As chemists write it, metals first (``TiO2``): by electronegativity, elements without one last.

        Every amount is written where the formula would have a second reading without (``S1N1``, tin otherwise).
        """
        ordered = sorted(self.amounts, key=lambda part: (_WRITTEN.get(part[0], math.inf), SYMBOLS[part[0] - 1]))
        short = "".join([f"{SYMBOLS[z - 1]}{amount if amount > 1 else ''}" for z, amount in ordered])
        try:
            refuse_second_readings(short, dict(self.amounts), short)
        except FormulaError:
            return "".join([f"{SYMBOLS[z - 1]}{amount}" for z, amount in ordered])
        return short

    @property
    def fractions(self) -> list[float]:
        """Fractions of the elements in ``amounts``; they add up to one."""
        total = sum(amount for _, amount in self.amounts)
        return [amount / total for _, amount in self.amounts]

    @cached_property
    def elements(self) -> list[str]:
        """Symbols in alphabetical order."""
        return sorted(SYMBOLS[z - 1] for z, _ in self.amounts)


def parse_formula(text: object) -> Composition:
    """Read a chemical formula.

    Nested brackets, decimals (``Ga0.3In0.7As``), hydrates (``CuSO4·5H2O``, also with ``.``, ``*`` or ``•``), subscripts
    (``TiO₂``, ``TiO$_2$``, ``TiO<sub>2</sub>``) and blanks between elements are read. The three kinds of brackets mean
    the same. ``D`` is hydrogen: isotopes have no fractions of their own. Text with two readings is refused.

    Args:
        text: A formula. Anything but a string, such as the NaN of an empty table cell, is an error.

    Raises:
        FormulaError: Empty, charged, negative or zero amounts, unbalanced brackets, an unknown symbol, two readings.
    """
    if not isinstance(text, str):
        raise _not_text(text)
    if not text.strip():
        raise _empty()
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"formula of {len(text):,} characters starting {text[:20]!r}: longer than {MAX_LENGTH:,}")
    if PLAIN.fullmatch(text) and "." not in text:
        amounts = plain_amounts(text, text)
        refuse_second_readings(text, amounts, text)
        return _composition(amounts, text)
    parts = [part for piece in plain_text(text).split(SEPARATOR) for part in split_at_dots(piece, text)]
    total: Amounts = {}
    for part in parts:
        amounts = amounts_of(part, text)
        refuse_second_readings(part, amounts, text)
        if len(amounts) == 1 and len(parts) > 1 and part not in FULLERENES:
            raise FormulaError(
                f"the part {part!r} of formula {text!r} is an element, not a compound",
                "write one compound, without the dot: no composites",
            )
        for z, amount in amounts.items():
            total[z] = total.get(z, 0) + amount
    return _composition(total, text)


def composition_of_amounts(amounts: Mapping[int, float]) -> Composition:
    """Return the composition of amounts in binary floating point, such as sums of occupancies.

    Each is taken for the simple fraction that it stands for (0.333333333 for 1/3, 0.1 + 0.2 for 3/10), else for its
    first nine decimals.

    Args:
        amounts: Atomic number -> amount; elements of amount zero are left out.

    Raises:
        FormulaError: An amount is negative or not finite, or nothing is left.
    """
    exact: Amounts = {}
    for z, amount in amounts.items():
        if not math.isfinite(amount) or amount < 0:
            raise FormulaError(f"amount {amount:g} of {SYMBOLS[z - 1]}", "amounts are positive numbers")
        if fraction := _fraction(amount):
            exact[z] = fraction
    if not exact:
        raise FormulaError("no atoms")
    return _composition(exact, " ".join(f"{SYMBOLS[z - 1]}{amount:g}" for z, amount in amounts.items()))


def _fraction(amount: float) -> int | Fraction:
    return int(amount) if amount == int(amount) else simple_fraction(amount, _SIMPLE, _DECIMALS)


def simple_fraction(value: float, largest_denominator: int, decimals: int) -> Fraction:
    """Return the simple fraction that a number rounds to some decimals, else the number of that many decimals."""
    simple = Fraction(value).limit_denominator(largest_denominator)
    near = abs(simple - Fraction(value)) < Fraction(1, 10**decimals)
    return simple if near else Fraction(f"{value:.{decimals}f}")


def _empty() -> FormulaError:
    return FormulaError("empty formula")


def _not_text(given: object) -> FormulaError:
    if given is None or (isinstance(given, float) and math.isnan(given)):
        return _empty()
    return FormulaError(f"a formula should be text, not {type(given).__name__}", "give text such as 'TiO2'")


def readings(text: str) -> list[Composition]:
    """Return what a formula may mean: its one reading, or where it is refused, what is written symbol by symbol.

    For text that something else settles, such as a structure (``B48``, ``SN``). Empty where nothing can be read.
    """
    try:
        return [parse_formula(text)]
    except FormulaError:
        try:
            return [_composition(amounts_of(text.strip(), text), text)] if len(text) <= MAX_LENGTH else []
        except FormulaError:
            return []


def _composition(amounts: Amounts, text: str) -> Composition:
    scale = math.lcm(*[amount.denominator for amount in amounts.values()])
    whole = [int(amount * scale) for amount in amounts.values()] if scale > 1 else [*map(int, amounts.values())]
    divisor = math.gcd(*whole)
    if max(whole) > _LARGEST_RATIO * min(whole):
        raise FormulaError(f"amount out of range in formula {text!r}")
    return Composition(tuple(sorted(zip(amounts, [amount // divisor for amount in whole], strict=True))))
