"""Chemical formulas: parsing, exact composition, content hash.

A composition is kept as whole-number amounts without a common divisor, so that ``TiO2``, ``Ti2O4``, ``O2Ti``
and ``Ti0.5O`` are one and the same, with no rounding anywhere. pymatgen's ``Composition`` is the referee (the
tests hold the two against each other), and not needed to run.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from matlake.errors import FormulaError
from matlake.materials.periodic_table import ATOMIC_NUMBER, ELECTRONEGATIVITY, SYMBOLS

MAX_LENGTH = 1000
"""Longest formula read; far above any real one, and it bounds the work on hostile input."""

_PLAIN = re.compile(r"(?:[A-Z][a-z]?(?:\d+(?:\.\d*)?|\.\d+)?)+")
_PLAIN_PART = re.compile(r"([A-Z][a-z]?)([\d.]*)")
_HYDRATE_DOT = re.compile(r"[·•⋅∙*]")
_AMOUNT = r"(?:\d+\.?\d*|\.\d+)"
_LEADING = re.compile(_AMOUNT, re.ASCII)
_TOKEN = re.compile(
    rf"(?P<opening>[(\[{{])|(?:(?P<symbol>[A-Z][a-z]*)|[)\]}}])(?P<amount>{_AMOUNT}(?:e\d+)?)?", re.ASCII
)
_CHARGE = re.compile(r"[+\u2212\u207a\u207b-]")
_LARGEST = 1e300
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
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
        """As chemists write it, metals first (``TiO2``): by electronegativity, elements without one last."""
        ordered = sorted(self.amounts, key=lambda part: (_WRITTEN.get(part[0], math.inf), SYMBOLS[part[0] - 1]))
        return "".join([f"{SYMBOLS[z - 1]}{amount if amount > 1 else ''}" for z, amount in ordered])

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

    Nested brackets, decimals (``Ga0.3In0.7As``), hydrates (``CuSO4·5H2O``, also with ``*`` or ``•``) and
    subscript digits are read. The three kinds of brackets mean the same. ``D`` and ``T`` are hydrogen:
    isotopes have no fractions of their own.

    Args:
        text: A formula. Anything but a string, such as the NaN of an empty table cell, is an error.

    Raises:
        FormulaError: Empty, charged, negative or zero amounts, unbalanced brackets, an unknown symbol.
    """
    if not isinstance(text, str) or not text.strip():
        raise FormulaError("empty formula", "give each row a chemical formula such as TiO2")
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"formula of {len(text):,} characters starting {text[:20]!r}: longer than {MAX_LENGTH:,}")
    formula = text if text.isascii() and text.isalnum() else "".join(text.translate(_SUBSCRIPTS).split())
    if _PLAIN.fullmatch(formula):
        return _composition(_plain_amounts(formula, text), text)
    if _CHARGE.search(formula):
        raise FormulaError(
            f"charge, sign or range in formula {text!r}", "give the neutral composition: NaCl rather than Na+"
        )
    total: dict[int, Fraction] = {}
    for part in _HYDRATE_DOT.split(formula):
        leading = _LEADING.match(part)
        factor = Fraction(leading.group()) if leading else Fraction(1)
        _add(total, _bracketed_amounts(part[leading.end() if leading else 0 :], text), factor)
    if max(total.values()) > _LARGEST:
        raise FormulaError(f"amount out of range in formula {text!r}")
    return _composition(total, text)


def _atomic_number(symbol: str, text: object) -> int:
    z = ATOMIC_NUMBER.get(symbol) or (1 if symbol in ("D", "T") else None)
    if z is None:
        raise FormulaError(f"unknown element {symbol!r} in formula {text!r}")
    return z


def _plain_amounts(formula: str, text: str) -> dict[int, int | Fraction]:
    """Read a formula without brackets and dots, as nearly all in the databases are: 20 times pymatgen's speed."""
    amounts: dict[int, int | Fraction] = {}
    for symbol, number in _PLAIN_PART.findall(formula):
        z = _atomic_number(symbol, text)
        amount = 1 if not number else int(number) if number.isdigit() else Fraction(number)
        if not amount:
            raise _zero_amount(text)
        amounts[z] = amounts.get(z, 0) + amount
    return amounts


def _bracketed_amounts(part: str, text: str) -> dict[int, Fraction]:
    """Read a formula with brackets: ``K4[Fe(CN)6]``."""
    levels: list[dict[int, Fraction]] = [{}]
    position = 0
    while token := _TOKEN.match(part, position):
        position = token.end()
        amount = _amount(token["amount"], text)
        if token["opening"]:
            levels.append({})
        elif token["symbol"]:
            _add(levels[-1], {_atomic_number(token["symbol"], text): Fraction(1)}, amount)
        elif len(levels) > 1 and levels[-1]:
            inner = levels.pop()
            _add(levels[-1], inner, amount)
        else:
            raise _unreadable(text)
    if position < len(part) or len(levels) > 1 or not levels[0]:
        raise _unreadable(text)
    return levels[0]


def _unreadable(text: str) -> FormulaError:
    return FormulaError(f"cannot read formula {text!r}", "write it like Ca(OH)2 or CuSO4·5H2O; check the brackets")


def _zero_amount(text: str) -> FormulaError:
    return FormulaError(f"zero amount in formula {text!r}", "leave the element out")


def _amount(written: str | None, text: str) -> Fraction:
    if written is None:
        return Fraction(1)
    if float(written) > _LARGEST:  # before it is written out: 1e999999999 has as many digits
        raise FormulaError(f"amount out of range in formula {text!r}")
    if not float(written):
        raise _zero_amount(text)
    return Fraction(written)


def _add(total: dict[int, Fraction], amounts: dict[int, Fraction], factor: Fraction) -> None:
    """Add a multiple of some amounts to others, exactly."""
    for z, amount in amounts.items():
        total[z] = total.get(z, Fraction(0)) + factor * amount


def _composition(amounts: dict[int, int | Fraction] | dict[int, Fraction], text: str) -> Composition:
    if not amounts:
        raise FormulaError(f"no element in formula {text!r}")
    if not all(amounts.values()):
        raise _zero_amount(text)
    scale = math.lcm(*[amount.denominator for amount in amounts.values()])
    whole = amounts if scale == 1 else {z: amount * scale for z, amount in amounts.items()}
    divisor = math.gcd(*[int(amount) for amount in whole.values()])
    return Composition(tuple([(z, int(amount) // divisor) for z, amount in sorted(whole.items())]))
