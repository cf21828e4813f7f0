"""SQL over a lake: a DuckDB connection that holds the views of the contract and sees nothing but the lake."""

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from matlake.errors import Hint, MatlakeError, QueryError
from matlake.store.folders import LakeFolders
from matlake.store.limits import default_memory, parse_size, spill_folder, spill_limit, spill_root
from matlake.store.pure_reads import PureRead, pure_read
from matlake.store.quoting import literal, without_wildcards
from matlake.store.storage.refusals import refusal_in
from matlake.store.views import Views
from matlake.store.write_barrier import forbid_writes

_BATCH_ROWS: Final = 16_384
_INTERRUPT_SECONDS: Final = 0.1  # a query that is being planned does not hear the first interrupt

MORE_MEMORY: Final = Hint(
    "select fewer rows or columns, aggregate, or raise memory_limit",
    cli="select fewer rows or columns, aggregate, or raise --memory-limit",
)
MORE_TIME: Final = Hint("select fewer rows, or raise max_seconds", cli="select fewer rows, or raise --max-seconds")


def connect(
    lake: LakeFolders, names: AbstractSet[str] | None = None, *, memory: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection with the views of one moment of the lake, closed to all other files.

    It takes a quarter of the memory and half of the free disk at most. Who runs SQL of others in it checks that first
    (``pure_reads``): DuckDB can be told which files are open to it, not that they are open for reading alone.

    Besides the contract's views there is ``internal.searchable``, which is ``materials`` with ``composition_hash`` and
    ``crystal_hash`` and ``row_hash``; ``internal.compositions`` (``dataset``, ``material_id``, ``source_row``,
    ``formula``, ``composition_hash``, ``crystal_hash``, ``row_hash``, ``atomic_numbers``, ``fractions``) and
    ``internal."NAME@LAYER"`` (``content_hash``, ``vector``) for readers of contents, and ``internal.predictions``.
    ``crystal_hash`` is null where a dataset has no structures.

    Args:
        lake: The lake.
        names: Names in lower case of the views that are read; None for all. To make a view is to open files.
        memory: Bytes that it may take, if less than by default.
    """
    connection = _open(lake, min(default_memory(), memory or default_memory()))
    try:
        _close(lake, connection)
        Views(lake, connection).make(names)
    except BaseException:
        connection.close()
        raise
    return connection


def query(
    lake: LakeFolders,
    statement: str,
    parameters: Sequence[Any] = (),
    *,
    memory_limit: str | None = None,
    max_seconds: float | None = None,
) -> pa.Table:
    """Run one read-only statement and return its result.

    The statement runs in a thread of its own, which cannot write and can be interrupted.

    Args:
        lake: The lake.
        statement: One query, or EXPLAIN of one.
        parameters: Values of its ``$1``, ``$2``, ….
        memory_limit: Memory that the query, and then its result, may take, such as ``2GB``; a quarter of what there is
            by default.
        max_seconds: The query ends with an error after so many seconds.

    Raises:
        QueryError: The statement is wrong, is not a pure read, reaches outside the lake, or exceeds a limit.
    """
    ends = None if max_seconds is None else time.monotonic() + max_seconds
    memory = default_memory() if memory_limit is None else parse_size(memory_limit)
    with ThreadPoolExecutor(1, "matlake-sql", forbid_writes, (spill_root(),)) as thread:
        # DuckDB's threads are started by the one that connects, and so can write no more than it can
        connection = thread.submit(_open, lake, memory).result()
        try:
            _close(lake, connection)
            read = _checked(connection, statement, memory)
            Views(lake, connection).make(read.names, read.own)
            running = thread.submit(_run, connection, read.text, parameters, memory)
            return _result(connection, running, ends, max_seconds)
        finally:
            connection.close()


def not_a_predicate(where: str | None, error: Exception) -> MatlakeError:
    """Return the error for a predicate that DuckDB does not take; that of a store where the query ended there."""
    return refusal_in(error) or QueryError(
        f"cannot select by {where!r}: {error}", 'give a predicate over `materials`, such as "nelements = 2"'
    )


def _open(lake: LakeFolders, memory: int) -> duckdb.DuckDBPyConnection:
    spill = spill_folder(lake.path)
    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory}B",
            # DuckDB lets SQL read its spill folder: give it one of its own
            "temp_directory": "" if spill is None else str(spill),
            "max_temp_directory_size": f"{spill_limit()}B",
        },
    )


def _close(lake: LakeFolders, connection: duckdb.DuckDBPyConnection) -> None:
    """Close the connection to everything but the lake's tables."""
    tables = (lake.datasets_folder, lake.embeddings, lake.failures_table, lake.predictions)
    local = [table for table in tables if isinstance(table, Path)]
    paths = [f"{path}/" for table in local for path in {table.absolute(), table.resolve()}]
    allowed = ", ".join(literal(path) for path in sorted({*paths, *map(without_wildcards, paths)}))
    settings = (
        f"allowed_directories = [{allowed}]",
        "enable_external_access = false",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "lock_configuration = true",
    )
    connection.execute("; ".join(f"SET {setting}" for setting in settings))


def _checked(connection: duckdb.DuckDBPyConnection, statement: str, memory: int) -> PureRead:
    try:
        return pure_read(connection, statement)
    except duckdb.Error as error:
        raise _explained(error, memory) from error


def _run(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Sequence[Any], memory: int) -> pa.Table:
    """Run a statement; its result is read in batches, so that one that is too large is noticed in time."""
    try:
        reader = connection.sql(statement, params=list(parameters) or None).to_arrow_reader(_BATCH_ROWS)
        batches, size = [], 0
        for batch in reader:
            batches.append(batch)
            size += batch.nbytes
            if size > memory:
                raise QueryError(f"the result is larger than {_readable(memory)}", MORE_MEMORY)
        table = pa.Table.from_batches(batches, reader.schema)
        return table.rename_columns(_distinct(table.column_names))
    # an error after the first batch comes from Arrow, which knows no classes of DuckDB's
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise _explained(error, memory) from error


def _distinct(names: list[str]) -> list[str]:
    """Number the names that come again: JSON would keep one of the columns, and Parquet could not be read by name."""
    found: list[str] = []
    for name in names:
        new, number = name, 0
        while new in found or (number and new in names):
            number += 1
            new = f"{name}_{number}"
        found.append(new)
    return found


def _explained(error: Exception, memory: int) -> MatlakeError:
    text, refused = str(error), refusal_in(error)
    if refused is not None:
        return refused
    if "max_temp_directory_size" in text:
        return QueryError(f"the query needs more than {_readable(memory)} of memory and the disk to spill", MORE_MEMORY)
    if text.startswith("Out of Memory Error"):
        return QueryError(f"the query needs more than {_readable(memory)} of memory", MORE_MEMORY)
    if text.startswith("Permission Error"):
        return QueryError(
            f"the query reaches outside the lake: {text}",
            Hint("import the file first: matlake.import_table(…)", cli="import the file first: `matlake import FILE`"),
        )
    return QueryError(text, "`SELECT table_name FROM information_schema.tables` lists the views")


def _result(
    connection: duckdb.DuckDBPyConnection, running: "Future[pa.Table]", ends: float | None, max_seconds: float | None
) -> pa.Table:
    """Wait for a query; stop it when its time is over, and when the wait is interrupted."""
    try:
        # a wait without end would not hear Ctrl-C on all systems
        while not running.done() and (ends is None or time.monotonic() < ends):
            wait_for([running], 1.0 if ends is None else max(0.0, min(1.0, ends - time.monotonic())))
        if running.done():
            return running.result()
        raise QueryError(f"the query took more than {max_seconds:g} s", MORE_TIME)
    finally:
        while not running.done():
            connection.interrupt()
            wait_for([running], _INTERRUPT_SECONDS)


def _readable(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
