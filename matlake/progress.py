"""How long-running functions report progress to whoever called them."""

from typing import Protocol


class Tracker(Protocol):
    """Called from time to time with the number done so far and the number known in all."""

    def __call__(self, done: int, total: int) -> None:
        """Take note of the progress."""


def untracked(done: int, total: int) -> None:
    """Ignore progress."""


def no_notes(message: str) -> None:
    """Ignore a message about what is being done."""
