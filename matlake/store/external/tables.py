"""Tables that hold vectors, column by column as they are stored: files, and what a notebook holds.

Those that import materials leave out columns of lists, and read numbers and text as properties.
"""

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from numbers import Real
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matlake.arrow_columns import whole
from matlake.errors import SourceError
from matlake.materials.objects import is_missing
from matlake.store.external.npz_file import open_npz
from matlake.store.external.vectors import NUMBERS, Cells, is_list, is_number
from matlake.store.importing.readers.arrow_files import IPC, PARQUET, open_ipc_table
from matlake.store.importing.readers.frames import Column, Columns, dictionary_columns, frame_columns, is_frame
from matlake.store.importing.readers.source import ID_COLUMNS, NO_NAMES

BLOCK_ROWS: Final = 8192
"""Rows that are read together: 32 MB of vectors of 1,024 numbers."""

Blocks: TypeAlias = Iterator[dict[str, Cells]]

IDS: Final = (*ID_COLUMNS, "ids", "material_ids")
"""Usual names of a column of ids beside vectors, in order of preference; capitals aside."""

VECTOR: Final = "vector"
"""Column of vectors, where nothing says what it is called; and the layer of an external encoder of one layer."""

_ENDINGS: Final = "endings read: .parquet .feather .arrow .npz .jsonl .ndjson .csv"
_JSON_BLOCK: Final = 16 << 20  # bytes, of which a line must take less
_BUFFER: Final = 4 << 20
_BLOCK_BYTES: Final = 64 << 20  # of wide vectors fewer rows are read together


class Kind(Enum):
    """What the cells of a column are."""

    VECTORS = "vectors"
    NUMBERS = "numbers"
    TEXT = "text"
    OTHER = "values that are neither numbers nor vectors"


@dataclass(frozen=True)
class VectorTable:
    """A table that may hold vectors.

    Attributes:
        name: What messages call it.
        kinds: Its columns, and what they hold.
        read: Yields some of its columns, in blocks of rows in their order; can be called several times.
    """

    name: str
    kinds: Mapping[str, Kind]
    read: Callable[[Sequence[str]], Blocks]


def open_vector_table(what: Any, *, by_id: bool = True) -> VectorTable:
    """Open a table that may hold vectors.

    Args:
        what: The path of a Parquet, Feather or Arrow file, an npz file, JSON lines or CSV; a DataFrame of any library,
            or an Arrow table; a dictionary of columns.
        by_id: Take a dictionary without a column of ids for one of vectors by id; and a pair for ids and vectors.

    Raises:
        SourceError: It is none of these, is empty, or cannot be read.
    """
    if isinstance(what, str | os.PathLike):
        return _open_file(Path(what))
    if is_frame(what):
        return _of_columns(frame_columns(what))
    if isinstance(what, Mapping):
        if by_id and not any(str(name).lower() in IDS for name in what):
            return _of_pair("the ids and vectors of the dictionary", [*what], [*what.values()])
        arrays = {str(name): np.asarray(column) for name, column in what.items() if is_matrix(column)}
        columns = dictionary_columns({name: column for name, column in what.items() if str(name) not in arrays})
        return _in_memory(columns.name, {**dict(zip(columns.names, columns.values, strict=True)), **arrays})
    if by_id and isinstance(what, tuple) and len(what) == 2:  # noqa: PLR2004 - ids and vectors
        return _of_pair("the ids and vectors", *what)
    raise SourceError(
        f"vectors cannot be read from a {type(what).__name__}",
        "give a path, a DataFrame, an Arrow table, a dictionary of vectors by id, or (ids, vectors)",
    )


def may_hold_vectors(what: Any) -> bool:
    """Say whether something is a table in memory, or a file whose name is that of a table with vectors."""
    return not isinstance(what, str | os.PathLike) or _opener(Path(what)) is not None


def is_matrix(column: Any) -> bool:
    """Say whether a column of a dictionary is an array of vectors."""
    return getattr(column, "ndim", 0) > 1


