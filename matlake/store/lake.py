"""A lake: the folder that holds datasets, embeddings, failures, encoders and heads."""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from matlake.encoders.card import CARD_FILE
from matlake.errors import Hint, LakeError
from matlake.locks import LOCKED
from matlake.store.folders import MARKER, UNFINISHED, LakeFolders
from matlake.store.storage.places import LakePath, lake_path, make_folder, write_whole
from matlake.store.tables.log_entries import LOG

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

    from matlake.store.datasets import DatasetDetails, DatasetSummary

FORMAT_VERSION: Final = 1
VERIFY: Final = "MATLAKE_VERIFY"

_NO_DELTA_PATH: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]|%[0-9A-Fa-f]{2}")
"""What delta-rs refuses, or takes for another character, in paths."""

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
        from matlake.store.damage import read_what_is_sound
        from matlake.store.tables import delta

        self.check_dataset(name)
        found = None if self.moment is None else self.moment.of_dataset(name)
        version = None if found is None else found.version
        table = read_what_is_sound(
            self, lambda: delta.read_rows(self.dataset(name), verify=self.verify, version=version)
        )
        table = table.filter(table["import_error"].is_null()).sort_by("source_row").combine_chunks()
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return hashlib.sha256(sink.getbuffer()).hexdigest(), table

    def connect(self) -> "duckdb.DuckDBPyConnection":
        """Return a DuckDB connection with the views of the lake, for your own SQL.

        It opens no files but the lake's, and does not check statements: COPY can overwrite the lake's tables. Run the
        SQL of others with ``query``.
        """
        from matlake.store.damage import read_what_is_sound
        from matlake.store.sql import connect

        self.check_there()
        return read_what_is_sound(self, lambda: connect(self))

    def query(
        self,
        statement: str,
        parameters: Sequence[Any] = (),
        *,
        memory_limit: str | None = None,
        max_seconds: float | None = None,
    ) -> pa.Table:
        """Run a read-only SQL statement.

        Args:
            statement: One query, or EXPLAIN of one.
            parameters: Values of its ``$1``, ``$2``, ….
            memory_limit: Memory that the query may take, such as ``2GB``; by default a quarter of what there is.
            max_seconds: Stop the query with an error after so many seconds; never by default.

        Raises:
            QueryError: The statement is wrong, is not a pure read, reaches outside the lake, or exceeds a limit.
        """
        from matlake.store.damage import read_what_is_sound
        from matlake.store.sql import query

        self.check_there()
        return read_what_is_sound(
            self, lambda: query(self, statement, parameters, memory_limit=memory_limit, max_seconds=max_seconds)
        )

    def list_datasets(self) -> "list[DatasetSummary]":
        """Return all datasets, in order of name: materials, failures, properties, when and from where imported."""
        from matlake.store.datasets import list_datasets

        return list_datasets(self)

    def show_dataset(self, name: str) -> "DatasetDetails":
        """Return a dataset with its property columns: type, unit, missing values, smallest and largest value.

        Raises:
            LakeError: There is no such dataset.
        """
        from matlake.store.datasets import show_dataset

        return show_dataset(self, name)

    def delete_dataset(self, name: str) -> None:
        """Delete a dataset. Embeddings belong to contents and stay, as do heads.

        Raises:
            LakeError: There is no such dataset.
        """
        from matlake.store.datasets import delete_dataset

        delete_dataset(self, name)

    def rename_dataset(self, name: str, new_name: str) -> None:
        """Rename a dataset, in one step. Ids that were made from its former name stay as they are.

        Raises:
            LakeError: There is no such dataset, or the new name is taken or cannot be a dataset's.
        """
        from matlake.store.datasets import rename_dataset

        rename_dataset(self, name, new_name)

    def export_dataset(self, name: str, path: str | Path, *, structures: bool = False) -> int:
        """Write the materials of a dataset to a table; memory use does not grow with it.

        Args:
            name: Name of the dataset.
            path: The file, which ends in .csv, .tsv, .json, .jsonl, .parquet or .arrow.
            structures: Add the crystals, as text in the column ``poscar``, which an import reads.

        Returns:
            The number of materials.

        Raises:
            LakeError: There is no such dataset, it has no structures, or the file would be in the lake.
            SourceError: The ending is not known.
        """
        from matlake.store.datasets import export_dataset

        return export_dataset(self, name, Path(path), structures=structures)


