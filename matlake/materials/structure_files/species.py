"""Species as structure files name them: symbols with charges, labels with numbers."""

import re
from functools import lru_cache
from typing import Final

from matlake.errors import StructureError
from matlake.materials.periodic_table import ATOMIC_NUMBER

_LONGEST: Final = 100
_NUMBERS: Final = {**ATOMIC_NUMBER, "D": 1, "T": 1}
_SYMBOL: Final = re.compile(r"([A-Za-z]{1,2})(?:[\d+., ()-]*|[_/].*)")  # then a charge, or the name of a potential
_LETTERS: Final = re.compile(r"[A-Za-z]+")
_WATER_OR_HYDROXYL: Final = ("WAT", "OH")
_GROUPS_NOT_ELEMENTS: Final = {"NO": "No", "NH": "Nh"}  # NO3 and NH4 are more usual than nobelium and nihonium


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
def number_of_label(label: str) -> int:
    """Return the atomic number of a site label such as ``Fe1``, ``CA2``, ``Ow`` or ``O1W``.

    Two letters that are an element win over one: ``Co1`` and ``CO1`` are cobalt.

    Raises:
        StructureError: No element's symbol is at the start, or it names a group of atoms.
    """
    found = _LETTERS.match(label.strip()) if len(label) <= _LONGEST else None
    letters = found.group() if found else ""
    number = None
    if not letters.upper().startswith((*_WATER_OR_HYDROXYL, *_GROUPS_NOT_ELEMENTS)):
        number = _element(letters[:2]) or _element(letters[:1])
    if number is None:
        raise StructureError(f"unknown species in site label {label[:40]!r}", "give a column of type symbols")
    return number


def _element(letters: str) -> int | None:
    if letters.upper() in _GROUPS_NOT_ELEMENTS and letters != _GROUPS_NOT_ELEMENTS[letters.upper()]:
        return None
    return _NUMBERS.get(letters.title())
