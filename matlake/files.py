"""Files that arrive whole, and stay."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Say in an OSError where it happened: writing to a file that is open, on a full disk, does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(place)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers and crashes see the old content or the new one, never a part."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write such that readers and crashes see the old content or the new one, never a part.

    The content is on disk before the name is: fsync of the file, rename, fsync of the folder. After an exception the
    old content stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with naming(path), part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def fsync_file(path: Path) -> None:
    """Make the content of a file that another wrote last through a power loss."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in a folder last through a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file or folder until it is closed.

    Args:
        descriptor: Of the file or folder.
        wait: Whether to wait until no other process has it.

    Returns:
        Whether this process may go on: not if another has the lock, but always on a file system without locks.
    """
    import fcntl  # which Windows has not: encoding needs no lock

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_there(path: str | Path) -> bool:
    """Tell whether there is a file or folder of a name; a text too long to be a name is not an error."""
    return os.path.exists(path)  # noqa: PTH110 - that of pathlib raises for it


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
