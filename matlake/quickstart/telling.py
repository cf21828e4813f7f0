"""How the quickstart tells what it does."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from matlake.progress import Tracker

Say = Callable[[str], None]
"""Takes a line."""

Progress = Callable[[str, str], AbstractContextManager[Tracker]]
"""Makes a tracker from a label and a unit."""


def indented(text: str) -> str:
    """Return lines as they stand below a heading."""
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())
