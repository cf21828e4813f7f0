"""The grammar of a formula without separators: symbols, amounts, brackets, a number in front.

What comes out is exact. Text that has a second reading is the business of ``two_readings``.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, TypeAlias

from matlake.errors import FormulaError
from matlake.materials.periodic_table import ATOMIC_NUMBER

Amounts: TypeAlias = dict[int, int | Fraction]
"""Atomic number -> amount."""

AMOUNT: Final = r"(?:\d+\.?\d*|\.\d+)"
PLAIN: Final = re.compile(rf"(?:[A-Z][a-z]?{AMOUNT}?)+", re.ASCII)
"""A formula of symbols and amounts alone, as nearly all in the databases are."""

_PLAIN_PART: Final = re.compile(r"([A-Z][a-z]?)([\d.]*)", re.ASCII)
_LEADING: Final = re.compile(AMOUNT, re.ASCII)
_TOKEN: Final = re.compile(rf"(?P<opening>[(\[{{])|(?:(?P<symbol>[A-Z][a-z]*)|[)\]}}])(?P<amount>{AMOUNT})?", re.ASCII)
_LARGEST: Final = 1_000_000
_SMALL: Final = 6  # digits of an amount below the largest
_LARGEST_IN_FRONT: Final = 1000


def amounts_of(part: str, text: str) -> Amounts:
    """Return the amounts in a part of a formula, such as ``5H2O`` or ``K4[Fe(CN)6]``.

    Args:
        part: The part.
        text: The whole formula as given, for the message.

    Raises:
        FormulaError: Unbalanced brackets, an unknown symbol, an amount that is zero or out of range.
    """
    leading = _LEADING.match(part)
    if leading is None:
        return plain_amounts(part, text) if PLAIN.fullmatch(part) else _bracketed_amounts(part, text)
    factor = _amount(leading.group(), text)
    if factor >= _LARGEST_IN_FRONT:
        raise _out_of_range(text)
    rest = part[leading.end() :]
    return {z: factor * amount for z, amount in _bracketed_amounts(rest, text).items()}


def plain_amounts(formula: str, text: str) -> Amounts:
    """Return the amounts in a formula that ``PLAIN`` matches: 20 times pymatgen's speed."""
    amounts: Amounts = {}
    for symbol, number in _PLAIN_PART.findall(formula):
        z = ATOMIC_NUMBER.get(symbol) or _atomic_number(symbol, text)
        amount: int | Fraction = 1
        if number:  # nearly all are small whole numbers
            amount = int(number) if number.isdigit() and len(number) < _SMALL else _amount(number, text)
            if not amount:
                raise _zero(text)
        amounts[z] = amounts[z] + amount if z in amounts else amount
    return amounts


def _bracketed_amounts(part: str, text: str) -> Amounts:
    levels: list[Amounts] = [{}]
    position = 0
    while token := _TOKEN.match(part, position):
        position = token.end()
        amount = 1 if token["amount"] is None else _amount(token["amount"], text)
        if token["opening"]:
            levels.append({})
        elif token["symbol"]:
            _add(levels[-1], {_atomic_number(token["symbol"], text): 1}, amount)
        elif len(levels) > 1 and levels[-1]:
            inner = levels.pop()
            _add(levels[-1], inner, amount)
        else:
            raise _unreadable(part, position, text)
    if position < len(part) or len(levels) > 1 or not levels[0]:
        raise _unreadable(part, position, text)
    return levels[0]


def _add(total: Amounts, amounts: Mapping[int, int | Fraction], factor: int | Fraction) -> None:
    for z, amount in amounts.items():
        total[z] = total.get(z, 0) + factor * amount


def _atomic_number(symbol: str, text: str) -> int:
    z = ATOMIC_NUMBER.get(symbol) or (1 if symbol == "D" else None)
    if z is None:
        hint = ""
        if symbol == "T":
            hint = "T may be tritium or stand for any transition metal: write H, or the metal"
        elif symbol[-1:] in "xyzn" and (ATOMIC_NUMBER.get(symbol[:-1]) or len(symbol) == 1):
            hint = "a variable amount has no composition: write the number"
        raise FormulaError(f"unknown element {symbol!r} in formula {text!r}", hint)
    return z


def _amount(written: str, text: str) -> int | Fraction:
    if float(written) > _LARGEST:
        raise _out_of_range(text)
    amount = int(written) if written.isdigit() else Fraction(written)
    if not amount:
        raise _zero(text)
    return amount


def _zero(text: str) -> FormulaError:
    return FormulaError(f"zero amount in formula {text!r}", "leave the element out, or write the letter O for oxygen")


def _out_of_range(text: str) -> FormulaError:
    return FormulaError(f"amount out of range in formula {text!r}", f"amounts go up to {_LARGEST:,}")


def _unreadable(part: str, position: int, text: str) -> FormulaError:
    if part[position : position + 1].islower():
        return FormulaError(
            f"cannot read {part[position:]!r} in formula {text!r}",
            "symbols begin with a capital letter (NaCl); names, phases and variable amounts are not part of a formula",
        )
    return FormulaError(f"cannot read formula {text!r}", "write it like Ca(OH)2 or CuSO4·5H2O; check the brackets")
