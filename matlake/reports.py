"""Results that show themselves: at most a screen of text, HTML in a notebook, and their rows as a DataFrame."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, TypeVar

from matlake.errors import MissingExtraError
from matlake.text_tables import Line, TextTable, printable

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS: Final = 10
"""Rows of a table that a screen shows."""

_LINES: Final = 24
_WIDTH: Final = 120
_MORE: Final = "…"
_INDENT: Final = 4 * " "

_IN_PYTHON: Final = (
    (re.compile(r"`matlake embed --encoder (\S+?)`"), r"`lake.embed('\1')`"),
    (
        re.compile(r"`matlake predict (\S+) --dataset (\S+) --save`"),
        r"`lake.head('\1').predict_dataset('\2', save=True)`",
    ),
    (re.compile(r"`matlake import-embeddings`"), "`lake.import_embeddings(…)`"),
    (re.compile(r"`matlake compact --drop-unused`"), "`lake.compact(drop_unused=True)`"),
    (re.compile(r"`matlake check --repair`"), "`lake.check(repair=True)`"),
    (re.compile(r"`matlake (check|compact)`"), r"`lake.\1()`"),
)
"""What reports tell people to run, for who has a lake in a notebook."""

Part = TypeVar("Part", bound=Line)


class Report(ABC):
    """A result that is shown as the last line of a notebook's cell, or at a prompt.

    A dataclass that is one says ``repr=False``, so that it keeps this text.
    """

    @abstractmethod
    def lines(self) -> Sequence[Line]:
        """Return the text for people."""

    def shown(self) -> Sequence[Line]:
        """Return the lines that a screen is made of, where making all of them would take long."""
        return self.lines()

    def __repr__(self) -> str:
        """Show at most a screen of ``lines``."""
        lines = [line for part in _shortened(self.shown()) for line in _fitted(part)]
        return "\n".join(_first(lines))

    def _repr_html_(self) -> str:
        """Show the same in a notebook, tables as tables."""
        return "".join(_html(part) for part in _first(_shortened(self.shown())))


class TableReport(Report):
    """A report on rows."""

    @abstractmethod
    def to_arrow(self) -> "pa.Table":
        """Return its rows as an Arrow table."""

    def to_pandas(self) -> Any:
        """Return its rows as a pandas DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return as_pandas(self.to_arrow())


def rows_to_arrow(kind: type, rows: Sequence[Any]) -> "pa.Table":
    """Return instances of a dataclass as an Arrow table, a column for each field."""
    import pyarrow as pa

    return pa.table({field.name: [getattr(row, field.name) for row in rows] for field in fields(kind)})


def as_pandas(table: "pa.Table") -> Any:
    """Return a table as a pandas DataFrame.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        return table.to_pandas()
    except ModuleNotFoundError as error:
        raise missing_package("pandas", error) from error


def missing_package(name: str, error: ModuleNotFoundError) -> Exception:
    """Return the error for a DataFrame package that is not installed; another module's stays as it is."""
    if error.name != name:
        return error
    return MissingExtraError(f"a DataFrame of {name} needs {name}, which is not installed", f"pip install {name}")


def _shortened(parts: Sequence[Line]) -> list[Line]:
    """Return a report in the words of Python, with the first rows of its tables."""
    short: list[Line] = []
    for part in parts:
        if isinstance(part, str):
            short.append(in_python(part))
        elif len(part.rows) > SHOWN_ROWS:
            short += [replace(part, rows=part.rows[:SHOWN_ROWS]), f"{_MORE} {len(part.rows) - SHOWN_ROWS:,} more rows"]
        else:
            short.append(part)
    return short


def in_python(text: str) -> str:
    """Return text with the commands that it names as calls of Python."""
    for command, call in _IN_PYTHON:
        text = command.sub(call, text)
    return text


def _fitted(part: Line) -> list[str]:
    """Return a part as lines that a screen holds: text goes on below, rows of a table are cut."""
    if isinstance(part, TextTable):
        return [line if len(line) <= _WIDTH else line[: _WIDTH - 1] + _MORE for line in part.lines()]
    lines = printable(part).splitlines() or [""]
    return [short for line in lines for short in wrap(line, _WIDTH, subsequent_indent=_INDENT) or [""]]


def _first(parts: Sequence[Part]) -> list[Part | str]:
    """Return as many as a screen holds, and how many more there are."""
    left = len(parts) - _LINES
    return [*parts] if left <= 0 else [*parts[: _LINES - 1], f"{_MORE} {left + 1:,} more lines"]


def _html(part: Line) -> str:
    if isinstance(part, str):
        return f"<div style='white-space: pre-wrap'>{escape(printable(part)) or '&nbsp;'}</div>"
    heading, *rows = part.cells()
    aligns = [column.align for column in part.columns]
    body = "".join(_html_row("td", row, aligns) for row in rows)
    return f"<table><thead>{_html_row('th', heading, aligns)}</thead><tbody>{body}</tbody></table>"


def _html_row(tag: str, cells: Sequence[str], aligns: Sequence[str]) -> str:
    shown = (
        f"<{tag} style='text-align: {align}'>{escape(cell)}</{tag}>" for cell, align in zip(cells, aligns, strict=True)
    )
    return f"<tr>{''.join(shown)}</tr>"
