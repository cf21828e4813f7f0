"""The log of a Delta table as files, and what delta-rs reads in it of parts."""

import os
from typing import Any, TypeAlias

import pyarrow as pa

from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables.log_entries import LOG

LogFiles: TypeAlias = tuple[tuple[str, int, object], ...]
"""Files by name, with their size and what changes when their content does."""


def log_files(root: LakePath) -> LogFiles:
    """Return the files of a table's log, each with what changes when its content does; none where there is no log."""
    log = root / LOG
    if isinstance(log, RemotePath):
        return tuple((path.key, state.st_size, state.e_tag or state.st_mtime) for path, state in log.objects())
    try:
        with os.scandir(log) as entries:
            states = sorted((entry.name, entry.stat()) for entry in entries)
    except OSError:
        return ()
    return tuple((name, state.st_size, (state.st_mtime_ns, state.st_ino)) for name, state in states)


def shared_dicts(recorded: pa.Table, kind: str) -> list[dict[str, Any]]:
    """Return a dictionary for each row of the columns whose name begins with a kind; equal rows share one."""
    columns = {
        name.removeprefix(kind): recorded[name].to_pylist()
        for name in recorded.column_names
        if name.startswith(kind) and (kind == "partition." or recorded[name].null_count < recorded.num_rows)
    }
    if not columns:
        return [{}] * recorded.num_rows
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    rows = []
    for values in zip(*columns.values(), strict=True):
        if values not in found:
            found[values] = dict(zip(columns, values, strict=True))
        rows.append(found[values])
    return rows
