"""Columns that say of each row which source it is from, its id there, its version or date, and its licence."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from matlake.store.importing.readers import Batch, Source
from matlake.store.importing.readers.source import ID_COLUMNS, usual_column
from matlake.store.sources.protocol import (
    PROVENANCE,
    SOURCE,
    SOURCE_ID,
    SOURCE_LICENCE,
    SOURCE_VERSION,
    Fetched,
)


def with_provenance(fetched: Fetched) -> Source:
    """Return the rows of a source by name with the columns of ``PROVENANCE``; those that it has itself are kept."""
    source, known = fetched.source, fetched.remembered
    identifier = fetched.id_column or usual_column(source.schema.names, ID_COLUMNS)
    columns = {SOURCE_ID: identifier, SOURCE_VERSION: fetched.version_column}
    constants = {
        SOURCE: known.origin.partition("?")[0],
        SOURCE_VERSION: known.version or None,
        SOURCE_LICENCE: known.licence or None,
    }
    added = [name for name in PROVENANCE if name not in source.schema.names]
    schema = pa.schema([*source.schema, *(pa.field(name, pa.string()) for name in added)])

    def column(name: str, batch: Batch) -> pa.Array:
        constant = pa.scalar(constants.get(name), pa.string())
        own = columns.get(name)
        if own is None or own not in source.schema.names:
            return pa.repeat(constant, batch.columns.num_rows)
        return pc.coalesce(batch.columns.column(own).cast(pa.string()), constant)

    def batches() -> Iterator[Batch]:
        for batch in source.batches():
            arrays = [*batch.columns.columns, *map(partial(column, batch=batch), added)]
            yield replace(batch, columns=pa.RecordBatch.from_arrays(arrays, schema=schema))

    return replace(source, name=known.origin, schema=schema, batches=batches)
