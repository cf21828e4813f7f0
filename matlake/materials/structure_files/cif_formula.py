"""Formulas as CIFs state them: ``C2 H4 O``, ``Mg (O H)2``, ``'C6 H16 N 1+, Cl 1-'``, ``Cu S O4, 5(H2 O)``.

The form is that of ``chemical_formula_sum``, ``_structural`` and ``_moiety`` in the core dictionary. Files keep to it
loosely, so a text may have several readings, or none where an amount is left open (``O7-x``).
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS


class Amount(NamedTuple):
    """How much of an element a formula states, and half a unit of the last digit of a decimal."""

    value: float
    rounding: float


Formula = dict[int, Amount]
"""Atomic number -> amount; D and T are hydrogen."""

_ONE: Final = Amount(1.0, 0.0)
_CARBON: Final = 6
_LONGEST: Final = 1000
_ELEMENTS: Final = {**ATOMIC_NUMBER, "D": 1, "T": 1}
_PLAIN: Final = re.compile(r"(?:[A-Z][a-z]?\d*+\s*+)++", re.ASCII)
_PLAIN_PART: Final = re.compile(r"([A-Z][a-z]?)(\d*)", re.ASCII)
_CAPITALS: Final = re.compile(r"(?:[A-Z]{1,2}[\d.]*+\s++)*[A-Z]{1,2}[\d.]*+", re.ASCII)
_NUMBER: Final = r"\d++\.\d*+|\d++|\.\d++"
_MULTIPLIER: Final = re.compile(rf"\s*({_NUMBER})?\s*", re.ASCII)
_TOKEN: Final = re.compile(
    r"(?:(?P<opening>[(\[{])|(?:(?P<symbol>[A-Z][a-z]?)|(?P<closing>[)\]}]))"
    rf"(?:(?P<amount>{_NUMBER})|\s++(?P<apart>{_NUMBER})(?=[\s)\]}}]|$))?)\s*",
    re.ASCII,
)
_SEPARATOR: Final = re.compile(r"\s*[,;·•*]\s*|\s+\.\s*|\s*\.\s+|\s+(?=\d+(?:\.\d+)?[A-Z(\[])")
_CHARGE: Final = re.compile(r"(?:(?<=[\w)\]}])\s+\d*|(?<=[A-Za-z)\]}]))[+-](?=[\s,;)\]}]|$)", re.ASCII)
_MARKUP: Final = re.compile(r"~|\^[^^]*\^")
_UNCERTAINTY: Final = re.compile(r"(\.\d+)\(\d+\)")
_HYDRATE: Final = re.compile(r"(?<=\d)\.(?=\d*(?:H2O|\(H2O\)|D2O|H2 O|\(H2 O\)))")
_CAPITALISED: Final = re.compile(r"[A-Z][a-z]?")
_SOLVENT: Final = re.compile(r"\[?\+\s*solvents?\]?", re.IGNORECASE)
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
_DEEPEST: Final = 20
_RELATIVE: Final = 1e-6


@lru_cache(maxsize=1024)
def read_formula(text: str) -> tuple[Formula, ...]:
    """Return all readings of a formula; none where it is not one, or leaves an amount open.

    ``CuSO4.5H2O`` has two, a decimal and a hydrate; so has ``CO O`` in a text of capitals.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return ()
    if _PLAIN.fullmatch(text):
        readings = [_plain(text)]
    else:
        text = _UNCERTAINTY.sub(r"\1", _CHARGE.sub("", _MARKUP.sub("", " ".join(text.split()))))
        readings = [_parts(variant) for variant in (text, _HYDRATE.sub(", ", text))]
    if text.isupper() and _CAPITALS.fullmatch(text):
        readings.append(_parts(" ".join(word.capitalize() for word in text.split())))
    unique: list[Formula] = []
    for reading in readings:
        if reading and reading not in unique:
            unique.append(reading)
    return tuple(unique)


def states_solvent(text: str) -> bool:
    """Tell whether a formula leaves solvent out in so many words (``[+ solvent]``)."""
    return "olvent" in text.lower() and bool(_SOLVENT.search(text))


