"""Cells of a table in memory: structures, formulas, single values."""

from decimal import Decimal
from typing import Any

import numpy as np

from matlake.errors import MatlakeError
from matlake.materials.objects import as_composition, has_composition, has_structure, is_missing


def holds_structure(value: Any) -> bool:
    """Tell whether a cell has a place for a structure: an object, a dictionary, text in one of the formats."""
    if isinstance(value, str):
        from matlake.materials.structure_files import recognised

        return bool(recognised(value))
    return has_structure(value)


def plain_value(value: Any) -> Any:
    """Return numbers, truth values and text as Python's own, compositions as formulas, None for a missing value."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(name): one for name, one in value.items()}
    return float(value) if isinstance(value, Decimal) else formula_text(value)


def formula_text(value: Any) -> Any:
    """Return a composition as a formula; others as they are."""
    if isinstance(value, str) or not has_composition(value):
        return value
    try:
        return as_composition(value).reduced_formula
    except MatlakeError:
        return str(value)  # which says as much to who reads the reason
