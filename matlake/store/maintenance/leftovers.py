"""Files that nobody reads: what kills, re-imports and compaction have left behind.

Versions of tables that a head was trained from are read by who asks what the head has learned: their files stay for as
long as the lake has the head.
"""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from matlake.encoders.card import CARD_FILE
from matlake.errors import LakeError
from matlake.locks import LOCKED, is_held
from matlake.platforms import on_windows
from matlake.store.as_of import kept_versions
from matlake.store.folders import DATASET_DELETED, HEADS_BEING_SAVED, HEADS_REPLACED, UNFINISHED_IMPORT, LakeFolders
from matlake.store.maintenance.bucket_leftovers import left_beside_cards
from matlake.store.maintenance.logs import unneeded_entries
from matlake.store.searching.stored_rows import SEARCH_FOLDER, segment_part, unused_segments
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta
from matlake.store.tables.bucket_tables import delete_below
from matlake.store.tables.log_entries import LOG, has_table

RETENTION_HOURS: Final = 24
"""Readers of older snapshots, and writers that have not committed, are taken to be done after this."""

_IMPORT_SECONDS: Final = 30 * 86_400
"""For so long an interrupted import can be taken up."""


@dataclass(frozen=True)
class Leftover:
    """A file, or a folder and all that is in it, that nobody reads.

    Attributes:
        path: Where it is.
        size: Bytes; 0 for a second name of a part that is read.
    """

    path: LakePath
    size: int

    def remove(self) -> None:
        """Remove it, unless another process has."""
        if isinstance(self.path, RemotePath):
            delete_below(self.path)
        elif self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            with suppress(*((PermissionError,) if on_windows() else ())):  # it is open: the next run removes it
                self.path.unlink(missing_ok=True)


def find_leftovers(lake: LakeFolders, retention_hours: int) -> list[Leftover]:
    """Return what nobody has read or written for a number of hours.

    A part that was replaced counts from then; one that no commit names, from when it was written.

    Raises:
        LakeError: The card of a head cannot be read: it is not known what that head needs.
    """
    before = time.time() - 3600 * retention_hours
    paths = [*_in_tables(lake, retention_hours, before, kept_versions(lake)), *_in_folders(lake, before)]
    return [Leftover(path, _size(path)) for path in dict.fromkeys(paths)]


def remove_leftovers(lake: LakeFolders, retention_hours: int) -> tuple[int, int]:
    """Remove them; return their number and size in bytes.

    Raises:
        LakeError: See ``find_leftovers``.
    """
    leftovers = find_leftovers(lake, retention_hours)
    for leftover in leftovers:
        leftover.remove()
    return len(leftovers), sum(leftover.size for leftover in leftovers)


def _in_tables(
    lake: LakeFolders, retention_hours: int, before: float, kept: Mapping[str, set[int]]
) -> Iterator[LakePath]:
    roots = [root for root in lake.datasets_folder.glob("*") if root.is_dir()]
    roots += lake.shared_tables
    for root in roots:
        if not root.is_dir():
            continue
        if root.name.startswith(DATASET_DELETED):  # a deletion that was stopped
            yield root
            continue
        files = [path for path in root.rglob("*") if path.is_file()]
        table = None if delta.snapshot_or_warn(root) is None else delta.open_table(root)
        if table is None and _has_log(root):
            continue  # its log is damaged: nobody knows what it names
        if table is None and files and all(_is_older(path, before) for path in files):
            yield root  # an import that was stopped
        if table is not None:
            versions = kept.get(lake.place(root), set())
            yield from _in_table(root, table, files, retention_hours, before, versions)


def _has_log(root: LakePath) -> bool:
    return has_table(root) if isinstance(root, RemotePath) else any((root / LOG).glob("*.json"))


