"""A lake: the folder that holds datasets, embeddings, failures, encoders and heads."""

import hashlib
import io
import json
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

_LOG: Final = "_delta_log"
_RESTORE: Final = f'restore it: a lake of this version has {{"format_version": {FORMAT_VERSION}}} there'

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
        self.check_dataset(name)
        table = delta.read_rows(self.dataset(name))
        table = table.filter(pc.is_null(table["import_error"])).sort_by("source_row").combine_chunks()
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return hashlib.sha256(sink.getbuffer()).hexdigest(), table

    def connect(self) -> "duckdb.DuckDBPyConnection":
        """Return a sandboxed DuckDB connection with the views of the lake."""
        from matlake.store.sql import connect

        return connect(self)

    def query(self, statement: str) -> pa.Table:
        """Run a read-only SQL statement.

        Raises:
            QueryError: The statement is wrong, not a query, or reaches outside the lake.
        """
        from matlake.store.sql import query

        return query(self, statement)


def open_lake(path: Path, *, create: bool = False) -> Lake:
    """Open a lake.

    Args:
        path: Its folder.
        create: Make a new lake where there is none.

    Raises:
        LakeError: There is no lake, or its format is newer than this version reads.
    """
    lake, marker = Lake(path), path / MARKER
    if not marker.exists():
        if not create:
            raise LakeError(
                f"there is no lake at {path}",
                Hint(
                    "open_lake(path, create=True) makes one",
                    cli="`matlake import` makes one; --lake names another place",
                ),
            )
        _create(lake)
    _check_format(marker)
    return lake


def _check_format(marker: Path) -> None:
    try:
        version = json.loads(marker.read_bytes())["format_version"]
    except OSError as error:
        raise LakeError(f"cannot read {marker}: {error.strerror}", "check the permissions and the disk") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LakeError(f"{marker} does not say which format the lake has", _RESTORE) from error
    if type(version) is not int or version < 1:
        raise LakeError(f"{marker} has the format version {json.dumps(version)[:50]}, which is not one", _RESTORE)
    if version > FORMAT_VERSION:
        raise LakeError(
            f"the lake at {marker.parent} has format {version}, newer than {FORMAT_VERSION}", "update matlake"
        )


def _create(lake: Lake) -> None:
    """Make the tables, then the marker: a lake with a marker is complete.

    Each step finds what an earlier try has left, so that a killed one can be taken up wherever it stopped.

    Raises:
        LakeError: The folder holds something else, or cannot be written to.
    """
    try:
        lake.path.mkdir(parents=True, exist_ok=True)
        if not _is_begun(lake) and not (lake.path / MARKER).exists():  # another process may have made it by now
            raise LakeError(f"{lake.path} holds other files and no lake", "name a new or an empty folder")
        for folder in (lake.datasets, lake.embeddings, lake.failures, lake.encoders, lake.heads):
            folder.mkdir(exist_ok=True)
        delta.create_table(lake.embeddings, EMBEDDINGS_SCHEMA, ["encoder", "encoder_sha256", "layer"])
        delta.create_table(lake.failures, FAILURES_SCHEMA, ["encoder", "encoder_sha256"])
        write_whole(lake.path / MARKER, json.dumps({"format_version": FORMAT_VERSION}).encode())
    except OSError as error:
        raise LakeError(f"cannot make a lake at {lake.path}: {error.strerror or error}") from error
    for part in lake.path.glob(f".{MARKER}.*.part"):  # of a try that was killed
        part.unlink(missing_ok=True)


def _is_begun(lake: Lake) -> bool:
    """Say whether a folder holds nothing but a lake without its marker, whose making has stopped anywhere.

    That is also a lake whose marker was lost. A stranger's folder is never taken for one: what has our names must hold
    nothing, or the log of a table.
    """
    tables = {lake.embeddings, lake.failures}
    complete = all((table / _LOG).is_dir() for table in tables)
    known = {lake.datasets, lake.encoders, lake.heads, *tables}
    if complete:
        known |= {lake.evaluations, lake.extrapolations, lake.unfinished, lake.plots, lake.structures}
    for entry in lake.path.iterdir():
        if entry.name.startswith(f".{MARKER}."):
            continue
        if entry not in known or not entry.is_dir():
            return False
        inside = set(entry.iterdir())
        if inside and not complete and not (entry in tables and inside == {entry / _LOG}):
            return False
    return True
