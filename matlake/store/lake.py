"""A lake: the folder that holds datasets, embeddings, failures, encoders and heads."""

import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import Hint, LakeError
from matlake.files import write_whole
from matlake.store import delta
from matlake.store.folders import LakeFolders

if TYPE_CHECKING:
    import duckdb

FORMAT_VERSION: Final = 1
MARKER: Final = "lake.json"
VERIFY: Final = "MATLAKE_VERIFY"

EMBEDDINGS_SCHEMA: Final = pa.schema(
    [
        ("encoder", pa.string()),
        ("encoder_sha256", pa.string()),
        ("layer", pa.string()),
        ("content_hash", pa.string()),
        ("vector", pa.list_(pa.float32())),
    ]
)
FAILURES_SCHEMA: Final = pa.schema(
    [
        ("encoder", pa.string()),
        ("encoder_sha256", pa.string()),
        ("content_hash", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True)
class Lake(LakeFolders):
    """An opened lake."""

    def read_dataset(self, name: str) -> tuple[str, pa.Table]:
        """Return the materials of a dataset, in the order of its source, and a digest of them.

        Returns:
            A sha256, hexadecimal, and all columns of the rows that are materials.

        Raises:
            LakeError: There is no such dataset.
        """
        from matlake.store.damage import read_what_is_sound

        self.check_dataset(name)
        table = read_what_is_sound(self, lambda: delta.read_rows(self.dataset(name), verify=self.verify))
        table = table.filter(pc.is_null(table["import_error"])).sort_by("source_row").combine_chunks()
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return hashlib.sha256(sink.getbuffer()).hexdigest(), table

    def connect(self) -> "duckdb.DuckDBPyConnection":
        """Return a sandboxed DuckDB connection with the views of the lake."""
        from matlake.store.damage import read_what_is_sound
        from matlake.store.sql import connect

        return read_what_is_sound(self, lambda: connect(self))

    def query(self, statement: str) -> pa.Table:
        """Run a read-only SQL statement.

        Raises:
            QueryError: The statement is wrong, not a query, or reaches outside the lake.
        """
        from matlake.store.damage import read_what_is_sound
        from matlake.store.sql import query

        return read_what_is_sound(self, lambda: query(self, statement))


def open_lake(path: Path, *, create: bool = False, verify: bool | None = None) -> Lake:
    """Open a lake.

    Args:
        path: Its folder.
        create: Make a new lake where there is none.
        verify: Compare every part with its digest before it is read; one that differs is left out, with a warning. By
            default whether the environment variable ``MATLAKE_VERIFY`` is set.

    Raises:
        LakeError: There is no lake, or its format is newer than this version reads.
    """
    lake, marker = Lake(path, bool(os.environ.get(VERIFY)) if verify is None else verify), path / MARKER
    if not marker.exists():
        if not create:
            raise LakeError(
                f"there is no lake at {path}",
                Hint(
                    "open_lake(path, create=True) makes one",
                    cli="`matlake import` makes one; --lake names another place",
                ),
            )
        if path.is_dir() and any(path.iterdir()) and not lake.embeddings.is_dir():
            raise LakeError(f"{path} holds other files and is no lake", "name a new or an empty folder")
        _create(lake)
    try:
        version = json.loads(marker.read_bytes())["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        marked = f'write {{"format_version": {FORMAT_VERSION}}} into it if the folder beside it holds a lake'
        raise LakeError(f"{marker} is not the marker of a lake", marked) from error
    if version > FORMAT_VERSION:
        raise LakeError(f"the lake at {path} has format {version}, newer than {FORMAT_VERSION}", "update matlake")
    return lake


def make_tables(lake: LakeFolders) -> None:
    """Create the tables that all datasets share, where there are none.

    Raises:
        LakeError: They cannot be created.
    """
    delta.create_table(lake.embeddings, EMBEDDINGS_SCHEMA, ["encoder", "encoder_sha256", "layer"])
    delta.create_table(lake.failures, FAILURES_SCHEMA, ["encoder", "encoder_sha256"])


def _create(lake: Lake) -> None:
    """Make the tables, then the marker: a lake with a marker is complete."""
    try:
        for folder in (lake.datasets, lake.embeddings, lake.failures, lake.encoders, lake.heads):
            folder.mkdir(parents=True, exist_ok=True)
        make_tables(lake)
        write_whole(lake.path / MARKER, json.dumps({"format_version": FORMAT_VERSION}).encode())
    except OSError as error:
        raise LakeError(f"cannot make a lake at {lake.path}: {error}") from error
