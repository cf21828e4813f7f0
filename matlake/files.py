"""Files that arrive whole, and stay."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from matlake.platforms import on_windows, rename, sync


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
            sync(file.fileno())
        rename(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def fsync_file(path: Path) -> None:
    """Make the content of a file that another wrote last through a power loss."""
    with path.open("r+b" if on_windows() else "rb") as file:  # Windows syncs what is open for writing alone
        sync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Make renames and new names in a folder last through a power loss.

    Windows cannot open a folder: there the journal of NTFS keeps names in order, and the last ones may be lost.
    """
    if on_windows():
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def is_there(path: str | Path) -> bool:
    """Tell whether there is a file or folder of a name; a text too long to be a name is not an error."""
    return os.path.exists(path)  # noqa: PTH110 - that of pathlib raises for it


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
