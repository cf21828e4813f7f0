"""Species as structure files name them: symbols with charges, labels with numbers."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from matlake.errors import StructureError
from matlake.materials.periodic_table import ATOMIC_NUMBER

_LONGEST: Final = 100
_NUMBERS: Final = {**ATOMIC_NUMBER, "D": 1, "T": 1}
_SYMBOL: Final = re.compile(r"([A-Za-z]{1,2})(?:[\d+., ()-]*|[_/].*)")  # then a charge, or the name of a potential
_CHARGED: Final = re.compile(  # a charge or a number
    r"([A-Za-z]{1,2})\s*(?:\d*|\(?(?:\d+\.?\d*)?[+-]\)?|\(?[+-]\d+\.?\d*\)?)", re.ASCII
)
_GROUPS_NOT_ELEMENTS: Final = ("NO", "NH", "CN")  # more usual than nobelium, nihonium and copernicium
_LAST_COMMON: Final = 94  # plutonium; HS, CF or ES are rather groups of atoms or letters of a label

_LABEL: Final = re.compile(r"([A-Za-z]+)(.*)", re.DOTALL)
_LABEL_AS_SYMBOL: Final = re.compile("[A-Z]{2}[0-9]{1,4}")
_NO_ATOM: Final = re.compile(r"wat|h2o|hoh|vac|void|hole|cent|cnt|dum|du(?![a-z])|bq|lp|dummy", re.IGNORECASE)
_TWO_ELEMENTS: Final = re.compile(r"[\d.(]*[/,+(]\s*[A-Z]|[\d.]+[A-Z][a-z]")  # behind the letters: Fe/Mn, Fe0.5Mn0.5
_GROUPS: Final = ("OH", "CH", "CN", "SO", "BO", "BF", "PF", "SF", "SH", "SC")
_CENTROIDS: Final = ("CG", "CP", "CT", "VA")  # of rings; a vacancy
_LONGEST_LETTERS: Final = 3


@dataclass(frozen=True)
class LabelReading:
    """What the label of a site can mean.

    Attributes:
        numbers: Atomic numbers, the usual meaning first.
        certain: Whether the first is meant for certain; if not, something else in the file must say so.
    """

    numbers: tuple[int, ...]
    certain: bool


@lru_cache(maxsize=4096)
def atomic_number(symbol: str) -> int:
    """Return the atomic number of a species such as ``Fe``, ``FE``, ``Fe3+`` or ``Fe_pv``; D and T are hydrogen.

    Raises:
        StructureError: It is not an element (X, a vacancy, a group of atoms).
    """
    found = _SYMBOL.fullmatch(symbol.strip()) if len(symbol) <= _LONGEST else None
    number = _element(found.group(1)) if found else None
    if number is None:
        raise StructureError(f"unknown species {symbol[:40]!r}", "every site must hold one element")
    return number


@lru_cache(maxsize=4096)
def number_of_type_symbol(symbol: str) -> int:
    """Return the atomic number of a CIF's type symbol: an element, perhaps with a charge (``Fe3+``, ``O2-``, ``D``).

    Raises:
        StructureError: It is anything else, such as two elements or a group of atoms.
    """
    found = _CHARGED.fullmatch(symbol.strip()) if len(symbol) <= _LONGEST else None
    number = _element(found.group(1)) if found else None
    if number is None:
        raise StructureError(f"unknown species {symbol[:40]!r}", "every site must hold one element")
    return number


@lru_cache(maxsize=4096)
def is_label(symbol: str) -> bool:
    """Tell whether a type symbol is rather a label in capitals, such as ``HO1``."""
    return bool(_LABEL_AS_SYMBOL.fullmatch(symbol))


@lru_cache(maxsize=4096)
def read_label(label: str) -> LabelReading:
    """Return what a site label such as ``Fe1``, ``CA2`` or ``O1W`` can mean.

    Two letters are an element if they are written as one (``Ca2``). In capitals they may also be a carbon that is
    called A (``CA2``), or a hydrogen on an oxygen (``HO1``).

    Raises:
        StructureError: No element's symbol is at the start, or it names no atom (water, a vacancy, a centre).
    """
    found = _LABEL.fullmatch(label.strip()) if len(label) <= _LONGEST else None
    reading = None
    if found is not None and not _NO_ATOM.match(found.group()):
        reading = _letters(found.group(1))
    if found is None or reading is None:
        raise StructureError(f"unknown species in site label {label[:40]!r}", "give a column of type symbols")
    if _TWO_ELEMENTS.match(found.group(2)):
        return LabelReading(reading.numbers, certain=False)
    return reading


def _letters(letters: str) -> LabelReading | None:
    """Read the letters at the start of a label."""
    one, two = _NUMBERS.get(letters[:1].upper()), _element(letters[:2]) if len(letters) > 1 else None
    as_written = letters[:1].isupper() and letters[1:2].islower()
    rest = letters[2:]
    if as_written and two is not None:
        rare = two > _LAST_COMMON and one is not None  # Cm is rather a carbon on a mirror
        certain = len(letters) <= _LONGEST_LETTERS and rest not in ("O", "H") and not rare
        return LabelReading((two, one) if one else (two,), certain)
    if one is None:
        return LabelReading((two,), len(letters) <= _LONGEST_LETTERS) if two is not None else None
    if two is not None:
        return LabelReading((two, one), certain=False)
    capitals = letters[:2].upper()
    certain = len(letters) <= _LONGEST_LETTERS and capitals not in (*_GROUPS, *_CENTROIDS, *_GROUPS_NOT_ELEMENTS)
    return LabelReading((one,), certain and letters[:1] != "T")


def _element(letters: str) -> int | None:
    """Return an element's number; heavy ones and those shared with groups of atoms by the exact symbol."""
    number = _NUMBERS.get(letters.title())
    exact = letters.upper() in _GROUPS_NOT_ELEMENTS or (number is not None and number > _LAST_COMMON)
    return None if exact and letters != letters.title() else number
