"""Tables written to files of the usual formats, batch by batch; a file arrives whole or not at all."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matlake.errors import SourceError
from matlake.files import whole_file

ENDINGS: Final = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
"""The format of a file by the ending of its name."""

BINARY: Final = frozenset({"parquet", "arrow"})

Write = Callable[[pa.Table], None]

_CSV_TYPES: Final = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_time,
    pa.types.is_null,
)
"""What pyarrow writes as CSV; other types become text first."""


def table_format(path: Path) -> str:
    """Return the format that the ending of a file's name stands for.

    Raises:
        SourceError: The ending is not known.
    """
    form = ENDINGS.get(path.suffix.lower())
    if form is None:
        raise SourceError(f"cannot write {path}: the format follows the ending", f"known: {', '.join(ENDINGS)}")
    return form


def write_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], form: str | None = None) -> int:
    """Write tables one after the other to a file.

    Args:
        path: The file.
        schema: Of all tables.
        tables: They are held in memory one at a time.
        form: Format; by default that of the ending.

    Returns:
        The number of rows.

    Raises:
        SourceError: The ending is not known, or the format has no such type of column.
    """
    form, rows = form or table_format(path), 0
    try:
        with whole_file(path) as file, open_writer(file, form, schema) as write:
            for table in tables:
                write(table)
                rows += table.num_rows
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise SourceError(f"cannot write this table as {form}: {error}", "name a file of another format") from error
    return rows


@contextmanager
def open_writer(file: BinaryIO, form: str, schema: pa.Schema) -> Iterator[Write]:
    """Give a function that appends tables of one schema to an open file."""
    if form == "parquet":
        with pq.ParquetWriter(file, schema, compression="zstd") as parquet:
            yield parquet.write_table
    elif form == "arrow":
        with pa.ipc.new_file(file, schema) as arrow:
            yield arrow.write_table
    elif form == "jsonl":
        yield lambda table: file.writelines(f"{line}\n".encode() for line in _json_rows(table))
    elif form == "json":
        with _json_list(file) as write:
            yield write
    else:
        with _csv(file, "\t" if form == "tsv" else ",", schema) as write:
            yield write


@contextmanager
def _json_list(file: BinaryIO) -> Iterator[Write]:
    before = b"["

    def write(table: pa.Table) -> None:
        nonlocal before
        for line in _json_rows(table):
            file.write(before + line.encode())
            before = b", "

    yield write
    file.write(b"[]" if before == b"[" else b"]")


@contextmanager
def _csv(file: BinaryIO, delimiter: str, schema: pa.Schema) -> Iterator[Write]:
    """Write the headings, and give the function that appends rows."""
    headings = pacsv.WriteOptions(include_header=True, delimiter=delimiter)
    rows = pacsv.WriteOptions(include_header=False, delimiter=delimiter)
    pacsv.write_csv(_flat(schema.empty_table()), file, headings)
    yield lambda table: pacsv.write_csv(_flat(table), file, rows)


def _json_rows(table: pa.Table) -> Iterator[str]:
    names = table.column_names
    for batch in table.to_batches(max_chunksize=10_000):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield json.dumps(_plain(dict(zip(names, values, strict=True))), ensure_ascii=False, allow_nan=False)


def _flat(table: pa.Table) -> pa.Table:
    """CSV has numbers, times and text: write lists and records as JSON, bytes as hexadecimal digits."""
    columns = [
        column
        if any(fits(column.type) for fits in _CSV_TYPES)
        else pa.array(map(_text, column.to_pylist()), pa.string())
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: object) -> Any:
    """Turn what JSON has no type for into a number or text; it has no NaN and no infinity, which become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    return value.hex() if isinstance(value, bytes) else str(value)
