"""How long-running functions say what they are doing, and how far they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


def _ignore(*_: object) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Progress:
    """What a long-running function reports to; ``Progress(note=print)`` prints what it does.

    Attributes:
        note: Takes a line about what is being done.
        track: Takes the number done and the number known in all, from time to time.
    """

    note: Callable[[str], None] = _ignore
    track: Callable[[int, int], None] = _ignore


SILENT: Final = Progress()
"""The default: nothing is reported."""
