"""Columns of a published data set: names with units, and several files as one table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import SourceError
from matlake.store.importing.readers import BadLine, Batch, Source
from matlake.text_tables import some_of


def with_units(source: Source, units: Mapping[str, str]) -> Source:
    """Give columns names that carry their units.

    Args:
        source: What was opened.
        units: Column -> column with its unit; those that the source has not, or that it has under both names, are
            left alone.
    """
    names = source.schema.names
    renamed = {old: new for old, new in units.items() if old in names and new not in names}
    if not renamed:
        return source

    def rows() -> Iterator[Batch]:
        for batch in source.batches():
            columns = batch.columns.rename_columns([renamed.get(name, name) for name in batch.columns.schema.names])
            unread = [replace(cell, column=renamed.get(cell.column, cell.column)) for cell in batch.unread]
            yield Batch(columns, batch.crystals, unread)

    schema = pa.schema([field.with_name(renamed.get(field.name, field.name)) for field in source.schema])
    shown = some_of([f"{old} → {new}" for old, new in renamed.items()])
    notes = [*source.notes, f"columns renamed to carry their units: {shown}"]
    return replace(source, schema=schema, batches=rows, notes=notes)


def chained(name: str, sources: Sequence[Source]) -> Source:
    """Return several files of one data set as one source, with the columns of all.

    Args:
        name: What messages call it.
        sources: Its files in order.

    Raises:
        SourceError: Some hold structures, and others do not.
    """
    if len(sources) == 1:
        return replace(sources[0], name=name)
    without = [source.name for source in sources if not source.has_structures]
    if without and len(without) < len(sources):
        raise SourceError(f"{without[0]} holds no structures, other files of {name} do", "import it on its own")
    kinds: dict[str, pa.DataType] = {}
    for field in (field for source in sources for field in source.schema):
        kinds[field.name] = _common(kinds.get(field.name, field.type), field.type)
    schema = pa.schema(kinds.items())
    bad_lines: list[BadLine] = []

    def rows() -> Iterator[Batch]:
        for source in sources:
            for batch in source.batches():
                yield replace(batch, columns=_widened(batch.columns, schema))
            bad_lines.extend(source.bad_lines)

    return Source(
        name,
        schema,
        sum(source.rows for source in sources),
        rows,
        has_structures=not without,
        notes=list(dict.fromkeys(note for source in sources for note in source.notes)),
        bad_lines=bad_lines,
    )


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return a type that holds the values of both."""
    if one == other:
        return one
    numbers = (pa.int64(), pa.float64())
    return pa.float64() if one in numbers and other in numbers else pa.string()


def _widened(columns: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return rows with the columns of all files; those that a file has not are null."""
    names = columns.schema.names
    arrays = [
        pc.cast(columns.column(field.name), field.type) if field.name in names else pa.nulls(len(columns), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
