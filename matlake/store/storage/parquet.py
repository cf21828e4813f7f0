"""Parquet files of a lake, wherever they are: as tables, file objects and data sets of pyarrow."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from matlake.store.storage.object_file import ObjectFile
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath

if TYPE_CHECKING:
    import pyarrow.dataset as ds


def open_parquet(path: LakePath) -> pq.ParquetFile:
    """Open a Parquet file."""
    return pq.ParquetFile(_file(path), pre_buffer=isinstance(path, RemotePath))


def read_table(path: LakePath, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file; the names of its folders are no columns."""
    with open_parquet(path) as file:
        return file.read(columns)


def read_schema(path: LakePath) -> pa.Schema:
    """Read the columns of a Parquet file."""
    with open_parquet(path) as file:
        return file.schema_arrow


def count_rows(path: LakePath) -> int:
    """Read the number of rows that a Parquet file states."""
    with open_parquet(path) as file:
        return int(file.metadata.num_rows)


def data_set(paths: list[RemotePath], schema: pa.Schema | None = None) -> "ds.Dataset":
    """Return Parquet files of one bucket as a data set, which reads the columns and row groups that a query needs.

    Args:
        paths: The files, at least one.
        schema: Their columns; by default those of all of them together.
    """
    from matlake.store.storage.object_scan import ObjectScan  # pyarrow.dataset imports pandas where it is installed

    if schema is None:
        schema = pa.unify_schemas([read_schema(path) for path in paths], promote_options="default")
    return ObjectScan(paths, schema)


def _file(path: LakePath) -> Any:
    return pa.PythonFile(ObjectFile.of(path), mode="r") if isinstance(path, RemotePath) else path
