"""Formulas that chemists may read in two ways: settled where only one makes sense, refused otherwise.

This is about symbols and amounts; ``dots`` is about dots. The rules are those of ``docs/reference/import.md``, section
"Formulas". They were chosen so that of 399,589 formulas of six databases all but 28 pass; a test lists those.
"""

import itertools
import math
import re
from collections.abc import Iterable
from typing import Final

from matlake.errors import FormulaError
from matlake.materials.formula_reading.charge_balance import is_balanced
from matlake.materials.formula_reading.grammar import Amounts, amounts_of
from matlake.materials.formula_reading.nicknames import ALLOYS_BY_WEIGHT, NICKNAMES
from matlake.materials.periodic_table import ATOMIC_NUMBER, ELECTRONEGATIVITY

_USUAL: Final = frozenset(
    (
        "CO NO CN HF HCN HNO HOF KOH KSH KSCN KNCS KOCN KNCO KCNO HNCO HOCN HSCN HNCS NOF PON VON UBC UBN UCO UOS YOI "
        "VOSO4 HCOOH AgCO3 Ag4SI Al4CO NiCO4"
    ).split()
)
"""Formulas that the rules would refuse; a chemist reads them in one way, or databases hold them as they are written."""

FULLERENES: Final = frozenset({"C60", "C70"})
_LARGE_LONE: Final = 10
_LEAST_OXYGEN: Final = 0.2
"""Share of the atoms of an oxide; those of suboxides such as Cs3O have more, too."""

_LARGE_END: Final = 100

_ALLOY_PAIRS: Final = frozenset(("Co", "Cu", "Hf", "In", "Nb", "Ni", "Sc", "Si", "Sn"))
"""Symbols that are often written with two capitals; Cs, Ho and Yb are left out: Hf2CS, AgHO2 and YBRh3 exist."""

_ALLOYED: Final = frozenset(ATOMIC_NUMBER) - frozenset(
    "H He Li B C N O F Ne Na P S Cl Ar K Se Br Kr Rb I Xe Cs At Rn Fr".split()
)
"""Metals and semimetals that form alloys and intermetallics."""

CAPITAL_PAIRS: Final = ("BI CD CI CS CO CU DY HF HO IN NB ND NI NP OS PB PD PU SB SC SI SN YB").split()
"""Capitals that would be one symbol with the second letter small; C and I, too, which may be meant for Cl."""

_PAIR: Final = re.compile(f"(?:{'|'.join(f'{pair[0]}(?={pair[1]})' for pair in CAPITAL_PAIRS)})(?=[A-Z](?![a-z]))")

_MAYBE_DOUBT: Final = re.compile(r"[BCDHINOPSVY][A-Z]|0\d|[(\[{]", re.ASCII)
"""Quicker than ``_DOUBT``, and found wherever that is."""

_DOUBT: Final = re.compile(
    r"(?P<leading_zero>(?<![\d.])0\d)|(?P<zero_in>(?<=[A-Za-z])[1-9]\d*0[1-9]\d*)"
    r"|(?P<roman>[(\[{][IVX]+[)\]}]|II|IV(?![a-z])|(?<=[a-z])VI+(?![a-z]))"
    r"|(?P<group>O(?:Ac|Pr)(?![a-z])|\((?:Ac|Pr)\))"
    rf"|(?P<pair>{_PAIR.pattern})",
    re.ASCII,
)
_ROMAN_SIX: Final = re.compile(r"(?<=[a-z])VI+(?![a-z])")
_ENDS_IN_NUMBER: Final = re.compile(r"([A-Z]+)(\d+)", re.ASCII)
_LONE_IN_BRACKETS: Final = re.compile(r"\([A-Z][a-z]?\)")
_MOST_PAIRS: Final = 4
_POLYTYPE: Final = re.compile(r"\d+[HCR]([A-Z].*)", re.ASCII)
_SYMBOL: Final = re.compile(r"[A-Z][a-z]?")


