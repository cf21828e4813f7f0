"""The entries of a table's log, where what delta-rs says of the table is not enough."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final, Self

from matlake.errors import REPAIR, LakeError
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import RemotePath

LOG: Final = "_delta_log"
LAST_CHECKPOINT: Final = "_last_checkpoint"

_COMMIT: Final = "matlake.commit"


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
        text: Of this commit alone.
    """

    text: str

    @classmethod
    def new(cls) -> Self:
        """Return one for a commit that is about to be made."""
        return cls(uuid.uuid4().hex)

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
        version, mark = before + 1, self.text.encode()
        while True:
            try:
                if mark in (root / LOG / entry_name(version)).read_bytes():
                    return True
            except FileNotFoundError:
                return False
            version += 1
