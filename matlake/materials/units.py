"""Units as they stand in column names: ``formation_energy_eV_per_atom`` is in eV/atom."""

import re
from typing import Final

_UNIT: Final = re.compile(r"(?:^|_)((?:meV|eV|A3|A|GPa|MPa|kbar|K|kJ|J|g|cm3)(?:_per_[A-Za-z0-9]+)?|C_per_m2|per_cm)$")
_SYMBOLS: Final = {"A3": "Å³", "A": "Å", "cm3": "cm³", "m2": "m²", "per_cm": "1/cm"}


def unit_suffix(column: str) -> str:
    """Return the unit at the end of a column name as it is written there, ``""`` if there is none."""
    found = _UNIT.search(column)
    return found.group(1) if found else ""


def unit_of(column: str) -> str:
    """Return the unit of a column for people: ``eV/atom``, ``Å³/atom``; ``""`` where the name states none."""
    return "/".join(_SYMBOLS.get(part, part) for part in unit_suffix(column).split("_per_"))


def quantity_of(column: str) -> str:
    """Return what a column holds, for people: ``formation energy`` for ``formation_energy_eV_per_atom``."""
    suffix = unit_suffix(column)
    return (column.removesuffix(f"_{suffix}") if suffix else column).replace("_", " ")
