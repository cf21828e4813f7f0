"""Parquet parts in the text of SQL."""

import uuid
from collections.abc import Iterable

import duckdb

from matlake.store.quoting import identifier, literal, without_wildcards
from matlake.store.storage.parquet import data_set
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath


def parquet_rows(connection: duckdb.DuckDBPyConnection, files: Iterable[LakePath]) -> str:
    """Return what stands after FROM to read Parquet files, at least one, without more columns from their paths.

    DuckDB reads local files itself. Objects in a bucket it reads through a data set of pyarrow's, which is registered
    with the connection: one that is closed to other files still reads it.
    """
    files = list(files)
    remote = sorted(file for file in files if isinstance(file, RemotePath))
    if remote:
        name = f"objects_{uuid.uuid4().hex}"
        connection.register(name, data_set(remote))
        return identifier(name)
    listed = ", ".join(literal(without_wildcards(str(file))) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"