def _in_table(
    root: LakePath, table: DeltaTable, files: list[LakePath], retention_hours: int, before: float, kept: set[int]
) -> Iterator[LakePath]:
    live = {part.path.name for part in delta.live_parts(table)}
    live |= {file.name for version in kept for file in _files_of(root, version)}
    unneeded = unneeded_entries((path for path in files if path.parent.name == LOG), kept)
    replaced, expired = (_replaced(table, hours) for hours in (0, retention_hours))
    for path in files:
        if path.parent.name == LOG:
            if path.name in unneeded:
                yield path
            unused = path.name.endswith(".tmp") or "#" in path.name
        elif path.suffix == ".parquet" and not path.name.startswith("."):
            if path.name in live:
                continue
            if path.name in replaced:
                if path.name in expired:
                    yield path
                continue
            unused = True
        else:
            unused = path.name.startswith(".") and path.suffix == ".tmp"
        if unused and _is_older(path, before):
            yield path


def _files_of(root: LakePath, version: int) -> list[LakePath]:
    """Return the files of a version of a table; none where the log does not go back to it."""
    try:
        table = delta.open_table(root, version)
    except LakeError:
        return []
    return [] if table is None else delta.live_files(table)


def _replaced(table: DeltaTable, retention_hours: int) -> set[str]:
    """Return the names of parts that were taken out of a table longer ago than a number of hours."""
    names = table.vacuum(retention_hours=retention_hours, dry_run=True, enforce_retention_duration=False)
    return {Path(name).name for name in names}


def _in_folders(lake: LakeFolders, before: float) -> Iterator[LakePath]:
    """Yield what writers of encoders, heads and other small files have left, and imports that nobody takes up."""
    imports = lake.unfinished.glob(f"{UNFINISHED_IMPORT}*")
    yield from (folder for folder in imports if _is_older(folder, time.time() - _IMPORT_SECONDS))
    yield from (folder for folder in lake.unfinished.glob(f".{UNFINISHED_IMPORT}*") if _is_older(folder, before))
    yield from (folder for folder in _unused_segments(lake) if _is_older(folder, before))
    yield from (path for path in lake.unfinished.glob(f".*{LOCKED}") if _is_older(path, before) and not is_held(path))
    heads, encoders = lake.heads_folder, lake.encoders_folder
    if isinstance(heads, RemotePath) and isinstance(encoders, RemotePath):
        yield from left_beside_cards(heads, encoders, before)
        return
    for root in (lake.path, lake.encoders_folder, lake.heads_folder):
        for depth in ("", "*/"):
            yield from (path for path in root.glob(f"{depth}.*.part") if path.is_file() and _is_older(path, before))
    locks = encoders.glob(f".*{LOCKED}") if isinstance(encoders, Path) else ()
    yield from (path for path in locks if _is_older(path, before) and not is_held(path))
    for folder in lake.encoders_folder.glob("*"):
        if folder.is_dir() and not (folder / CARD_FILE).exists() and _is_older(folder, before):
            yield folder
    yield from (folder for folder in (lake.heads_folder / HEADS_BEING_SAVED).glob("*") if _is_older(folder, before))
    for folder in (lake.heads_folder / HEADS_REPLACED).glob("*"):
        if (lake.heads_folder / folder.name).exists() and _is_older(folder, before):
            yield folder


def _unused_segments(lake: LakeFolders) -> Iterator[Path]:
    """Yield what searches have kept of parts that are no longer in the table, and what killed ones have left."""
    table = delta.snapshot_or_warn(lake.embeddings)
    live = {segment_part(part): part.rows for part in table.parts} if table is not None else {}
    yield from unused_segments(lake.unfinished / SEARCH_FOLDER, live)


def _is_older(path: LakePath, before: float) -> bool:
    try:
        return path.stat().st_mtime <= before
    except OSError:
        return False


def _size(path: LakePath) -> int:
    if isinstance(path, RemotePath):
        below = sum(status.st_size for _, status in path.objects()) if path.listed is None else 0
        return below + (path.stat().st_size if path.listed is not None else 0)
    files = path.rglob("*") if path.is_dir() else [path]
    try:
        stats = [file.stat() for file in files if file.is_file()]
    except OSError:
        return 0
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)
