"""Readers of everything that can be imported, as a ``Source``.

One module a kind of source. All of them stream: batches of bounded size, in the order of the source, and a row that
cannot be read is handed over as such.
"""

from matlake.store.importing.readers.containers import File
from matlake.store.importing.readers.opening import open_source
from matlake.store.importing.readers.plugin_readers import Reader, records_of
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import BadLine, Batch, Source, UnreadCell
from matlake.store.importing.readers.table import is_table, open_table

__all__ = [
    "BadLine",
    "Batch",
    "File",
    "Reader",
    "Record",
    "Source",
    "UnreadCell",
    "is_table",
    "open_records",
    "open_source",
    "open_table",
    "records_of",
]
