"""Files that one process holds at a time, to keep others from doing what it does."""

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from matlake.platforms import PATIENCE_S, lock, on_windows

LOCKED: Final = ".lock"
"""What the names of such files end with."""

_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_PAUSE_S: Final = 0.05
_NO_PLACE: Final = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT})


class FileLock:
    """A file that this process holds until it releases it, or ends, however it ends.

    The file goes with the lock; one that a killed process has left is taken like any other. Where no file can be made,
    as in a folder that is read-only or on a full disk, others cannot write either, and the lock is held without one:
    what frees space must go on.
    """

    def __init__(self, path: Path, descriptor: int | None) -> None:
        """Keep an open file that is locked; ``take`` does that."""
        self._path, self._descriptor = path, descriptor

    @classmethod
    def take(cls, path: Path, *, wait: bool) -> Self | None:
        """Take a lock.

        Args:
            path: The file; its folder is there.
            wait: Whether to wait while another process has it.

        Returns:
            None where another process has it.

        Raises:
            OSError: The folder is not there, or cannot be read.
        """
        while True:
            descriptor = _opened(path)
            if descriptor is None:
                return cls(path, None)
            try:
                is_ours = lock(descriptor, wait=wait)
                if is_ours and _is_still(path, descriptor):
                    return cls(path, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if not is_ours:
                return None

    def release(self) -> None:
        """Let others have it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if on_windows():  # it removes nothing that is open
            os.close(descriptor)
            _remove(self._path)
        else:  # once it is closed, it may be another's
            _remove(self._path)
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Hold it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release it."""
        self.release()


def is_held(path: Path) -> bool:
    """Say whether a process holds the lock of a file; one that is not there is held by none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_LINK)
    except OSError:
        return False
    try:
        return not lock(descriptor, wait=False)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int | None:
    """Open a file to lock it; None where none can be made."""
    until = time.monotonic() + PATIENCE_S if on_windows() else 0.0
    while True:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o666)
        except PermissionError:
            with suppress(OSError):
                return os.open(path, os.O_RDONLY | _NO_LINK)  # another user's
            if time.monotonic() >= until:
                return None
            time.sleep(_PAUSE_S)  # Windows says so of a file that is just being removed
        except OSError as error:
            if error.errno not in _NO_PLACE:
                raise
            return None


def _is_still(path: Path, descriptor: int) -> bool:
    """Say whether a file has kept its name: who had it locked removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    with suppress(OSError):  # another process has it open, or it is another user's
        path.unlink(missing_ok=True)