def refuse_second_readings(part: str, amounts: Amounts, text: str) -> None:
    """Refuse a part of a formula that has a second reading.

    Args:
        part: The part, without separators and decimal points that are in doubt.
        amounts: Its amounts as they are read.
        text: The whole formula as given, for the message.

    Raises:
        FormulaError: What the two readings are, and what to write.
    """
    if part in NICKNAMES or part in ALLOYS_BY_WEIGHT:
        raise _nickname(part, text)
    if len(amounts) == 1:
        _refuse_lone_element(part, amounts, text)
    for doubt in _DOUBT.finditer(part) if _MAYBE_DOUBT.search(part) else ():
        if doubt.lastgroup == "pair":
            _refuse_other_symbols(part, amounts, text)
        else:
            _refuse_doubt(doubt, part, amounts, text)
    if part.isupper():
        _refuse_capitals(part, amounts, text)
    if part[0].isdigit() and part == text:
        _refuse_polytype(part, text)


def _refuse_doubt(doubt: re.Match[str], part: str, amounts: Amounts, text: str) -> None:
    found, kind = doubt.group(), doubt.lastgroup
    if kind == "leading_zero" or (kind == "zero_in" and _may_be_oxide(doubt, part, amounts, text)):
        raise FormulaError(
            f"formula {text!r} has the number {found!r}, perhaps with a zero for the letter O",
            "write the letter O for oxygen",
        )
    if kind == "roman":
        if found.startswith("V"):
            rest = _ROMAN_SIX.sub("", part)
            if not (rest and is_balanced(amounts_of(rest, text))):
                return  # CsVI3
        raise FormulaError(
            f"{found!r} in formula {text!r} may be an oxidation state, or iodine or vanadium",
            "leave oxidation states out: Fe2O3 rather than Fe(III)2O3",
        )
    if kind == "group":
        raise FormulaError(
            f"{found!r} in formula {text!r} may be acetate or propoxide, or an element",
            "write the group's elements: Zn(C2H3O2)2 rather than Zn(OAc)2",
        )


def _may_be_oxide(zero: re.Match[str], part: str, amounts: Amounts, text: str) -> bool:
    """Say whether a zero in a number makes an oxide as the letter O: in ``LiMn204``, not in ``Fe91Ni109``."""
    if ATOMIC_NUMBER["O"] in amounts:
        return False
    oxide = amounts_of(
        part[: zero.start()] + re.sub("0(?=[1-9])", "O", zero.group(), count=1) + part[zero.end() :], text
    )
    return oxide[ATOMIC_NUMBER["O"]] >= _LEAST_OXYGEN * sum(oxide.values())


def _refuse_polytype(part: str, text: str) -> None:
    """Refuse ``4HSiC``: silicon carbide with its stacking in front."""
    found = _POLYTYPE.fullmatch(part)
    if found is not None and len(set(_SYMBOL.findall(found.group(1)))) > 1:
        raise FormulaError(
            f"{text!r} may begin with the name of a polytype, or with an element", f"write {found.group(1)} if it does"
        )


def _refuse_lone_element(part: str, amounts: Amounts, text: str) -> None:
    """Refuse ``Ti64``, ``Bi2223``, ``H20``, ``SS316``: one element with an amount that no molecule has."""
    (amount,) = amounts.values()
    symbols = _SYMBOL.findall(part)
    if "(" not in part and (amount >= _LARGE_LONE or len(symbols) > 1) and part not in FULLERENES:
        raise FormulaError(
            f"formula {text!r} is read as one element, but may be the name of an alloy or phase, or a zero for O",
            f"write {symbols[0]} for the element, or the formula with all elements",
        )


def _refuse_other_symbols(part: str, amounts: Amounts, text: str) -> None:
    """Refuse capitals that make sense as symbols of two letters: ``SNO2`` as S, N and O, or as SnO2."""
    if part in _USUAL:
        return
    capitals = part.isupper()
    symbols = _SYMBOL.findall(part)
    as_written = not capitals and is_balanced(amounts)
    if as_written and _in_usual_order(symbols):
        return
    places = [pair.start() + 1 for pair in _PAIR.finditer(part)]
    if len(places) > _MOST_PAIRS:
        raise _capitals(text)
    for count in range(len(places), 0, -1):
        for chosen in itertools.combinations(places, count):
            if any(later == place + 1 for place, later in itertools.pairwise(chosen)):
                continue
            other = _with_small_letters(part, chosen)
            if as_written:  # CuINS2: balanced, but nobody writes it so
                second = _makes_sense(other, amounts, capitals) and _in_usual_order(_SYMBOL.findall(other))
            else:
                second = _makes_sense(other, amounts, capitals)
            if second or (not capitals and _is_intermetallic(other, symbols, amounts)):
                raise FormulaError(
                    f"formula {text!r} can be read with other elements, as {other}",
                    f"write {other} if it is meant; write Hf or HF, Co or CO, and amounts such as S1N1O2 otherwise",
                )