def elements_named(text: str) -> frozenset[int]:
    """Return the elements that a formula names, whatever their amounts; none if a word in it is not an element."""
    if len(text) > _LONGEST:
        return frozenset()
    words = _CAPITALISED.findall(text)
    numbers = frozenset([_ELEMENTS.get(word, 0) for word in words])
    return frozenset() if 0 in numbers else numbers


def formula_units(counts: Mapping[int, float], formula: Formula) -> tuple[float, float] | None:
    """Return how many formula units some atoms are, as an interval that decimals leave; None where they are not any.

    Args:
        counts: Atomic number -> number of atoms.
        formula: The formula.
    """
    if counts.keys() != formula.keys():
        return None
    least, most = 0.0, math.inf
    for z, count in counts.items():
        value, rounding = formula[z]
        least = max(least, count / (value + rounding))
        most = min(most, count / (value - rounding)) if value > rounding else most
    return (least, most) if least <= most * (1.0 + _RELATIVE) else None


def spelled(counts: Mapping[int, float]) -> str:
    """Write the simplest formula of some atoms in the order of a CIF: carbon, hydrogen, then the alphabet."""
    divisor = math.gcd(*map(int, counts.values())) if all(float(one).is_integer() for one in counts.values()) else 1
    first = {_CARBON: 0, 1: 1} if _CARBON in counts else {}
    order = sorted(counts, key=lambda z: (first.get(z, 2), SYMBOLS[z - 1]))
    return " ".join(f"{SYMBOLS[z - 1]}{f'{counts[z] / divisor:.10g}' if counts[z] != divisor else ''}" for z in order)


def _plain(text: str) -> Formula | None:
    formula: Formula = {}
    for symbol, amount in _PLAIN_PART.findall(text):
        z = _ELEMENTS.get(symbol)
        number = int(amount) if amount else 1
        if z is None or not number:
            return None
        formula[z] = Amount(formula[z].value + number, 0.0) if z in formula else Amount(float(number), 0.0)
    return formula


def _parts(text: str) -> Formula | None:
    """Read parts with separators between them; a comma in brackets (either of two elements) is not read."""
    total: Formula = {}
    for part in _SEPARATOR.split(text):
        formula = _bracketed(part)
        if not formula:
            return None
        _add(total, formula, _ONE)
    return total


def _bracketed(text: str) -> Formula | None:
    """Read one part: a multiplier, then symbols and brackets with their amounts."""
    multiplier = _MULTIPLIER.match(text)
    total: Formula = {}
    try:
        _add(total, _units(text[multiplier.end() if multiplier else 0 :]), _amount(multiplier and multiplier[1]))
    except (KeyError, ValueError):
        return None
    return total


def _units(text: str) -> Formula:
    """Read symbols and brackets with their amounts.

    Raises:
        KeyError: A symbol is not that of an element.
        ValueError: An amount is zero, brackets do not match, or something else stands there.
    """
    levels: list[tuple[str, Formula]] = [("", {})]
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or len(levels) > _DEEPEST:
            raise ValueError(text)
        if token["symbol"]:
            _add(levels[-1][1], {_ELEMENTS[token["symbol"]]: _ONE}, _amount(token["amount"] or token["apart"]))
        elif token["opening"]:
            levels.append((_BRACKETS[token["opening"]], {}))
        else:
            closing, inner = levels.pop()
            if closing != token["closing"] or not inner:
                raise ValueError(text)
            _add(levels[-1][1], inner, _amount(token["amount"] or token["apart"]))
        position = token.end()
    ((_, total),) = levels
    return total


def _amount(written: str | None) -> Amount:
    if not written:
        return _ONE
    if not float(written):
        raise ValueError(written)
    decimals = written.partition(".")[2]
    return Amount(float(written), 0.5 * 10.0 ** -len(decimals) if decimals else 0.0)


def _add(total: Formula, formula: Formula, factor: Amount) -> None:
    for z, (value, rounding) in formula.items():
        known = total.get(z, Amount(0.0, 0.0))
        total[z] = Amount(
            known.value + value * factor.value, known.rounding + rounding * factor.value + value * factor.rounding
        )