def _open_file(path: Path) -> VectorTable:
    if not path.is_file():
        raise SourceError(f"no file at {path}", f"name a table of ids and vectors; {_ENDINGS}")
    if not path.stat().st_size:
        raise SourceError(f"{path} is empty")
    opener = _opener(path)
    if opener is None:
        raise SourceError(f"cannot tell from its name how to read vectors from {path}", _ENDINGS)
    with _reading(path):
        return opener(path)


def _opener(path: Path) -> Callable[[Path], VectorTable] | None:
    name = path.name.lower()
    return next((opener for endings, opener in _OPENERS if name.endswith(endings)), None)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).partition("\n")[0]
        raise SourceError(f"cannot read {path}: {reason}", "write or download it again") from error


def _refuse_double(name: str, columns: Sequence[str]) -> None:
    ((most, count),) = Counter(columns).most_common(1) or (("", 0),)
    if count > 1:
        raise SourceError(f"{name} has two columns {most!r}", "rename one of them")


def _of_batches(path: Path, schema: pa.Schema, batches: Callable[[list[str]], Iterator[pa.RecordBatch]]) -> VectorTable:
    def read(wanted: Sequence[str]) -> Blocks:
        with _reading(path):
            for batch in batches(list(wanted)):
                for start in range(0, batch.num_rows, BLOCK_ROWS):
                    some = batch.slice(start, BLOCK_ROWS)
                    yield {name: some.column(name) for name in wanted}

    _refuse_double(str(path), schema.names)
    return VectorTable(str(path), {field.name: _kind(field.type) for field in schema}, read)


