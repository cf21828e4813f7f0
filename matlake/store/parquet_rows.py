"""Parquet parts in the text of SQL."""

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from matlake.store.quoting import identifier, literal, without_wildcards
from matlake.store.storage.parquet import data_set
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath

if TYPE_CHECKING:
    import duckdb

_BETWEEN: Final = "\n"
"""Stands between files; lakes refuse paths that have it."""


def parquet_rows(
    connection: "duckdb.DuckDBPyConnection", files: Iterable[LakePath], schema: pa.Schema | None = None
) -> str:
    """Return what stands after FROM to read Parquet files, at least one, without more columns from their paths.

    DuckDB reads local files itself. Objects in a bucket it reads through a data set of pyarrow's, which is registered
    with the connection: one that is closed to other files still reads it.

    Args:
        connection: The connection.
        files: The files.
        schema: The columns of the files, where they are known: objects are then opened by queries alone.
    """
    files = list(files)
    remote = [file for file in files if isinstance(file, RemotePath)]
    if remote:
        name = f"objects_{uuid.uuid4().hex}"
        connection.register(name, data_set(remote, schema))
        return identifier(name)
    # as one text: DuckDB takes five times as long to parse and copy a list of names
    listed = literal(without_wildcards(_BETWEEN.join(map(str, files))))
    return f"read_parquet(string_split({listed}, chr({ord(_BETWEEN)})), hive_partitioning = false)"


def parquet_keys(connection: "duckdb.DuckDBPyConnection", files: Iterable[LakePath]) -> str:
    """Return what stands after FROM to read the ``content_hash`` of rows in Parquet files, which may be none."""
    files = list(files)
    rows = parquet_rows(connection, files) if files else "(SELECT '' AS content_hash) WHERE false"
    return f"(SELECT content_hash FROM {rows})"
