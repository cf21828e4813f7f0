"""How long-running functions say what they are doing, and how far they are."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from matlake.errors import MatlakeError
from matlake.text_tables import printable

_BETWEEN_S: Final = 0.2
"""Seconds between two states of a notebook's bar."""


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


@contextmanager
def watched(progress: bool | Progress, label: str, unit: str) -> Iterator[Progress]:
    """Report to who watches: to a notebook's cell or a terminal, and to nobody in a script.

    Args:
        progress: True for that; False for nothing; or what to report to instead.
        label: What is being done.
        unit: What is counted.

    Raises:
        MatlakeError: ``progress`` is something else, such as a function.
    """
    if progress and not isinstance(progress, bool | Progress):
        raise MatlakeError(
            f"progress is a {type(progress).__name__}", "give True, False, or what to report to: Progress(note=print)"
        )
    if isinstance(progress, Progress):
        yield progress
    elif progress and (display := _notebook_display()) is not None:
        yield _notebook_bar(display, label, unit)
    elif progress and sys.stderr.isatty():
        with terminal_bar(label, unit) as bar:
            yield bar
    else:
        yield SILENT


@contextmanager
def terminal_bar(label: str, unit: str, *, no_color: bool | None = None) -> Iterator[Progress]:
    """Show a bar on stderr, with rate in ``unit`` and time left; notes stand above it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True, no_color=no_color)) as bar:
        task = bar.add_task(label, total=None, rate="")

        def track(done: int, total: int) -> None:
            rate = rate_text(done, bar.tasks[0].elapsed or 0.0, unit)
            bar.update(task, completed=done, total=total, rate=rate)

        yield Progress(
            lambda message: bar.console.print(printable(message), markup=False, highlight=False, soft_wrap=True), track
        )


def rate_text(done: int, seconds: float, unit: str) -> str:
    """Return how fast something is done."""
    return f"{done / seconds:,.0f} {unit}/s" if seconds else ""


def _notebook_display() -> Any:
    """Return what a notebook's cell shows things with; None outside of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    from IPython.display import display

    return display


def _notebook_bar(display: Any, label: str, unit: str) -> Progress:
    """Return a line below the cell that follows what is done; the last note stands before the numbers."""

    def content(text: str, bar: str = "") -> dict[str, str]:
        return {"text/html": f"{bar} {escape(text)}", "text/plain": text}

    handle = display(content(label), raw=True, display_id=True)
    started, shown, text = time.monotonic(), [0.0], [label]

    def note(message: str) -> None:
        text[0] = printable(message)
        handle.update(content(text[0]), raw=True)

    def track(done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - shown[0] < _BETWEEN_S:
            return
        shown[0] = now
        numbers = f"{text[0]}: {done:,}/{total:,} {unit}, {rate_text(done, now - started, unit)}"
        handle.update(content(numbers, f"<progress value='{done}' max='{total}'></progress>"), raw=True)

    return Progress(note, track)
