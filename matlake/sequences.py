"""What a notebook holds, as a list: one value, a list, a tuple, a Series, a generator."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from matlake.errors import MatlakeError

_BETWEEN_COMMAS: Final = re.compile(r'(?:[^,"]|"[^"]*"?)+')


def split_names(text: str) -> list[str]:
    """Split names at the commas between them, not in quotes: ``magpie,column:"T, K"``."""
    return [part.strip() for part in _BETWEEN_COMMAS.findall(text) if part.strip()]


def as_list(given: Any) -> list[Any]:
    """Return a list of what is given; text and a path are one value, not many characters.

    Raises:
        MatlakeError: It is a table or a dictionary, whose column names or keys would be taken for values, or no
            sequence at all.
    """
    if isinstance(given, str | bytes | os.PathLike):
        return [given]
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        raise MatlakeError(f"a {type(given).__name__} where a list should be", "give one column: table['formula']")
    if not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        kind = "None" if given is None else f"one {type(given).__name__}"
        if (dimensions := getattr(given, "ndim", 1)) != 1:
            kind = f"an array of {dimensions} dimensions"
        raise MatlakeError(f"{kind} where a list should be", "give a list, or one value as text")
    return list(given.to_pylist() if hasattr(given, "to_pylist") else given)  # an Arrow array iterates over scalars


def closest(name: str, names: Iterable[str]) -> str:
    """Return what a user may have meant by a name that is not there: ``do you mean 'band_gap_eV'? ``, or nothing.

    Args:
        name: What was written.
        names: What there is.
    """
    from difflib import get_close_matches

    known = list(names)
    found = [other for other in known if other.lower() == name.lower()] or get_close_matches(name, known, n=2)
    return f"do you mean {' or '.join(map(repr, found))}? " if found else ""


def several(given: Any) -> Any:
    """Return a list of a list, a tuple, a Series or an array of values; one value as it is.

    A structure is one value, though it can be iterated over.
    """
    if isinstance(given, list | tuple) or hasattr(given, "to_pylist") or hasattr(given, "to_list"):
        return as_list(given)
    return given
