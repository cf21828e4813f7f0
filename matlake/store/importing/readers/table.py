"""CSV and Parquet tables, as a stream of Arrow batches with clean column types.

Bad rows never abort a file: a CSV line with a wrong number of fields is handed over as such.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.source import (
    STRUCTURE_COLUMNS,
    BadLine,
    Batch,
    Source,
    bounded,
    refuse_double_names,
)

BATCH_ROWS: Final = 65_536
BLOCK_BYTES: Final = 8 << 20
_CSV: Final = (".csv", ".tsv", ".txt")
_PARQUET: Final = (".parquet", ".pq")
_LOOKED_AT: Final = 100  # rows, for the kind of a column
_TEXTS_AT_ONCE: Final = 1024
_MISSING: Final = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "-", "--")


def open_table(path: Path) -> Source:
    """Look at a CSV (``.csv``, ``.tsv``, ``.txt``, also ``.gz``) or Parquet file and decide on column types.

    A CSV column is numeric when all its values are; otherwise it stays text, and a note says which value was in
    the way. The file is read once for that, in a stream.

    Raises:
        SourceError: The file is missing, empty, of another kind, or not UTF-8.
    """
    if not path.is_file():
        raise SourceError(f"no file at {path}", "name a CSV or Parquet file")
    if not path.stat().st_size:
        raise SourceError(f"{path} is empty")
    try:
        source = _open_csv(path) if _is_csv(path) else _open_parquet(path)
    except pa.ArrowInvalid as error:
        raise SourceError(f"cannot read {path}: {error}", "CSV must be UTF-8 with one header line") from error
    if not source.rows:
        raise SourceError(f"{path} has a header but no rows")
    return source


def open_structure_table(path: Path, named: str | None, max_atoms: int) -> Source:
    """Open a table and look for a column of structures in it.

    Args:
        path: The file.
        named: The column; by default the first of the usual names that holds CIF, POSCAR or pymatgen JSON.
        max_atoms: Largest cell that is read.

    Returns:
        The table, without structures where no column was named and none was found.

    Raises:
        SourceError: See ``open_table``; or the column named is not there, or holds something else.
    """
    source = open_table(path)
    text = [column.name for column in source.schema if column.type == pa.string()]
    lower = {name.lower(): name for name in text}
    if named is not None and named not in source.schema.names:
        raise SourceError(f"{path} has no column {named!r}", f"its columns: {', '.join(source.schema.names)}")
    candidates = [named] if named is not None else [lower[name] for name in STRUCTURE_COLUMNS if name in lower]
    if not candidates:
        return source
    from matlake.materials.structure_files import recognised

    head = next(_raw_batches(path, [])).slice(0, _LOOKED_AT)
    for name in candidates:
        if any(recognised(value) for value in _convert(head.column(name), pa.string()).to_pylist() if value):
            schema = source.schema.remove(source.schema.get_field_index(name))
            return replace(
                source,
                schema=schema,
                batches=partial(_crystal_batches, path, schema, source.bad_lines, name, max_atoms),
                has_structures=True,
                notes=[note for note in source.notes if not note.startswith(f"column {name} ")],
            )
    if named is not None:
        raise SourceError(f"column {named!r} of {path} holds neither CIF nor POSCAR nor pymatgen JSON")
    return source


def _table(path: Path, schema: pa.Schema, rows: int, notes: list[str]) -> Source:
    bad_lines: list[BadLine] = []
    batches = partial(_formula_batches, path, schema, bad_lines)
    return Source(path, schema, rows, batches, has_structures=False, notes=notes, bad_lines=bad_lines)


def _formula_batches(path: Path, schema: pa.Schema, bad_lines: list[BadLine]) -> Iterator[Batch]:
    for raw in _raw_batches(path, bad_lines):
        yield Batch(_stored(raw, schema))


def _crystal_batches(
    path: Path, schema: pa.Schema, bad_lines: list[BadLine], structure_column: str, max_atoms: int
) -> Iterator[Batch]:
    for raw in _raw_batches(path, bad_lines):
        batch, texts = _stored(raw, schema), _convert(raw.column(structure_column), pa.string())
        for rows, crystals in bounded(_crystals(texts, max_atoms)):
            yield Batch(batch.slice(rows[0], len(rows)), crystals)


def _stored(raw: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_convert(raw.column(c.name), c.type) for c in schema], schema=schema)


def _crystals(texts: pa.Array, max_atoms: int) -> Iterator[tuple[int, Crystal | StructureError]]:
    from matlake.materials.structure_files import parse_structure

    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        for row, text in enumerate(texts.slice(start, _TEXTS_AT_ONCE).to_pylist(), start):
            try:
                yield row, parse_structure(text, max_atoms=max_atoms)
            except StructureError as error:
                yield row, error


def _raw_batches(path: Path, bad_lines: list[BadLine]) -> Iterator[pa.RecordBatch]:
    return _csv_batches(path, bad_lines) if _is_csv(path) else _parquet_batches(path)


def is_table(path: Path) -> bool:
    """Tell by its name whether a file is CSV or Parquet."""
    return _ending(path) in (*_CSV, *_PARQUET)


def _is_csv(path: Path) -> bool:
    ending = _ending(path)
    if ending not in (*_CSV, *_PARQUET):
        raise SourceError(
            f"{path} is neither CSV nor Parquet by its name", "endings read: .csv .tsv .txt (.gz), .parquet"
        )
    return ending in _CSV


def _ending(path: Path) -> str:
    return next((suffix for suffix in reversed([s.lower() for s in path.suffixes]) if suffix != ".gz"), "")


def _open_parquet(path: Path) -> Source:
    with pq.ParquetFile(path) as file:
        fields, notes = [], []
        for column in file.schema_arrow:
            kind = _storable(column.type)
            if kind is None:
                notes.append(f"column {column.name} of type {column.type} left out")
            else:
                fields.append(pa.field(column.name, kind))
        refuse_double_names(path, [f.name for f in fields])
        return _table(path, pa.schema(fields), file.metadata.num_rows, notes)


def _storable(kind: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return pa.bool_()
    if types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    if types.is_floating(kind) or types.is_decimal(kind) or types.is_integer(kind):
        return pa.float64()
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_timestamp(kind) or types.is_date(kind):
        return pa.timestamp("us")
    return pa.float64() if types.is_null(kind) else None


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def _open_csv(path: Path) -> Source:
    kinds: dict[str, pa.DataType] = {}
    obstacles: dict[str, str] = {}
    rows = 0
    names: list[str] = []
    for batch in _csv_batches(path, []):
        if not names:
            names = batch.schema.names
            refuse_double_names(path, names)
            kinds = dict.fromkeys(names, pa.int64())
        for name in names:
            column = batch.column(name)
            while kinds[name] != pa.string():
                try:
                    pc.cast(column, kinds[name])
                    break
                except pa.ArrowInvalid as error:
                    if kinds[name] == pa.int64():
                        kinds[name] = pa.float64()
                    else:
                        kinds[name] = pa.string()
                        if _mostly_numbers(column):
                            obstacles[name] = str(error).partition("'")[2].partition("'")[0]
        rows += batch.num_rows
    notes = [f"column {name} kept as text: {value!r} is not a number" for name, value in obstacles.items()]
    return _table(path, pa.schema([(name, kinds[name]) for name in names]), rows, notes)


def _mostly_numbers(column: pa.Array) -> bool:
    numeric = pc.sum(pc.match_substring_regex(column, r"^\s*[+-]?[\d.]+([eE][+-]?\d+)?\s*$")).as_py() or 0
    return bool(2 * numeric >= len(column) - column.null_count)


def _csv_batches(path: Path, bad_lines: list[BadLine]) -> Iterator[pa.RecordBatch]:
    """Yield all columns as strings, nulls where a value is missing."""

    def skip(row: Any) -> str:
        bad_lines.append(BadLine(row.number, f"{row.actual_columns} fields, expected {row.expected_columns}"))
        return "skip"

    header = _csv_header(path)
    with pacsv.open_csv(
        path,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=pacsv.ParseOptions(
            delimiter=_delimiter(header), newlines_in_values=True, invalid_row_handler=skip
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(_csv_names(path, header), pa.string()),
            null_values=_MISSING,
            strings_can_be_null=True,
        ),
    ) as reader:
        for batch in reader:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _csv_header(path: Path) -> str:
    with pa.input_stream(str(path), compression="detect") as stream:
        return bytes(stream.read(BLOCK_BYTES)).decode("utf-8", errors="replace").lstrip("\ufeff").split("\n", 1)[0]


def _csv_names(path: Path, header: str) -> list[str]:
    """Let Arrow read the header: it knows about quotes."""
    table = pacsv.read_csv(
        pa.BufferReader((header.rstrip("\r") + "\n").encode()),
        parse_options=pacsv.ParseOptions(delimiter=_delimiter(header)),
    )
    if any(not name.strip() for name in table.column_names):
        raise SourceError(f"a column of {path} has no name", "give every column a name in the header line")
    return list(table.column_names)


def _delimiter(header: str) -> str:
    return max(",;\t|", key=header.count)


def _convert(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    column = pc.cast(column, kind, safe=False)
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    return column
