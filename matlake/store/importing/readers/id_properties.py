"""``id_prop.csv`` beside CIF files, the layout that CGCNN and networks after it train from.

A line holds the name of a file without its ending, and one value or several; there is usually no header.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.structure_files.text import decode
from matlake.store.importing.readers.cells import number_of, stands_for_nothing
from matlake.store.importing.readers.containers import files
from matlake.store.importing.readers.source import ID_COLUMNS, BadLine, UnreadCell
from matlake.store.importing.readers.values import Values, read_values

FILE: Final = "id_prop.csv"

_VALUE: Final = "id_prop"
_NAMES_OF_IDS: Final = frozenset({*ID_COLUMNS, "name", "file", "filename", "cif", "cif_id"})


@dataclass(frozen=True)
class IdProperties:
    """The values of such a file.

    Attributes:
        name: The file.
        schema: Columns of values, their types that of most of their cells.
        rows: Id -> the values as they stand in the file.
        lines: Id -> its line.
        bad_lines: Lines that are not an id with values, or whose id is there already.
    """

    name: str
    schema: pa.Schema
    rows: Mapping[str, Sequence[str]]
    lines: Mapping[str, int]
    bad_lines: list[BadLine]

    def columns(self, ids: Sequence[str]) -> tuple[list[pa.Array], list[UnreadCell]]:
        """Return the values of some ids, null where there are none, and the cells that are not of their column."""
        columns, unread = [], []
        for place, field in enumerate(self.schema):
            given = [self.rows[one][place] if one in self.rows else None for one in ids]
            column, places = read_values(given, field.type, as_written=False)
            columns.append(column)
            unread += [UnreadCell(row, field.name, str(given[row])) for row in places]
        return columns, unread

    def of_files(self, ids: Sequence[str], shorten: Callable[[str], str]) -> "IdProperties":
        """Return the same by the ids of files, where lines name these with their endings, as ALIGNN's do.

        Args:
            ids: Those of the files.
            shorten: Takes an ending off a name.
        """
        known, rows, lines = set(ids), dict(self.rows), dict(self.lines)
        for one in self.rows:
            short = shorten(one)
            if one not in known and short in known and short not in rows:
                rows[short], lines[short] = rows.pop(one), lines.pop(one)
        return replace(self, rows=rows, lines=lines)

    def without_file(self, ids: Sequence[str]) -> list[BadLine]:
        """Return the lines whose ids are not among those of the files, and the bad lines."""
        known = set(ids)
        missing = [BadLine(line, f"no file for the id {one!r}") for one, line in self.lines.items() if one not in known]
        return [*self.bad_lines, *missing]


def read_id_properties(path: Path, name: str) -> IdProperties:
    """Read the file of ids and values in a folder or an archive.

    Args:
        path: The folder or archive.
        name: The file in it.

    Raises:
        SourceError: It cannot be read, or holds no values.
    """
    (file,) = files(path, lambda other: other == name, content=True)
    try:
        if isinstance(file.content, StructureError):
            raise file.content
        text = decode(file.content)
    except StructureError as error:
        raise SourceError(f"{name} in {path} cannot be read: {error}") from error
    found = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), start=1) if any(row)]
    header = _header([row for _, row in found])
    body = found[1:] if header else found
    width = max((len(row) for _, row in body), default=0) - 1
    if width < 1:
        raise SourceError(f"{name} in {path} holds no values beside ids", "a line is an id, a comma and a value")
    names = header or [_VALUE if place == 0 else f"{_VALUE}_{place + 1}" for place in range(width)]
    rows: dict[str, Sequence[str]] = {}
    lines: dict[str, int] = {}
    bad: list[BadLine] = []
    for line, row in body:
        identifier = row[0].strip()
        if len(row) != width + 1 or not identifier:
            bad.append(BadLine(line, f"of {name}: {len(row)} fields, expected {width + 1}"))
        elif identifier in rows:
            bad.append(BadLine(line, f"of {name}: the id {identifier!r} is there more than once"))
        else:
            rows[identifier], lines[identifier] = [value.strip() for value in row[1:]], line
    schema = pa.schema([(one, _kind([row[place] for row in rows.values()])) for place, one in enumerate(names)])
    return IdProperties(name, schema, rows, lines, bad)


def _header(rows: list[list[str]]) -> list[str]:
    """Return the names of the values where the first line has some: none of them is a number, those of others are."""
    if len(rows) < 2 or len(rows[0]) != len(rows[1]):  # noqa: PLR2004
        return []
    values = [value.strip() for value in rows[0][1:]]
    named = all(value and number_of(value) is None and not stands_for_nothing(value) for value in values)
    of_numbers = all(number_of(value) is not None for value in rows[1][1:])
    return values if named and (of_numbers or rows[0][0].strip().lower() in _NAMES_OF_IDS) else []


def _kind(cells: Sequence[str]) -> pa.DataType:
    numbers = [number_of(cell) for cell in cells if not stands_for_nothing(cell)]
    tally = Values()
    for cell, number in zip([c for c in cells if not stands_for_nothing(c)], numbers, strict=True):
        tally.add(cell if number is None else number)
    return tally.kind()
