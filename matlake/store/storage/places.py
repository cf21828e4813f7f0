"""Places of a lake's files: local paths, or objects in a bucket."""

from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from matlake import files
from matlake.errors import LakeError
from matlake.store.storage.remote_path import SCHEMES, RemotePath

LakePath: TypeAlias = Path | RemotePath
"""A file or folder of a lake."""

_FILE: Final = "file"


def lake_path(text: str | Path | RemotePath) -> LakePath:
    """Return the place that a text names: a path, ``file://PATH``, or ``s3://BUCKET/PREFIX``, ``gs://…``, ``az://…``.

    Raises:
        LakeError: It is an address of another kind, or names no bucket.
    """
    if isinstance(text, RemotePath):
        return text
    if isinstance(text, Path):
        return text.expanduser()
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text).expanduser()
    if scheme == _FILE:
        return Path(unquote(urlsplit(text).path))
    bucket, _, key = rest.partition("/")
    if scheme not in SCHEMES or not bucket:
        known = ", ".join(f"{one}://BUCKET/PREFIX" for one in SCHEMES)
        raise LakeError(f"a lake cannot be at {text!r}", f"give a folder, or an address such as {known}")
    return RemotePath(f"{scheme}://{bucket}", "/".join(filter(None, key.split("/"))))


def write_whole(path: LakePath, content: bytes) -> None:
    """Write a file so that readers and crashes see the old content or the new one, never a part."""
    if isinstance(path, RemotePath):
        path.write_bytes(content)
    else:
        files.write_whole(path, content)


def rename(path: LakePath, name: str) -> None:
    """Give a file another name in its folder."""
    if isinstance(path, RemotePath):
        path.rename(path.with_name(name))
    else:
        path.rename(path.with_name(name))


def fsync_folder(folder: LakePath) -> None:
    """Make renames and new names in a folder last through a power loss; objects last as soon as they are put."""
    if isinstance(folder, Path):
        files.fsync_folder(folder)


def fsync_names(folder: LakePath, root: LakePath) -> None:
    """Make new names in a folder last through a power loss, and its own name in the folders from it up to another.

    A writer that was killed may have made a folder without syncing its name, so all are synced each time; for a folder
    with nothing new that costs microseconds.
    """
    if isinstance(folder, Path) and isinstance(root, Path):
        files.fsync_folder(folder)
        while folder not in (root, folder.parent):
            folder = folder.parent
            files.fsync_folder(folder)


def make_folder(folder: LakePath) -> None:
    """Make a folder, and those that it is in, such that their names last through a power loss."""
    if isinstance(folder, Path):
        folder = folder.absolute()
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # a folder may let one make names in it, and not read it
            fsync_names(folder.parent, (missing or [folder])[-1].parent)
