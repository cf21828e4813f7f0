"""Parquet files in a bucket as DuckDB reads them: the columns and rows that a query needs, and no others.

DuckDB takes data sets of pyarrow. Those that read through a file system in Python may wait for ever where a request
fails: pyarrow stops what it has begun while it holds the interpreter that this needs to end. So the requests are made
here, ahead of the query, for whole column chunks; where a query has a condition, the columns that it is about are read
first, and the others of row groups that satisfy it in some row.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from matlake.store.storage.object_file import END_BYTES, ObjectFile
from matlake.store.storage.remote_path import RemotePath

_AHEAD: Final = 8
"""Row groups under way at once, of 8 MB each at most."""

_ROW: Final = "\x00row"

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Opened:
    """An object of which the end was read.

    Attributes:
        path: The object.
        size: Bytes.
        end: Its last bytes.
        metadata: What the file says of itself.
        schema: Its columns.
    """

    path: RemotePath
    size: int
    end: bytes
    metadata: pq.FileMetaData
    schema: pa.Schema

    @classmethod
    def of(cls, path: RemotePath) -> "_Opened":
        """Read the end of an object, and more of it where what it says of itself is longer."""
        length = END_BYTES
        while True:
            end, size = path.read_end(length)
            needed = int.from_bytes(end[-8:-4], "little") + 8
            if needed <= len(end) or len(end) == size:
                break
            length = needed
        with pq.ParquetFile(pa.PythonFile(ObjectFile(path, size, [(size - len(end), end)]), mode="r")) as file:
            return cls(path, size, end, file.metadata, file.schema_arrow)

    def read(self, group: int, names: Sequence[str]) -> pa.Table:
        """Read columns of a row group, in one request or a few at once."""
        present = [name for name in names if name in self.schema.names]
        described = self.metadata.row_group(group)
        chunks = [described.column(place) for place in range(described.num_columns)]
        spans = [_span(chunk) for chunk in chunks if chunk.path_in_schema.split(".")[0] in present]
        begin = self.size - len(self.end)
        asked = [(start, length) for start, length in spans if start < begin]
        pieces = [(begin, self.end), *zip((start for start, _ in asked), self.path.read_ranges(asked), strict=True)]
        source = pa.PythonFile(ObjectFile(self.path, self.size, pieces), mode="r")
        with pq.ParquetFile(source, metadata=self.metadata) as file:
            return file.read_row_group(group, present, use_threads=False)


def _span(chunk: Any) -> tuple[int, int]:
    """Return where the pages of a column begin, and their bytes."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        start = min(start, chunk.dictionary_page_offset)
    return start, chunk.total_compressed_size


class ObjectScan(ds.InMemoryDataset):  # type: ignore[misc]  # pyarrow carries no types; DuckDB asks for one of its classes
    """A data set of pyarrow's that reads objects in its own way.

    Args:
        paths: The objects.
        schema: Their columns; what an object lacks is null.
    """

    def __init__(self, paths: Sequence[RemotePath], schema: pa.Schema) -> None:
        """Read nothing yet."""
        super().__init__(schema.empty_table())
        self._paths = paths

    def scanner(
        self,
        columns: Sequence[str] | None = None,
        filter: pc.Expression | None = None,  # noqa: A002 - pyarrow's name
        **_: object,
    ) -> "_Scan":
        """Return what reads columns of the rows that satisfy a condition."""
        names = self.schema.names if columns is None else list(columns)
        return _Scan(self._paths, self.schema, names, filter)


@dataclass(frozen=True)
class _Scan:
    """What a query reads.

    Attributes:
        paths: The objects.
        schema: All their columns.
        names: Columns that are wanted.
        condition: Which rows are wanted; None for all.
    """

    paths: Sequence[RemotePath]
    schema: pa.Schema
    names: list[str]
    condition: pc.Expression | None

    def to_reader(self) -> pa.RecordBatchReader:
        """Return the rows in batches, which are read ahead."""
        wanted = pa.schema([self.schema.field(name) for name in self.names])
        return pa.RecordBatchReader.from_batches(wanted, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        pool = ThreadPoolExecutor(_AHEAD, "matlake-objects")
        try:
            opened = _ahead(pool, _Opened.of, self.paths)
            groups = ((one, group) for one in opened for group in range(one.metadata.num_row_groups))
            tables = _ahead(pool, lambda task: self._read(*task), groups)
            yield from chain.from_iterable(_in_batches(table) for table in tables)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, opened: _Opened, group: int) -> pa.Table:
        if self.condition is None:
            return self._cast(
                opened, opened.read(group, self.names), self.names, opened.metadata.row_group(group).num_rows
            )
        about = _names_in(self.condition, self.schema.names)
        rows = opened.metadata.row_group(group).num_rows
        looked = self._cast(opened, opened.read(group, about), about, rows)
        found = looked.append_column(_ROW, pa.array(np.arange(rows))).filter(self.condition)
        others = [name for name in self.names if name not in about]
        if found.num_rows and others:
            more = self._cast(opened, opened.read(group, others), others, rows).take(found[_ROW])
            for name in others:
                found = found.append_column(name, more[name])
        elif others:
            return pa.schema([self.schema.field(name) for name in self.names]).empty_table()
        return found.select(self.names)

    def _cast(self, opened: _Opened, table: pa.Table, names: Sequence[str], rows: int) -> pa.Table:
        """Give a table the columns and types of the schema."""
        if not names:
            return pa.table({_ROW: np.zeros(rows, np.int8)}).select([])
        columns = []
        for name in names:
            kind = self.schema.field(name).type
            column = table[name] if name in opened.schema.names else pa.chunked_array([pa.nulls(rows, kind)])
            columns.append(column if column.type == kind else column.cast(kind))
        return pa.table(dict(zip(names, columns, strict=True)))


def _in_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    if table.num_columns:
        yield from table.to_batches()
    else:
        yield pa.RecordBatch.from_struct_array(pa.array([{}] * table.num_rows, pa.struct([])))


def _names_in(condition: pc.Expression, names: Iterable[str]) -> list[str]:
    """Return the columns that a condition is about, and perhaps some more: pyarrow does not list them."""
    words, serialized = set(re.findall(r"\w+", str(condition))), bytes(condition.__reduce__()[1][0])
    return [name for name in names if (name in words if name.isidentifier() else name.encode() in serialized)]


def _ahead(pool: ThreadPoolExecutor, work: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
    """Yield what comes of tasks, in order, some of them being done ahead."""
    waiting: deque[Future[_Result]] = deque()
    for task in tasks:
        waiting.append(pool.submit(work, task))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
