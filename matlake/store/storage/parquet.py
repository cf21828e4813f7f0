"""Parquet files of a lake, wherever they are: as tables, file objects and data sets of pyarrow."""

import io
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath

_END_BYTES: Final = 128 << 10


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


def data_set(paths: list[RemotePath], schema: pa.Schema | None = None) -> ds.Dataset:
    """Return Parquet files of one bucket as a data set, which reads the columns and row groups that a query needs.

    Args:
        paths: The files, at least one.
        schema: Their columns; by default those of all of them together.
    """
    system = pafs.PyFileSystem(_Objects(paths[0].bucket))
    if schema is None:
        schema = pa.unify_schemas([read_schema(path) for path in paths], promote_options="default")
    return ds.dataset([path.key for path in paths], schema=schema, format="parquet", filesystem=system)


def _file(path: LakePath) -> Any:
    return pa.PythonFile(_ObjectReader(path), mode="r") if isinstance(path, RemotePath) else path


class _ObjectReader(io.RawIOBase):
    """An object as a file: every read is a request for its bytes, but for those at its end, which are read first.

    A Parquet file has there what is where in it; a small one is all end.
    """

    def __init__(self, path: RemotePath) -> None:
        self._path, self._place = path, 0
        self._end, self._size = path.read_end(_END_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def size(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._place)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        start = self._place - (self._size - len(self._end))
        found = self._path.read_range(self._place, length) if start < 0 else self._end[start : start + length]
        self._place += length
        return found


class _Objects(pafs.FileSystemHandler):
    """A bucket as pyarrow's data sets read it."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def get_type_name(self) -> str:
        return "matlake"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return [pafs.FileInfo(path, pafs.FileType.File) for path in paths]

    def open_input_file(self, path: str) -> pa.PythonFile:
        return _file(RemotePath(self._bucket, path))

    open_input_stream = open_input_file

    def _refuse(self, *_: Any) -> None:
        raise NotImplementedError("this file system is for reading files that are named")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = _refuse
    delete_root_dir_contents = delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse
