"""Snapshots of a lake's tables: the latest, or those of the lake's moment."""

from deltalake import DeltaTable

from matlake.store.folders import LakeFolders
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta, log_entries


def open_snapshot(lake: LakeFolders, root: LakePath) -> delta.Snapshot | None:
    """Return the snapshot of a table that a lake reads; None where there is no table, or was none.

    Raises:
        LakeError: It cannot be read.
    """
    if lake.moment is None:
        return delta.read_snapshot(root)
    found = lake.moment.versions.get(lake.place(root))
    return None if found is None else delta.read_snapshot_of(root, found.version)


def open_table_of(lake: LakeFolders, root: LakePath) -> DeltaTable | None:
    """Return the table of a snapshot, which knows its history; see ``open_snapshot``."""
    if lake.moment is None:
        return delta.open_table(root)
    found = lake.moment.versions.get(lake.place(root))
    return None if found is None else delta.open_table(root, found.version)


def snapshot_or_warn(lake: LakeFolders, root: LakePath) -> delta.Snapshot | None:
    """Return a snapshot, with a warning where the log is damaged; a moment was found by reading the logs."""
    return delta.snapshot_or_warn(root) if lake.moment is None else open_snapshot(lake, root)


def shared_snapshot_or_warn(lake: LakeFolders, root: LakePath) -> delta.Snapshot | None:
    """Do the same for a table that every lake has, and warn where it is missing."""
    return delta.shared_snapshot_or_warn(root) if lake.moment is None else open_snapshot(lake, root)


def has_table(lake: LakeFolders, root: LakePath) -> bool:
    """Say whether a lake has a table, which may be damaged, or had it at its moment."""
    return log_entries.has_table(root) if lake.moment is None else lake.place(root) in lake.moment.versions
