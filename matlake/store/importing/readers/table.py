"""Tables of CSV, Parquet, Arrow and Delta, of formulas or of structures in some of their columns."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.arrow_files import (
    IPC,
    PARQUET,
    is_delta,
    open_delta_table,
    open_ipc_table,
    open_parquet_table,
)
from matlake.store.importing.readers.arrow_table import ArrowTable
from matlake.store.importing.readers.csv_table import CsvTable, open_csv_table
from matlake.store.importing.readers.source import NO_NAMES, STRUCTURE_COLUMNS, Batch, KeyColumns, Source, bounded
from matlake.store.importing.readers.streams import plain_name

Table: TypeAlias = CsvTable | ArrowTable

_CSV: Final = (".csv", ".tsv", ".txt")
_LOOKED_AT: Final = 100  # filled cells, for the kind of a column
_TEXTS_AT_ONCE: Final = 1024


def open_table(path: Path, named: KeyColumns = NO_NAMES, *, mixed_as_text: bool = False) -> Source:
    """Look at a table and decide on column types: CSV, perhaps compressed; Parquet; Arrow; a Delta table.

    A CSV column has the type of more than half of its cells; see ``readers.cells``. The others state their types.

    Args:
        path: The file.
        named: Columns of formulas or ids, besides those by usual names: they are kept as written.
        mixed_as_text: Whether a CSV column is text as soon as one cell is, so that no cell is lost.

    Raises:
        SourceError: The file is missing, empty, of another kind, or in an unknown encoding.
    """
    return _source(path, _open(path, named, mixed_as_text=mixed_as_text))


def open_structure_table(
    path: Path,
    structure_column: str | None,
    max_atoms: int,
    named: KeyColumns = NO_NAMES,
    *,
    mixed_as_text: bool = False,
) -> Source:
    """Open a table and look for a column of structures in it.

    Args:
        path: The file.
        structure_column: The column; by default the first of the usual names that holds CIF, POSCAR or pymatgen JSON.
        max_atoms: Largest cell that is read.
        named: As in ``open_table``.
        mixed_as_text: As in ``open_table``.

    Returns:
        The table, without structures where no column was named and none was found.

    Raises:
        SourceError: See ``open_table``; or the column named is not there, or holds something else.
    """
    table = _open(path, named, mixed_as_text=mixed_as_text)
    names = table.schema.names
    text = {column.name.lower(): column.name for column in table.schema if column.type == pa.string()}
    candidates = [structure_column] if structure_column else [text[name] for name in STRUCTURE_COLUMNS if name in text]
    source = _source(path, table)
    if isinstance(table, ArrowTable) and table.structures and structure_column in (None, *table.structures.names):
        return replace(source, batches=partial(table.crystal_batches, max_atoms), has_structures=True)
    if structure_column is not None and structure_column not in names:
        raise SourceError(f"{path} has no column {structure_column!r}", f"its columns: {', '.join(names)}")
    if not candidates:
        return source
    for name in candidates:
        if _holds_structures(table, name):
            return replace(
                source,
                schema=source.schema.remove(source.schema.get_field_index(name)),
                batches=partial(_crystal_batches, table, name, max_atoms),
                has_structures=True,
                notes=[note for note in source.notes if not note.startswith(f"column {name} ")],
            )
    if structure_column is not None:
        raise SourceError(f"column {structure_column!r} of {path} holds neither CIF nor POSCAR nor JSON of structures")
    return source


def _holds_structures(table: Table, name: str) -> bool:
    """Tell by its first filled cells whether a column holds structures."""
    from matlake.materials.structure_files import recognised

    left = _LOOKED_AT
    for raw in table.raw_batches():
        cells = pc.cast(raw.column(name).drop_null().slice(0, left), pa.string()).to_pylist()
        if any(recognised(cell) for cell in cells):
            return True
        left -= len(cells)
        if left <= 0:
            break
    return False


def is_table(path: Path) -> bool:
    """Tell by its name whether a file is CSV, Parquet or Arrow, or whether a folder is a Delta table."""
    return plain_name(path).endswith(_CSV) or path.name.lower().endswith((*PARQUET, *IPC)) or is_delta(path)


def _open(path: Path, named: KeyColumns, *, mixed_as_text: bool) -> Table:
    if not path.exists():
        raise SourceError(f"no file at {path}", "name a CSV or Parquet file")
    if path.is_file() and not path.stat().st_size:
        raise SourceError(f"{path} is empty")
    if not is_table(path):
        raise SourceError(
            f"{path} is neither CSV nor Parquet nor Arrow by its name",
            "endings read: .csv .tsv .txt (also .gz .bz2 .xz .zst), .parquet .feather .arrow",
        )
    name = path.name.lower()
    try:
        if is_delta(path):
            table: Table = open_delta_table(path, named)
        elif name.endswith(PARQUET):
            table = open_parquet_table(path, named)
        elif name.endswith(IPC):
            table = open_ipc_table(path, named)
        else:
            table = open_csv_table(path, named, mixed_as_text=mixed_as_text)
    except (pa.ArrowException, OSError) as error:
        from matlake.store.tables.commit_outcomes import first_line

        raise SourceError(f"cannot read {path}: {first_line(error)}", "write or download it again") from error
    if not table.rows:
        raise SourceError(f"{path} has a header but no rows")
    return table


def _source(path: Path, table: Table) -> Source:
    bad_lines = table.bad_lines if isinstance(table, CsvTable) else []
    batches = partial(_batches, table)
    return Source(str(path), table.schema, table.rows, batches, False, table.notes, bad_lines)


def _batches(table: Table) -> Iterator[Batch]:
    for raw in table.raw_batches():
        yield table.read(raw)


def _crystal_batches(table: Table, structure_column: str, max_atoms: int) -> Iterator[Batch]:
    for raw in table.raw_batches():
        place = raw.schema.get_field_index(structure_column)
        batch, texts = table.read(raw.remove_column(place)), pc.cast(raw.column(place), pa.string())
        for rows, crystals in bounded(_crystals(texts, max_atoms)):
            yield batch.slice(rows[0], len(rows), crystals)


def _crystals(texts: pa.Array, max_atoms: int) -> Iterator[tuple[int, Crystal | StructureError]]:
    from matlake.materials.structure_files import parse_structure

    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        for row, text in enumerate(texts.slice(start, _TEXTS_AT_ONCE).to_pylist(), start):
            try:
                yield row, parse_structure(text, max_atoms=max_atoms)
            except StructureError as error:
                yield row, error