def open_lake(
    path: str | LakePath, *, create: bool = False, verify: bool | None = None, as_of: "str | datetime | None" = None
) -> Lake:
    """Open a lake.

    Args:
        path: Its folder, or an address such as ``s3://BUCKET/PREFIX``.
        create: Make a new lake where there is none.
        verify: Compare every part with its digest before it is read; one that differs is left out, with a warning. By
            default whether the environment variable ``MATLAKE_VERIFY`` is set.
        as_of: Read the lake as it was: at a time (ISO 8601, in UTC unless it names another zone), at the training of a
            head (``head:NAME``), or with versions of datasets (``NAME=VERSION,…``). Such a lake is not written to,
            apart from heads.

    Raises:
        LakeError: There is no lake, its format is newer than this version reads, or its path has characters that
            Delta tables cannot have in theirs; or it has no such moment.
    """
    path = lake_path(path)
    if isinstance(path, Path):
        _check_path(path)
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
        _create(lake)
    _check_format(marker)
    if as_of is None:
        return lake
    from matlake.store.as_of import find_moment

    return replace(lake, moment=find_moment(lake, as_of))


def _check_path(path: Path) -> None:
    found = _NO_DELTA_PATH.search(path.absolute().as_posix())
    if found is not None:
        raise LakeError(
            f"a lake cannot be at {str(path)!r}: Delta tables do not work in a folder with {found.group()!r}",
            "choose a path without backslashes, control characters, and % before two hexadecimal digits",
        )


def make_tables(lake: LakeFolders) -> None:
    """Create the tables that all datasets share, where there are none.

    Raises:
        LakeError: They cannot be created.
    """
    from matlake.store.tables import delta  # heads need no tables

    delta.create_table(lake.embeddings, EMBEDDINGS_SCHEMA, ["encoder", "encoder_sha256", "layer"])
    delta.create_table(lake.failures_table, FAILURES_SCHEMA, ["encoder", "encoder_sha256"])


def _check_format(marker: LakePath) -> None:
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
        make_folder(lake.path)
        if not _is_begun(lake) and not (lake.path / MARKER).exists():  # another process may have made it by now
            raise LakeError(f"{lake.path} holds other files and no lake", "name a new or an empty folder")
        for folder in (
            lake.datasets_folder,
            lake.embeddings,
            lake.failures_table,
            lake.encoders_folder,
            lake.heads_folder,
        ):
            folder.mkdir(exist_ok=True)
        make_tables(lake)
        write_whole(lake.path / MARKER, json.dumps({"format_version": FORMAT_VERSION}).encode())
    except OSError as error:
        raise LakeError(f"cannot make a lake at {lake.path}: {error.strerror or error}") from error
    for part in lake.path.glob(f".{MARKER}.*.part"):  # of a try that was killed
        part.unlink(missing_ok=True)


def _is_begun(lake: Lake) -> bool:
    """Say whether a folder holds nothing but a lake without its marker, whose making has stopped anywhere.

    That is also a lake whose marker was lost, and a folder that so far has only received exported encoders. A
    stranger's folder is never taken for one: what has our names must hold nothing, the log of a table, or encoders.
    """
    tables = {lake.embeddings, lake.failures_table}
    complete = all((table / LOG).is_dir() for table in tables)
    known = {lake.datasets_folder, lake.encoders_folder, lake.heads_folder, *tables}
    if complete:
        known |= {*lake.shared_tables, lake.path / UNFINISHED, lake.plots, lake.structures}
    entries: Iterable[LakePath] = lake.path.iterdir()
    for entry in entries:
        if entry.name.startswith(f".{MARKER}."):
            continue
        if entry not in known or not entry.is_dir():
            return False
        inside: set[LakePath] = set(entry.iterdir())
        is_log = entry in tables and inside == {entry / LOG}
        are_encoders = entry == lake.encoders_folder and all(
            (one / CARD_FILE).is_file() or one.name.endswith(LOCKED) for one in inside
        )
        if inside and not (complete or is_log or are_encoders):
            return False
    return True
