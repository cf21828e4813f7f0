"""One interface for what a command prints, with a console and a JSON implementation."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from matlake.progress import Tracker


class Output(Protocol):
    """Where a command reports. Results go to stdout; progress and notes go to stderr."""

    def document(self, document: dict[str, Any], lines: Sequence[str]) -> None:
        """Report a result: the document for scripts, the lines for people."""

    def error(self, message: str, hint: str) -> None:
        """Report a failure."""


class JsonOutput:
    """One JSON document on stdout and nothing else there."""

    def document(self, document: dict[str, Any], lines: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        """Print the document."""
        click.echo(json.dumps(document, ensure_ascii=False, default=str))

    def error(self, message: str, hint: str) -> None:
        """Print ``{"error", "hint"}``."""
        click.echo(json.dumps({"error": message, "hint": hint}, ensure_ascii=False))


class ConsoleOutput:
    """Plain text on stdout, errors on stderr."""

    def document(self, document: dict[str, Any], lines: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        """Print the lines."""
        for line in lines:
            click.echo(line)

    def error(self, message: str, hint: str) -> None:
        """Print the message and the remedy."""
        click.echo(f"error: {message}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)


def note(message: str) -> None:
    """Print a remark to stderr, where it disturbs no script."""
    click.echo(message, err=True)


@contextmanager
def progress(label: str, unit: str) -> "Iterator[Tracker]":
    """Show a progress bar with rate and time left on stderr, when stderr is a terminal.

    Args:
        label: What is being done.
        unit: What is counted, for the rate.

    Yields:
        Called with the number done and the number known in all.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None, rate="")

        def track(done: int, total: int) -> None:
            elapsed = bar.tasks[0].elapsed or 0.0
            rate = f"{done / elapsed:,.0f} {unit}/s" if elapsed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield track
