"""Dots in a formula: decimal points (``Li0.5CoO2``), or separators of two parts (``CuSO4.5H2O``)."""

import re
from typing import Final

from matlake.errors import FormulaError
from matlake.materials.formula_reading.charge_balance import is_balanced
from matlake.materials.formula_reading.grammar import amounts_of
from matlake.materials.periodic_table import ATOMIC_NUMBER

_NUMBER_WITH_DOT: Final = re.compile(r"(?<![\d.])(?=\d*\.)[\d.]+", re.ASCII)
_WATER: Final = re.compile(r"[HD]2O|\([HD]2O\)")
_SIMPLE: Final = re.compile(r"(\d*)\.(\d+)", re.ASCII)
_WHOLE: Final = re.compile(r"\d+\.?|", re.ASCII)
_TWO_DOTS: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)", re.ASCII)
_SOLVATES: Final = re.compile(
    r"(?:NH3|N2H4|H2O2|CH3OH|CH4O|C2H5OH|C2H6O|CH3CN|C2H3N|C4H8O|C3H7NO|C2H6OS|C6H6|C5H5N|HCl|HF|HBr|HNO3|H2SO4|CO2|SO2"
    r"|NaCl|KCl|CS2|C7H8|CHCl3|H20)"
)
_OXOANIONS: Final = {ATOMIC_NUMBER[symbol] for symbol in ("B", "C", "N", "P", "S", "Cl", "Br", "I")}
"""Elements of anions: a salt of one has whole numbers, and a decimal before its water does not make sense."""

_MOST_DOTS: Final = 20


def split_at_dots(formula: str, text: str) -> list[str]:
    """Split a formula at the dots that separate its parts, and leave decimal points alone.

    A dot before a letter or bracket separates. Of a dot between digits, or before one, both readings are tried
    where an element or bracket follows.

    Args:
        formula: A formula without blanks and markup.
        text: The formula as given, for the message.

    Raises:
        FormulaError: Both readings make sense, or neither can be read.
    """
    definite, doubtful = _places(formula, text)
    decimal = _cut(formula, definite)
    if not doubtful:
        return decimal
    separate = _cut(formula, [*definite, *doubtful])
    last = formula[doubtful[-1] + 1 :]
    water = _WATER.fullmatch(last.lstrip("0123456789."))
    both = FormulaError(
        f"formula {text!r} can be read with a decimal point, or as {'·'.join(separate)}",
        f"write {'·'.join(separate)} if that is meant, or the decimal with amounts of all elements behind it",
    )
    if len(doubtful) > _MOST_DOTS:
        if water:
            raise both
        return decimal
    if water and len(doubtful) == 1:
        return _hydrate(formula, doubtful[0], decimal, separate, both)
    decimal_makes_sense = all(_balanced(part) for part in decimal)
    separate_makes_sense = all(_balanced(part) for part in separate)
    if separate_makes_sense and not decimal_makes_sense:
        return separate
    if separate_makes_sense or water or _has_molecule(formula, doubtful):
        raise both
    return decimal


def _places(formula: str, text: str) -> tuple[list[int], list[int]]:
    """Return the places of the dots that separate, and of those that may."""
    definite: list[int] = []
    doubtful: list[int] = []
    for number in _NUMBER_WITH_DOT.finditer(formula):
        start, end, written = number.start(), number.end(), number.group()
        before, after = formula[:start], formula[end : end + 1]
        inside = sum(map(before.count, "([{")) > sum(map(before.count, ")]}"))
        leads = not before or before[-1] in "([{"
        if written.endswith(".") and after and not inside and not (leads and written != "."):
            definite.append(end - 1)
            written = written[:-1]
        if _WHOLE.fullmatch(written):
            continue
        if simple := _SIMPLE.fullmatch(written):
            if after and not (inside or leads or number.group().endswith(".") or simple.group(1) in ("0", "00")):
                doubtful.append(start + len(simple.group(1)))
        elif (two := _TWO_DOTS.fullmatch(written)) and after and not (inside or leads):
            first = start + len(two.group(1))
            if two.group(1) == "0":
                definite.append(end - len(two.group(3)) - 1)
            elif not _has_decimals(formula[:start]):
                definite.append(first)
            else:
                raise _dots(text)
        else:
            raise _dots(text)
    return definite, doubtful


def _hydrate(formula: str, place: int, decimal: list[str], separate: list[str], both: FormulaError) -> list[str]:
    """Decide on ``CuSO4.5H2O``: water, unless the decimal makes sense, too (``VO2.5H2O`` has V2O5)."""
    before = formula[:place]
    integer = re.search(r"\d*$", before, re.ASCII)
    count = re.match(r"\d*", formula[place + 1 :], re.ASCII)
    assert integer is not None  # noqa: S101 - it may be empty
    assert count is not None  # noqa: S101 - likewise
    usual = integer.group() != "1" and not count.group().startswith("0") and count.group() != "1"
    salt = not _OXOANIONS.isdisjoint(amounts_of(separate[-2], formula))
    if not usual or _has_decimals(before) or (not salt and all(_balanced(part) for part in decimal)):
        raise both
    return separate


def _has_decimals(part: str) -> bool:
    return re.search(r"\d\.\d", part, re.ASCII) is not None


def _has_molecule(formula: str, doubtful: list[int]) -> bool:
    """Say whether a usual solvate ends the formula, as in ``LiCl.2CH3OH``."""
    return _SOLVATES.fullmatch(formula[doubtful[-1] + 1 :].lstrip("0123456789.")) is not None


def _balanced(part: str) -> bool:
    try:
        return is_balanced(amounts_of(part, part))
    except FormulaError:
        return False


def _cut(formula: str, places: list[int]) -> list[str]:
    starts, ends = [0, *(place + 1 for place in sorted(places))], [*sorted(places), len(formula)]
    return [formula[start:end] for start, end in zip(starts, ends, strict=True)]


def _dots(text: str) -> FormulaError:
    return FormulaError(f"cannot read the dots in formula {text!r}", "write it like CuSO4·5H2O or Li0.5CoO2")
