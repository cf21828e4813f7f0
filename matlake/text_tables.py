"""Tables as text: one description, laid out in columns for a terminal or with pipes for Markdown."""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

_UNKNOWN: Final = "-"
_NAMES_SHOWN: Final = 8
_MOST_PLACES: Final = 6
_LARGEST: Final = 1e6
"""Digits after the point, and numbers, up to which none is written with a power of ten."""

_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, movements of the cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"  # titles, links, the clipboard
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return text without what a terminal would obey: escape sequences, control characters, reversals of direction.

    Lines and tabs stay. Names and ids come from strangers' files.
    """
    return text if text.isprintable() else _CONTROLS.sub("", _ESCAPES.sub("", text))


def in_a_line(text: str) -> str:
    """Return printable text on one line."""
    return text if text.isprintable() else " ".join(printable(text).split())


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        header: Its heading.
        align: Words to the left, numbers to the right.
        form: Format of its values, such as ``.4g`` or ``,``. Text is shown as it is.
        unit: Unit of its values; stands behind the heading.
    """

    header: str
    align: Literal["left", "right"] = "left"
    form: str = ""
    unit: str = ""

    @property
    def heading(self) -> str:
        """The heading with the unit."""
        return in_a_line(f"{self.header} ({self.unit})" if self.unit else self.header)

    def cell(self, value: object) -> str:
        """Return a value as text."""
        if value is None:
            return _UNKNOWN
        return in_a_line(value if isinstance(value, str) else format(value, self.form))


@dataclass(frozen=True)
class TextTable:
    """A table that is still to be laid out: as aligned text, as Markdown, or by what prints it.

    Attributes:
        columns: Its columns.
        rows: A value for each column; None where it is not known.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]

    def cells(self) -> list[list[str]]:
        """Return the rows as text, the headings first."""
        rows = [[column.cell(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]
        return [[column.heading for column in self.columns], *rows]

    def lines(self) -> list[str]:
        """Return the table as aligned text, with a rule below the headings."""
        headings, *rows = self.cells()
        rule = ["-" * max(map(len, column)) for column in zip(headings, *rows, strict=True)]
        return aligned([headings, rule, *rows], self._left())

    def markdown(self) -> str:
        """Return the table as Markdown."""
        return markdown_table(self.cells(), self._left())

    def _left(self) -> set[int]:
        return {place for place, column in enumerate(self.columns) if column.align == "left"}


Line = str | TextTable
"""A part of a report: a line of text, or a table."""


def plain_lines(report: Sequence[Line]) -> list[str]:
    """Return a report as lines of text, its tables aligned."""
    return [line for part in report for line in ([part] if isinstance(part, str) else part.lines())]


def some_of(names: Collection[str]) -> str:
    """Return the first of some names, with an ellipsis where there are more."""
    first = ", ".join(islice(names, _NAMES_SHOWN))
    return f"{first}, …" if len(names) > _NAMES_SHOWN else first


def rounded(value: float, uncertainty: float) -> str:
    """Return a number without the digits that mean nothing: up to the second digit of its uncertainty.

    Args:
        value: In some unit.
        uncertainty: In the same unit; 0 where it is not known, which leaves four digits.
    """
    if not 0.0 < uncertainty < math.inf:
        return f"{value:.4g}"
    places = 1 - math.floor(math.log10(uncertainty))
    kept = round(value, places)
    if kept == 0.0:
        return "0"
    if places <= _MOST_PLACES and abs(kept) < _LARGEST:
        return f"{kept:.{max(0, places)}f}"
    return f"{kept:.{max(1, places + 1 + math.floor(math.log10(abs(kept))))}g}"


def aligned(rows: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    """Return rows as lines of columns, those in ``left`` aligned to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def markdown_table(rows: Sequence[Sequence[str]], left: Collection[int]) -> str:
    """Return rows, the heading first, as a Markdown table aligned as in ``aligned``."""
    alignment = ["---" if column in left else "---:" for column in range(len(rows[0]))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], alignment, *rows[1:]])