def _open_parquet(path: Path) -> VectorTable:
    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as file:  # else it reads whole columns
            yield from file.iter_batches(rows, columns=wanted)

    with pq.ParquetFile(path) as file:
        schema, stored = file.schema_arrow, file.metadata
        size = sum(stored.row_group(group).total_byte_size for group in range(stored.num_row_groups))
    rows = max(1, min(BLOCK_ROWS, _BLOCK_BYTES * stored.num_rows // max(1, size)))
    return _of_batches(path, schema, batches)


def _open_ipc(path: Path) -> VectorTable:
    stored = open_ipc_table(path, NO_NAMES).stored
    first = next(stored(), None)
    return _of_batches(path, pa.schema([]) if first is None else first.schema, lambda _: stored())


def _open_json_lines(path: Path) -> VectorTable:
    """Open JSON lines: the first of them show which columns are numbers, of which later ones may have fractions."""
    read = pajson.ReadOptions(block_size=_JSON_BLOCK)
    with pajson.open_json(path, read) as reader:
        schema = reader.schema

    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        kinds = pa.schema([(name, _with_fractions(schema.field(name).type, alone=len(wanted) == 1)) for name in wanted])
        parse = pajson.ParseOptions(explicit_schema=kinds, unexpected_field_behavior="ignore")
        with pajson.open_json(path, read, parse) as reader:
            yield from reader

    return _of_batches(path, schema, batches)


def _with_fractions(kind: pa.DataType, *, alone: bool) -> pa.DataType:
    """Return the type of a column that is read; one that is read alone holds ids, which stay what they are."""
    if is_list(kind):
        return pa.list_(pa.float64())
    return pa.float64() if is_number(kind) and not alone else kind


def _open_csv(path: Path) -> VectorTable:
    """Open a CSV file: its first rows show which columns are numbers; one column alone is read as text, as ids are."""
    with pacsv.open_csv(path) as reader:
        schema = reader.schema

    def batches(wanted: list[str]) -> Iterator[pa.RecordBatch]:
        kinds = dict.fromkeys(wanted, pa.float64() if len(wanted) > 1 else pa.string())
        options = pacsv.ConvertOptions(include_columns=wanted, column_types=kinds)
        with pacsv.open_csv(path, convert_options=options) as reader:
            yield from reader

    return _of_batches(path, schema, batches)


def _open_npz(path: Path) -> VectorTable:
    arrays = open_npz(path, BLOCK_ROWS, _BLOCK_BYTES)

    def read(wanted: Sequence[str]) -> Blocks:
        with _reading(path):
            for cells in zip(*(arrays[name].blocks() for name in wanted), strict=True):
                yield dict(zip(wanted, cells, strict=True))

    kinds = {one: _kind_of_dtype(array.dtype, array.dim) for one, array in arrays.items()}
    return VectorTable(str(path), kinds, read)


_OPENERS: Final[tuple[tuple[tuple[str, ...], Callable[[Path], VectorTable]], ...]] = (
    (PARQUET, _open_parquet),
    (IPC, _open_ipc),
    ((".npz",), _open_npz),
    ((".jsonl", ".ndjson"), _open_json_lines),
    ((".csv",), _open_csv),
)
"""How files are opened, by the endings of their names."""


def _kind(kind: pa.DataType) -> Kind:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_list(kind):
        return Kind.VECTORS
    if is_number(kind):
        return Kind.NUMBERS
    types = pa.types
    is_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return Kind.TEXT if is_text else Kind.OTHER


def _kind_of_dtype(dtype: np.dtype[Any], dim: int) -> Kind:
    if dtype.kind in NUMBERS:
        return Kind.VECTORS if dim else Kind.NUMBERS
    return Kind.TEXT if dtype.kind in "US" else Kind.OTHER


def _kind_of_values(values: Column | NDArray[Any]) -> Kind:
    """Return what values are, those of Python by the first ones."""
    if isinstance(values, pa.ChunkedArray):
        return _kind(values.type)
    if isinstance(values, np.ndarray) and values.dtype != object:
        return _kind_of_dtype(values.dtype, values.ndim - 1) if values.ndim <= 2 else Kind.OTHER  # noqa: PLR2004
    first = next((value for value in values if not is_missing(value)), None)
    if isinstance(first, str):
        return Kind.TEXT
    if isinstance(first, bool | np.bool_):
        return Kind.OTHER
    if isinstance(first, Real | np.number):
        return Kind.NUMBERS
    is_array = getattr(first, "ndim", 0) == 1
    return Kind.VECTORS if is_array or isinstance(first, list | tuple) else Kind.OTHER


def _of_columns(columns: Columns) -> VectorTable:
    _refuse_double(columns.name, columns.names)
    return _in_memory(columns.name, dict(zip(columns.names, columns.values, strict=True)))


def _of_pair(name: str, ids: Any, vectors: Any) -> VectorTable:
    """Return a table of ids and vectors, which are one array or a list of vectors."""
    try:
        listed = list(ids)
        cells = np.asarray(vectors) if is_matrix(vectors) else list(vectors)
    except (TypeError, ValueError, RuntimeError) as error:  # as of a tensor with gradients
        raise SourceError(
            f"{name} cannot be read: {error}", "give a list of ids and an array [n, d] of numpy"
        ) from error
    if not listed:
        raise SourceError(f"{name} are empty", "give at least one of each")
    if len(listed) != len(cells):
        raise SourceError(f"{name} are of different lengths: {len(listed):,} and {len(cells):,}", "give one for each")
    return _in_memory(name, {ID_COLUMNS[0]: listed, VECTOR: cells})


def _in_memory(name: str, columns: Mapping[str, Column | NDArray[Any]]) -> VectorTable:
    rows = {len(values) for values in columns.values()}
    if len(rows) > 1:
        raise SourceError(f"the columns of {name} differ in length", "give each row a value, or None")

    def read(wanted: Sequence[str]) -> Blocks:
        for start in range(0, max(rows, default=0), BLOCK_ROWS):
            yield {one: _cut(columns[one], start) for one in wanted}

    return VectorTable(name, {one: _kind_of_values(values) for one, values in columns.items()}, read)


def _cut(values: Column | NDArray[Any], start: int) -> Cells:
    some: Any = values[start : start + BLOCK_ROWS]
    return whole(some) if isinstance(some, pa.ChunkedArray) else some
