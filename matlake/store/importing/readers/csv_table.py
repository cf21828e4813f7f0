"""CSV as a stream of Arrow batches with clean column types.

The file is read twice: the first time all cells are counted, so that a cell in the last row weighs as much as one in
the first. Bad rows never abort a file: a line with a wrong number of fields is handed over as such.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pacsv

from matlake.errors import SourceError
from matlake.store.importing.readers.cells import Tally, as_written, read_cells, uses_decimal_comma
from matlake.store.importing.readers.csv_layout import (
    HEAD_BYTES,
    CsvLayout,
    has_open_quote,
    look_at_csv,
    not_utf8,
)
from matlake.store.importing.readers.source import (
    BadLine,
    Batch,
    KeyColumns,
    UnreadCell,
    distinct_names,
    key_columns,
    refuse_too_many_columns,
)
from matlake.store.importing.readers.streams import is_compressed, open_bytes

BATCH_ROWS: Final = 65_536

_PANDAS_INDEX: Final = re.compile(r"Unnamed: \d+(?:\.\d+)*")
_NO_RECORD_END: Final = "straddling"


@dataclass
class CsvTable:
    """A CSV file, looked through once.

    Attributes:
        path: The file.
        layout: Its layout.
        schema: Names and types of the columns that are kept.
        places: Where each of them stands in a line.
        as_written: Those that hold formulas or ids, all of them text.
        decimal_comma: Whether the comma is the decimal sign.
        rows: Number of rows.
        notes: Remarks for the user.
        bad_lines: Lines that are no rows; filled whenever the file is read to its end.
    """

    path: Path
    layout: CsvLayout
    schema: pa.Schema
    places: list[int]
    as_written: set[str]
    decimal_comma: bool
    rows: int
    notes: list[str]
    bad_lines: list[BadLine] = field(default_factory=list)

    def raw_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns that are kept as text, as they stand in the file."""
        self.bad_lines.clear()
        for batch in _lines(self.path, self.layout, self.bad_lines):
            columns = [batch.column(place) for place in self.places]
            yield pa.RecordBatch.from_arrays(columns, names=self.schema.names)

    def read(self, raw: pa.RecordBatch) -> Batch:
        """Return rows with the types of the schema; they may lack some of its columns."""
        fields = [self.schema.field(name) for name in raw.schema.names]
        columns, unread = [], []
        for (name, kind), texts in zip(((f.name, f.type) for f in fields), raw.columns, strict=True):
            if name in self.as_written:
                columns.append(as_written(texts))
                continue
            values, places = read_cells(texts, kind, decimal_comma=self.decimal_comma)
            columns.append(values)
            if places is not None:
                found = zip(places.to_pylist(), texts.take(places).to_pylist(), strict=True)
                unread += [UnreadCell(row, name, text) for row, text in found]
        return Batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)), unread=unread)


def open_csv_table(path: Path, named: KeyColumns, *, mixed_as_text: bool = False) -> CsvTable:
    """Look through a CSV file: layout, names and types of its columns.

    Args:
        path: The file.
        named: Columns of formulas or ids, besides those by usual names.
        mixed_as_text: Whether a column is text as soon as one cell is, so that no cell is lost; ids are numbers then,
            if all of them are integers without zeros before them.

    Raises:
        SourceError: Its encoding is not known, it has too many columns, or one without a name; no line is a row.
    """
    layout = look_at_csv(path)
    refuse_too_many_columns(str(path), len(layout.names))
    distinct, notes = distinct_names(str(path), [name or f"\0{place}" for place, name in enumerate(layout.names)])
    keys = key_columns(distinct, named)
    tallies = [Tally() for _ in distinct]
    rows = 0
    bad_lines: list[BadLine] = []
    last: pa.RecordBatch | None = None
    try:
        for batch in _lines(path, layout, bad_lines):
            for name, tally, column in zip(distinct, tallies, batch.columns, strict=True):
                if not (name == keys.formula and tally.text is not None):  # text already, whatever comes
                    tally.add(column)
            rows += batch.num_rows
            last = batch
    except pa.ArrowInvalid as error:
        raise _unreadable(path, error, rows) from error
    if last is None or not rows:
        raise _no_rows(path, layout, bad_lines)
    if _ends_in_many_lines(last) and has_open_quote(path, layout):
        raise SourceError(f"a quote in {path} is never closed: its last field runs over many lines", "close the quote")
    dropped = _dropped(path, layout.names, tallies, rows, notes)
    comma = uses_decimal_comma(tallies, layout.delimiter)
    places = [place for place in range(len(distinct)) if place not in dropped]
    fields, written = [], set()
    for at in places:
        name, tally = distinct[at], tallies[at]
        kind = _kind(name, tally, keys, comma=comma, mixed_as_text=mixed_as_text)
        if kind == pa.string() and (name in keys or "formula" in name.lower()):
            written.add(name)
        elif note := tally.note(name, decimal_comma=comma):
            notes.append(note)
        fields.append(pa.field(name, kind))
    schema = pa.schema(fields)
    return CsvTable(path, layout, schema, places, written, comma, rows, notes)


