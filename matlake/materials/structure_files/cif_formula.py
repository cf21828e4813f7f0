"""Formulas as CIFs state them: ``C2 H4 O``, ``Mg (O H)2``, ``'C6 H16 N 1+, Cl 1-'``, ``Cu S O4, 5(H2 O)``.

Source of the form: the categories ``chemical_formula_sum``, ``_structural`` and ``_moiety`` of the core dictionary. Files
keep to it loosely, so a text may have several readings, or none where an amount is left open (``O7-x``).
"""

import math
import re
from functools import lru_cache
from typing import Final, NamedTuple

from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS


class Amount(NamedTuple):
    """How much of an element a formula states, and half a unit of the last digit of a decimal."""

    value: float
    rounding: float


Formula = dict[int, Amount]
"""Atomic number -> amount; D and T are hydrogen."""

_LONGEST: Final = 1000
_ELEMENTS: Final = {**ATOMIC_NUMBER, "D": 1, "T": 1}
_PLAIN: Final = re.compile(r"(?:[A-Z][a-z]?\d*+\s*+)++", re.ASCII)
_PLAIN_PART: Final = re.compile(r"([A-Z][a-z]?)(\d*)", re.ASCII)
_CAPITALS: Final = re.compile(r"(?:[A-Z]{1,2}[\d.]*+\s++)*[A-Z]{1,2}[\d.]*+", re.ASCII)
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<symbol>[A-Z][a-z]?)|(?P<opening>[(\[{])|(?P<closing>[)\]}]))?"
    r"(?:(?P<amount>\d++\.\d*+|\d++|\.\d++)|\s++(?P<apart>\d++\.\d*+|\d++|\.\d++)(?=[\s)\]}]|$))?",
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
    """Return the elements that a formula names, whatever their amounts; none if a word in it is no element."""
    if len(text) > _LONGEST:
        return frozenset()
    words = _CAPITALISED.findall(text)
    numbers = frozenset([_ELEMENTS.get(word, 0) for word in words])
    return frozenset() if 0 in numbers else numbers


def formula_units(counts: dict[int, int], formula: Formula) -> tuple[float, float] | None:
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


def spelled(counts: dict[int, int]) -> str:
    """Write the simplest formula of some atoms in the order of a CIF: carbon, hydrogen, then the alphabet."""
    divisor = math.gcd(*counts.values())
    carbon = 6 in counts
    order = sorted(counts, key=lambda z: (not (carbon and z == 6), not (carbon and z == 1), SYMBOLS[z - 1]))  # noqa: PLR2004 - carbon
    return " ".join(f"{SYMBOLS[z - 1]}{counts[z] // divisor if counts[z] > divisor else ''}" for z in order)


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
        _add(total, formula, Amount(1.0, 0.0))
    return total


def _bracketed(text: str) -> Formula | None:
    """Read one part: a multiplier, then symbols and brackets with their amounts."""
    levels: list[tuple[str, Formula]] = [("", {})]
    factor = Amount(1.0, 0.0)
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or token.end() == position:
            return None
        amount = _amount(token["amount"] or token["apart"])
        if amount.value <= 0.0:
            return None
        if token["symbol"]:
            z = _ELEMENTS.get(token["symbol"])
            if z is None:
                return None
            _add(levels[-1][1], {z: Amount(1.0, 0.0)}, amount)
        elif token["opening"]:
            if token["amount"] or token["apart"] or len(levels) > _DEEPEST:
                return None
            levels.append((_BRACKETS[token["opening"]], {}))
        elif token["closing"]:
            closing, inner = levels.pop()
            if closing != token["closing"] or not inner or not levels:
                return None
            _add(levels[-1][1], inner, amount)
        elif token["amount"]:
            if len(levels) > 1 or levels[0][1] or factor.value != 1.0:
                return None
            factor = amount
        elif token.group().strip():
            return None
        position = token.end()
    if len(levels) > 1:
        return None
    total: Formula = {}
    _add(total, levels[0][1], factor)
    return total


def _amount(written: str | None) -> Amount:
    if not written:
        return Amount(1.0, 0.0)
    decimals = written.partition(".")[2]
    return Amount(float(written), 0.5 * 10.0 ** -len(decimals) if decimals else 0.0)


def _add(total: Formula, formula: Formula, factor: Amount) -> None:
    for z, (value, rounding) in formula.items():
        known = total.get(z, Amount(0.0, 0.0))
        total[z] = Amount(
            known.value + value * factor.value, known.rounding + rounding * factor.value + value * factor.rounding
        )
