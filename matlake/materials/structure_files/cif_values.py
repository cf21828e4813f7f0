"""Values of a CIF: numbers with or without their uncertainty, and what stands for none."""

import re
from typing import Final

from matlake.errors import StructureError

UNKNOWN: Final = frozenset({"", "?", "."})
"""What stands for a value that is not known, or has none."""

_UNCERTAINTY: Final = re.compile(r"\([\d.]*\)?$")


def unquoted(text: str) -> str:
    """Return a value without the pair of quotes around it; a quote at one end, as in Hall symbols, is part of it."""
    text = text.strip()
    if text[:1] in ("'", '"', ";") and text[-1:] == text[:1]:
        return text[1:-1].strip()
    return text


def number(text: str, what: str) -> float:
    """Read a number with or without its uncertainty in brackets.

    Args:
        text: As the file has it.
        what: Its name in the message.

    Raises:
        StructureError: It is none.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(_UNCERTAINTY.sub("", text.strip("'\" ")))
    except ValueError:
        raise StructureError(f"{what} is {text[:40]!r}, not a number") from None


def optional_number(text: str | None) -> float | None:
    """Read a number that may be missing; None also for what cannot be read."""
    if text is None or text in UNKNOWN:
        return None
    try:
        return number(text, "")
    except StructureError:
        return None