def _lines(path: Path, layout: CsvLayout, bad_lines: list[BadLine]) -> Iterator[pa.RecordBatch]:
    """Yield all columns as text, null where nothing stands."""

    def skip(row: Any) -> str:
        bad_lines.append(BadLine(row.number, f"{row.actual_columns} fields, expected {row.expected_columns}"))
        return "skip"

    numbers = [str(place) for place in range(len(layout.names))]
    with pacsv.open_csv(
        open_bytes(path) if is_compressed(path) else path,
        read_options=pacsv.ReadOptions(
            use_threads=False,
            block_size=HEAD_BYTES,
            column_names=numbers,
            skip_rows=layout.skipped_lines,
            skip_rows_after_names=layout.skipped_rows,
            encoding=layout.encoding,
        ),
        parse_options=pacsv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(numbers, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    ) as reader:
        for batch in reader:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _kind(name: str, tally: Tally, keys: KeyColumns, *, comma: bool, mixed_as_text: bool) -> pa.DataType:
    if name == keys.id:
        return pa.int64() if mixed_as_text and tally.is_plain_integers() else pa.string()
    text = name == keys.formula and tally.text is not None
    if text or (mixed_as_text and tally.is_mixed(decimal_comma=comma)):
        return pa.string()
    return tally.kind(decimal_comma=comma)


def _dropped(path: Path, names: list[str], tallies: list[Tally], rows: int, notes: list[str]) -> set[int]:
    """Return the places of columns without a name of their own that hold nothing, or the index of pandas."""
    dropped: set[int] = set()
    for place, (name, tally) in enumerate(zip(names, tallies, strict=True)):
        counts_rows = tally.integers == tally.cells == rows
        if (not name or _PANDAS_INDEX.fullmatch(name)) and counts_rows and dropped == set(range(place)):
            notes.append(
                f"column {place + 1}, {name or 'without a name'}, left out: it is an index such as pandas writes"
            )
            dropped.add(place)
        elif not name and not tally.cells:
            notes.append(f"column {place + 1} left out: it has no name and is empty")
            dropped.add(place)
        elif not name:
            raise SourceError(
                f"column {place + 1} of {path} has no name", "give every column a name in the header line"
            )
    return dropped


def _ends_in_many_lines(batch: pa.RecordBatch) -> bool:
    last = (column[batch.num_rows - 1].as_py() for column in batch.columns if batch.num_rows)
    return any(text is not None and "\n" in text for text in last)


def _unreadable(path: Path, error: pa.ArrowInvalid, rows: int) -> SourceError:
    if "UTF8" in str(error):
        return not_utf8(path, f"the first such byte comes after row {rows:,}")
    if _NO_RECORD_END in str(error):
        return SourceError(
            f"a row of {path} is longer than {HEAD_BYTES >> 20} MB, after row {rows:,}",
            "close its quotes, or store large structures in files of their own",
        )
    return SourceError(
        f"cannot read {path}: {error}", "CSV has one header line, and quotes around fields with delimiters"
    )


def _no_rows(path: Path, layout: CsvLayout, bad_lines: list[BadLine]) -> SourceError:
    if not bad_lines:
        return SourceError(f"{path} has a header but no rows")
    first = bad_lines[0]
    return SourceError(
        f"no line of {path} fits its header of {len(layout.names)} fields; line {first.line}: {first.reason}",
        "a delimiter at the end of each line, or a column of row names, needs a name in the header",
    )
