"""Places of a lake's files: local paths, or objects in a bucket."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote

from matlake import files, platforms
from matlake.errors import LakeError
from matlake.store.storage.remote_path import SCHEMES, RemotePath

LakePath: TypeAlias = Path | RemotePath
"""A file or folder of a lake."""

_FILE: Final = "file"
_ADDRESS: Final = re.compile(rf"({'|'.join((*SCHEMES, _FILE))}):/", re.IGNORECASE)
_BUCKET: Final = re.compile(r"\w[\w.-]*")
_THIS_MACHINE: Final = ("", "localhost")


def lake_path(text: str | Path | RemotePath) -> LakePath:
    """Return the place that a text names: a path, ``file://PATH``, or ``s3://BUCKET/PREFIX``, ``gs://…``, ``az://…``.

    Raises:
        LakeError: It is an address of another kind, names no bucket or nothing at all, or has a prefix that tables
            cannot have.
    """
    if isinstance(text, RemotePath):
        return text
    if isinstance(text, Path) or "://" not in text:
        if not str(text).strip() or _ADDRESS.match(str(text)):  # such as Path("s3://bucket")
            raise _no_place(str(text))
        return Path(text).expanduser()
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    first, slash, key = rest.partition("/")
    if scheme == _FILE and slash and first in _THIS_MACHINE:
        return Path(platforms.path_in_uri("", unquote(slash + key)))
    if scheme not in SCHEMES or not _BUCKET.fullmatch(first):
        raise _no_place(text)
    parts = [part for part in key.split("/") if part]
    if any(part in (".", "..") or "%" in part or not part.isprintable() for part in parts):
        raise LakeError(
            f"a lake cannot be at {text!r}", "leave '.', '..' and '%' out of the prefix, and write spaces as they are"
        )
    return RemotePath(f"{scheme}://{first}", "/".join(parts))


def _no_place(text: str) -> LakeError:
    known = ", ".join(f"{one}://BUCKET/PREFIX" for one in SCHEMES)
    return LakeError(f"a lake cannot be at {text!r}", f"give a folder, or an address such as {known}")


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
        platforms.rename(path, path.with_name(name))


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
