"""Whole tables in a bucket: deleted and copied object by object, such that readers find all of a table or none.

A store renames nothing. A table is there from when its log has its first entry or names a checkpoint, so those are the
last that a copy puts and the first that a deletion removes. What a killed deletion or copy leaves is not a table;
``compact`` removes it.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables.log_entries import LAST_CHECKPOINT, LOG, clear_log, entry_name, has_table

_REQUESTS: Final = 16
"""Requests under way at once: each takes some 50 ms, most of which is waiting."""


def tables_below(folder: RemotePath) -> list[str]:
    """Return the names of the tables directly below a folder, in order."""
    folders = list(folder.iterdir())
    return [found.name for found, is_table in zip(folders, _at_once(has_table, folders), strict=True) if is_table]


def delete_table(root: RemotePath) -> None:
    """Delete a table, and what may be left of one.

    Raises:
        StorageError: The store refuses it; what is left is a whole table or none.
    """
    for name in _decisive(root):
        name.unlink(missing_ok=True)
    clear_log(root)
    delete_below(root)


def delete_below(root: RemotePath) -> None:
    """Delete the object of a key, or all objects below it."""
    paths = [root] if root.listed is not None else [path for path, _ in root.objects()]
    _at_once(lambda path: path.unlink(missing_ok=True), paths)


def copy_table(root: RemotePath, target: RemotePath) -> None:
    """Copy a table to where there is none, within the store.

    Raises:
        StorageError: The store refuses it; there is then no table at the target.
    """
    clear_log(target)
    last = [path for path in _decisive(root) if path.is_file()]
    others = [path for path, _ in root.objects() if path not in last]
    _at_once(lambda path: path.copy_to(_moved(path, root, target)), others)
    for path in reversed(last):  # a checkpoint is named when all that it needs is there
        path.copy_to(_moved(path, root, target))


def move_table(root: RemotePath, target: RemotePath) -> None:
    """Copy a table, then delete it: a kill in between leaves it in both places.

    Raises:
        StorageError: The store refuses it.
    """
    copy_table(root, target)
    delete_table(root)


def _decisive(root: RemotePath) -> list[RemotePath]:
    """Return the objects that make a table one; the one that names a checkpoint comes first."""
    return [root / LOG / LAST_CHECKPOINT, root / LOG / entry_name(0)]


def _moved(path: RemotePath, root: RemotePath, target: RemotePath) -> RemotePath:
    return target.joinpath(*path.relative_to(root).parts)


def _at_once(ask: Callable[[RemotePath], object], paths: Iterable[RemotePath]) -> list[object]:
    """Ask about many objects at once, and return the answers in order."""
    with ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(ask, paths))
