"""Local copies of what is in a bucket and has to be files: encoders and heads.

A copy belongs to one state of its folder: the names, sizes and e-tags of its objects. What is replaced in the bucket
has another copy, so none is ever out of date, and any number of processes can share them. Files are fetched when they
are first wanted, and compared with the digest of what was fetched whenever they are used.
"""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from matlake.errors import StorageError
from matlake.files import sha256_of
from matlake.platforms import is_portable, rename
from matlake.store.storage.places import LakePath
from matlake.store.storage.remote_path import ObjectStatus, RemotePath, asking, open_store

CACHE: Final = "MATLAKE_CACHE"
"""Environment variable: the folder of local copies."""

_NAME_ONE: Final = f"set {CACHE} to a folder that can be written to"
_TRIES: Final = 5
_REQUESTS: Final = 8
_KEPT_SECONDS: Final = 86_400
"""A copy of a former state is kept for so long after its last use, for processes that still read it."""

_HEX: Final = 16


def cache_folder() -> Path:
    """Return the folder of local copies, whether it is there or not.

    Raises:
        StorageError: None is named, and this user has no home.
    """
    named = os.environ.get(CACHE)
    try:
        return Path(named).absolute() if named else Path.home() / ".cache" / "matlake"
    except RuntimeError as error:
        raise StorageError(f"there is no folder for copies of encoders and heads: {error}", _NAME_ONE) from error


def local_folder(place: LakePath) -> Path:
    """Return where a command may keep files of its own that belong to a place of a lake: there, or in the cache."""
    return place if isinstance(place, Path) else _cached(place)


def local_copy(folder: LakePath, card: str, wanted: Collection[str] | None = None) -> Path | None:
    """Return a local folder with the files of a folder of a lake: itself, or a copy of what is in the bucket.

    Args:
        folder: The folder.
        card: Name of the file without which the folder counts as not there.
        wanted: Names of the files to fetch, however deep they are; all by default.

    Returns:
        None where there is no such folder.

    Raises:
        StorageError: The bucket cannot be read, the cache cannot be written, or the folder changes all the time.
    """
    if isinstance(folder, Path):
        return folder if (folder / card).exists() else None
    for _ in range(_TRIES):
        objects = _objects(folder)
        if card not in objects:
            return None
        with suppress(_ChangedError):
            return _fetched(folder, objects, wanted)
    raise _busy(folder)


def local_copies(root: LakePath, card: str, wanted: Collection[str], inside: Iterable[str] = ("",)) -> dict[str, Path]:
    """Return a local folder for each folder directly below a root that has a card, by name; see ``local_copy``.

    Args:
        root: The root.
        card: Name of the file without which a folder counts as not there.
        wanted: Names of the files to fetch.
        inside: Where to look below the root: there itself, or in the folders named. The first one with a name counts.

    Raises:
        StorageError: The bucket cannot be read, the cache cannot be written, or a folder changes all the time.
    """
    if isinstance(root, Path):
        found = (one.parent for place in inside for one in sorted((root / place).glob(f"*/{card}")))
        return {folder.name: folder for folder in reversed(list(found))}
    for _ in range(_TRIES):
        with suppress(_ChangedError):
            return _all_fetched(root, card, wanted, inside)
    raise _busy(root)


def _all_fetched(root: RemotePath, card: str, wanted: Collection[str], inside: Iterable[str]) -> dict[str, Path]:
    objects = _objects(root)
    found: dict[str, Path] = {}
    for place in inside:
        folders: dict[str, dict[str, ObjectStatus]] = {}
        for path, status in objects.items():
            parts = PurePosixPath(path).parts
            if place and parts[0] == place:
                parts = parts[1:]
            elif place:
                continue
            if len(parts) > 1:
                folders.setdefault(parts[0], {})["/".join(parts[1:])] = status
        for name, own in folders.items():
            if card in own and name not in found:
                found[name] = _fetched((root / place if place else root) / name, own, wanted)
    return found


class _ChangedError(Exception):
    """The objects are others than those that were listed a moment ago."""


def _busy(folder: RemotePath) -> StorageError:
    return StorageError(f"{folder} changes whenever it is read", "run the same command again")


def _objects(folder: RemotePath) -> dict[str, ObjectStatus]:
    """Return the objects below a folder by their paths below it; names that would lead out of a folder are left out."""
    found = ((path.key[len(folder.key) :].lstrip("/"), status) for path, status in folder.objects())
    return {path: status for path, status in found if not {"", ".", ".."}.intersection(path.split("/"))}


def _fetched(folder: RemotePath, objects: Mapping[str, ObjectStatus], wanted: Collection[str] | None) -> Path:
    """Return the copy of a state of a folder, after fetching what it lacks.

    Raises:
        _ChangedError: An object is another one by now.
    """
    state = "\n".join(
        f"{path}\t{status.st_size}\t{status.e_tag or status.st_mtime}" for path, status in sorted(objects.items())
    )
    copy = _cached(folder) / hashlib.sha256(state.encode()).hexdigest()[:_HEX]
    names = [path for path in objects if wanted is None or PurePosixPath(path).name in wanted]
    lacking = [path for path in names if not _is_sound(copy, path, objects[path])]
    if lacking:
        with ThreadPoolExecutor(min(_REQUESTS, len(lacking))) as threads:
            list(threads.map(partial(_fetch, folder, copy, objects), lacking))
        _forget_former(copy)
    with suppress(OSError):
        os.utime(copy)  # it is in use, see ``_forget_former``
    return copy


def _cached(place: RemotePath) -> Path:
    """Return the folder of the cache that belongs to a place of a lake."""
    above = place.parent
    digest = hashlib.sha256(str(above).encode()).hexdigest()[:_HEX]
    name = above.name if above.name and is_portable(above.name) else "bucket"
    return cache_folder() / f"{name}-{digest}" / place.name


def _digest_file(copy: Path, path: str) -> Path:
    return copy.with_name(f"{copy.name}.sha256") / path


def _is_sound(copy: Path, path: str, status: ObjectStatus) -> bool:
    """Say whether a file is there as it was fetched."""
    try:
        if (copy / path).stat().st_size != status.st_size:
            return False
        return sha256_of(copy / path) == _digest_file(copy, path).read_text("ascii")
    except (OSError, ValueError):
        return False


def _fetch(folder: RemotePath, copy: Path, objects: Mapping[str, ObjectStatus], path: str) -> None:
    import obstore

    remote = folder.joinpath(*path.split("/"))
    try:
        with asking(remote):
            answer = obstore.get(open_store(remote.bucket), remote.key)
            content = bytes(answer.bytes())
    except FileNotFoundError as error:
        raise _ChangedError from error
    listed = objects[path]
    if (answer.meta["e_tag"] or "").strip('"') != (listed.e_tag or "").strip('"') or len(content) != listed.st_size:
        raise _ChangedError
    _put(_digest_file(copy, path), hashlib.sha256(content).hexdigest().encode())
    _put(copy / path, content)


def _put(path: Path, content: bytes) -> None:
    """Write a file that other threads and processes may be writing, too: all of them write the same."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            rename(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot keep a copy at {path}: {error.strerror}", f"{_NAME_ONE}, with room") from error


def _forget_former(copy: Path) -> None:
    """Remove copies of former states that nobody can be reading any more."""
    before = time.time() - _KEPT_SECONDS
    for other in copy.parent.iterdir():
        if other.name.partition(".")[0] != copy.name:
            with suppress(OSError):
                if other.stat().st_mtime < before:
                    shutil.rmtree(other, ignore_errors=True)
