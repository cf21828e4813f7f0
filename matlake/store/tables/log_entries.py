"""The entries of a table's log, where what delta-rs says of the table is not enough."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from matlake.errors import REPAIR, LakeError
from matlake.files import fsync_file
from matlake.store.storage.places import LakePath, fsync_names
from matlake.store.storage.remote_path import RemotePath

if TYPE_CHECKING:
    from matlake.store.tables.writing import Part

LOG: Final = "_delta_log"
LAST_CHECKPOINT: Final = "_last_checkpoint"

EMPTY: Final = "is empty"
"""What is wrong with an entry whose content never reached the disk."""

CHANGED: Final = "names other parts than were added"
"""What is wrong with an entry in which a path, a size, a number of rows or a partition is another by now."""

_ACTIONS: Final = frozenset(
    {
        "add",
        "remove",
        "cdc",
        "metaData",
        "txn",
        "protocol",
        "commitInfo",
        "domainMetadata",
        "checkpointMetadata",
        "sidecar",
    }
)
"""Of Delta's protocol."""

_COMMIT: Final = "matlake.commit"


@cache
def _ending() -> tuple[str, ...]:
    """Return the last action of a commit, where delta-rs records transaction numbers: before 1.6 it leaves them out."""
    from importlib import metadata  # what only reads a lake does without these two

    from packaging.version import Version

    return ("txn",) if Version(metadata.version("deltalake")) >= Version("1.6") else ()


def problem_of(entry: bytes) -> str | None:
    """Say what is wrong with the content of an entry, or return None.

    The first action of our commits notes a digest of the parts that are added, and whether the last one is a
    transaction number. So an entry that was cut between two actions is found, and one in which a part was changed.
    """
    try:
        actions = [_action(line) for line in entry.splitlines()]
        if not actions:
            return EMPTY
        if any("path" not in one for kind, one in actions if kind in ("add", "remove")):
            return "names no part where it should"
        marked = dict(actions).get("commitInfo", {}).get(_COMMIT)
        if marked is None:
            return None
        _, digest, *ending = marked.split("-")
        if ending and actions[-1][0] not in ending:
            return "is cut short"
        added = [
            (one["path"], one["size"], one["stats"], one["partitionValues"]) for kind, one in actions if kind == "add"
        ]
        return None if digest == _digest(added) else CHANGED
    except (ValueError, TypeError, KeyError, AttributeError):
        return "cannot be read"


def paths_of(entry: bytes, kind: str) -> list[str]:
    """Return the parts that an entry adds (``add``) or removes (``remove``); none of a line that cannot be read."""
    paths = []
    for line in entry.splitlines():
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            action, content = _action(line)
            if action == kind:
                paths.append(content["path"])
    return paths


def _action(line: bytes) -> tuple[str, dict[str, Any]]:
    ((kind, content),) = json.loads(line).items()
    if kind not in _ACTIONS or not isinstance(content, dict):
        raise ValueError(f"{kind} is not an action")
    return kind, content


def _digest(added: "Iterable[tuple[str, int, str, dict[str, str]]]") -> str:
    return hashlib.sha256(json.dumps(sorted(added, key=itemgetter(0)), sort_keys=True).encode()).hexdigest()[:32]


def entry_name(version: int) -> str:
    """Return the file name of a version in the log."""
    return f"{version:020}.json"


def has_table(root: LakePath) -> bool:
    """Say whether a folder holds a table, which may be damaged.

    In a bucket, that is where the log has its first entry or a checkpoint: those are the last that a copy of a table
    puts there, and the first that a deletion removes.
    """
    log = root / LOG
    if isinstance(log, RemotePath):
        return (log / entry_name(0)).is_file() or (log / LAST_CHECKPOINT).is_file()
    return log.is_dir()


def clear_log(root: LakePath) -> None:
    """Remove from a bucket the log of what is not a table: a deletion or a copy that was stopped has left it."""
    if isinstance(root, RemotePath):
        for path in [path for path, _ in (root / LOG).objects()]:
            path.unlink(missing_ok=True)


def drop_lost_log(root: LakePath) -> None:
    """Remove the log of a table without any part whose only entry a power loss has emptied."""
    if isinstance(root, Path):
        entries = list((root / LOG).glob("*.json"))
        if len(entries) == 1 and problem_of(entries[0].read_bytes()) and not any(root.rglob("*.parquet")):
            shutil.rmtree(root / LOG)


def has_version(root: LakePath, version: int) -> bool:
    """Say whether the log of a table has an entry for a version."""
    return (root / LOG / entry_name(version)).is_file()


def read_entry(root: LakePath, version: int) -> list[dict[str, Any]]:
    """Return the actions of a version.

    Raises:
        LakeError: Its entry cannot be read.
    """
    path = root / LOG / entry_name(version)
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise LakeError(f"cannot read {path}: {error}", REPAIR) from error


@dataclass(frozen=True)
class CommitMark:
    """What a commit notes in the log to be known again by who made it.

    Attributes:
        text: Of this commit alone: a random number, a digest of the parts that it adds, and its last action if known.
    """

    text: str

    @classmethod
    def new(cls, parts: "Iterable[Part]") -> Self:
        """Return one for a commit that is about to add some parts."""
        added = [(part.path, part.size, part.statistics, part.partition) for part in parts]
        return cls("-".join([uuid.uuid4().hex, _digest(added), *_ending()]))

    @property
    def note(self) -> dict[str, str]:
        """The note."""
        return {_COMMIT: self.text}

    def is_recorded(self, root: LakePath, before: int) -> bool:
        """Say whether the commit is in the log of a table.

        Args:
            root: The table's folder.
            before: Version of the table that the commit followed; -1 where there was no table.

        Raises:
            OSError: The log cannot be read.
            StorageError: Likewise.
        """
        number, mark = before + 1, self.text.encode()
        while True:
            try:
                if mark in (root / LOG / entry_name(number)).read_bytes():
                    return True
            except FileNotFoundError:
                return False
            number += 1


def sync_log(root: LakePath) -> None:
    """Sync the newest log entry and the folders that lead to it: delta-rs leaves that to the operating system."""
    if isinstance(root, Path):
        log = root / LOG
        fsync_file(max(log.glob("*.json")))
        fsync_names(log, root.parent)
