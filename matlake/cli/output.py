"""One interface for what a command prints, with a console and a JSON implementation; notes and progress on stderr."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from matlake.files import naming
from matlake.interrupts import hold
from matlake.platforms import is_utf8, on_windows
from matlake.progress import Progress, terminal_bar
from matlake.text_tables import printable

if TYPE_CHECKING:
    from matlake.store.lake import Lake
    from matlake.store.storage.places import LakePath
    from matlake.text_tables import Line, TextTable


_STDOUT: Final = "standard output"
_ENCODING: Final = "PYTHONIOENCODING"
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


class Output(Protocol):
    """Where a command reports. Results go to stdout; progress and notes go to stderr."""

    def document(self, document: dict[str, Any], lines: "Sequence[Line]") -> None:
        """Report a result: the document for scripts, the lines and tables for people."""

    def error(self, message: str, hint: str) -> None:
        """Report a failure."""


class JsonOutput:
    """One JSON document on stdout and nothing else there."""

    def document(self, document: dict[str, Any], lines: "Sequence[Line]") -> None:  # noqa: ARG002 - the protocol's
        """Print the document."""
        hold()
        with naming(_STDOUT):
            click.echo(json_text(json.dumps(document, ensure_ascii=False, default=str)))

    def error(self, message: str, hint: str) -> None:
        """Print ``{"error", "hint"}``."""
        answer = {"error": printable(message), "hint": printable(hint)}
        click.echo(json_text(json.dumps(answer, ensure_ascii=False)))


class ConsoleOutput:
    """Text on stdout, errors on stderr."""

    def document(self, document: dict[str, Any], lines: "Sequence[Line]") -> None:  # noqa: ARG002 - the protocol's
        """Print the lines; rich draws the tables on a terminal, and they are plain text elsewhere."""
        hold()
        with naming(_STDOUT):
            for line in lines:
                if isinstance(line, str):
                    click.echo(printable(line))
                elif _without_color() or not sys.stdout.isatty():
                    click.echo("\n".join(line.lines()))
                else:
                    _draw(line)

    def error(self, message: str, hint: str) -> None:
        """Print the message and the remedy."""
        click.echo(f"error: {printable(message)}", err=True)
        if hint:
            click.echo(f"hint: {printable(hint)}", err=True)


def prepare_streams() -> None:
    """Let everything be printed: a question mark stands for a character that the encoding of a stream lacks.

    On Windows a pipe or a file has the code page of the system, unless a variable of Python's names another encoding.
    It gets UTF-8, as Python itself does from 3.15 on.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):  # a test's, or none
            continue
        if on_windows() and not stream.isatty() and _ENCODING not in os.environ:
            stream.reconfigure(encoding="utf-8", errors=stream.errors)
        if not is_utf8(stream.encoding):
            stream.reconfigure(errors="replace")


def json_text(text: str) -> str:
    """Return JSON as it is printed: of ASCII alone where who reads it may not take it for UTF-8."""
    if is_utf8(getattr(sys.stdout, "encoding", None)) and not on_windows():
        return text
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _draw(table: "TextTable") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in table.columns:
        drawn.add_column(Text(column.heading), justify=column.align, overflow="fold")
    for row in table.cells()[1:]:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)


def _without_color() -> bool:
    """Return whether ``--no-color`` was given, or the variable NO_COLOR is set."""
    context = click.get_current_context(silent=True)
    given = context is not None and context.find_root().params.get("no_color", False)
    return given or bool(os.environ.get("NO_COLOR"))


def note(message: str) -> None:
    """Print a remark to stderr, where it disturbs no script."""
    click.echo(printable(message), err=True)


@contextmanager
def progress(label: str, unit: str) -> Iterator[Progress]:
    """Report notes on stderr and, when it is a terminal, a bar with rate in ``unit`` and time left."""
    if not sys.stderr.isatty():
        yield Progress(note)
        return
    with terminal_bar(label, unit, no_color=_without_color() or None) as bar:
        yield bar


def open_as_of(lake: "LakePath", as_of: str | None) -> "Lake":
    """Open a lake, and say on stderr which versions are read if it is as of a moment."""
    from matlake.store.lake import open_lake

    opened = open_lake(lake, as_of=as_of)
    if opened.moment is not None:
        note(f"as of {opened.moment.text}")
    return opened