def _with_small_letters(part: str, places: tuple[int, ...]) -> str:
    letters = list(part)
    for place in places:
        letters[place] = "l" if part[place - 1 : place + 1] == "CI" else letters[place].lower()
    return "".join(letters)


def _makes_sense(other: str, amounts: Amounts, capitals: bool) -> bool:
    """Say whether another reading is an element, or a charge-balanced compound that a chemist would write so."""
    symbols = _SYMBOL.findall(other)
    if len(symbols) == 1:
        return other.isalpha()
    if len(set(symbols)) < len(symbols) or _LONE_IN_BRACKETS.search(other):
        return False
    if "H" in symbols and ("C" in symbols or "O" not in symbols):
        return False
    if "Cl" in symbols and is_balanced(amounts):  # C and I next to each other are right: CI4
        return False
    if is_balanced(amounts_of(other, other), mixed_valence=capitals):
        return True
    # an intermetallic or a boride: NB3SN, HFB2
    as_capitals = other.upper().replace("CL", "CI")  # see ``_with_small_letters``
    return capitals and _in_usual_order(symbols) and not (is_balanced(amounts) or _in_usual_order([*as_capitals]))


def _is_intermetallic(other: str, symbols: list[str], amounts: Amounts) -> bool:
    """Say whether another reading has metals alone, and none that hardly form alloys: ``SmCO5``, ``Mg2SN``.

    Carbon has the states of carbides and oxalates here, and amounts with a common divisor would be written without it:
    ``Al2CO``, ``AgCO2`` and ``Ti2CO2`` are as written.
    """
    found = {*_SYMBOL.findall(other)}
    if not other.isalnum() or not found <= _ALLOYED or not found - {*symbols} <= _ALLOY_PAIRS:
        return False
    carbon = amounts.get(ATOMIC_NUMBER["C"])
    if carbon is not None and _in_usual_order(symbols) and any(is_balanced(amounts, carbon=state) for state in (-4, 3)):
        return False
    whole = [amount for amount in amounts_of(other, other).values() if isinstance(amount, int)]
    return len(whole) < len(found) or math.gcd(*whole) == 1


def _refuse_capitals(part: str, amounts: Amounts, text: str) -> None:
    """Refuse ``UNKNOWN`` and ``IN718``: capitals that are a formula only by chance."""
    if part in _USUAL:
        return
    base = part.rstrip("0123456789")
    if len(base) > 2 and base.isalpha() and base in NICKNAMES:  # noqa: PLR2004 - PI3 is a formula
        raise _nickname(base, text)
    if part.isalpha():
        if len(part) > 2 and not (is_balanced(amounts) and _in_usual_order(part)):  # noqa: PLR2004 - VN, BN, UC
            raise _capitals(text)
        return
    ending = _ENDS_IN_NUMBER.fullmatch(part)
    if ending is None or len(amounts) == 1:
        return
    number = int(ending.group(2))
    light = ending.group(1)[-1] in "BCH"
    if number >= _LARGE_END or (number >= _LARGE_LONE and not light and not is_balanced(amounts)):
        raise _capitals(text)


def _in_usual_order(symbols: Iterable[str]) -> bool:
    """Return whether symbols stand in the order of electronegativity; anything but letters is passed over."""
    values = [
        ELECTRONEGATIVITY[(1 if symbol == "D" else ATOMIC_NUMBER[symbol]) - 1] for symbol in symbols if symbol.isalpha()
    ]
    return all(map(math.isfinite, values)) and all(one < other for one, other in itertools.pairwise(values))


def _capitals(text: str) -> FormulaError:
    return FormulaError(
        f"{text!r} looks like an abbreviation, not a formula",
        "write the formula with the amounts of all elements, such as K1S1C1N1",
    )


def _nickname(part: str, text: str) -> FormulaError:
    if part in ALLOYS_BY_WEIGHT:
        return FormulaError(
            f"{text!r} is the name of an alloy by weight, and would be read as amounts of atoms",
            "write atomic fractions: Ti0.862Al0.102V0.036 for Ti-6Al-4V",
        )
    formula = NICKNAMES[part]
    return FormulaError(
        f"{text!r} is the short name of a material, not a formula",
        f"write the formula, such as {formula}" if formula else "write the formula of the material",
    )
