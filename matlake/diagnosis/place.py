"""The place of the lake: room, what the file system can do, and whether the lake opens."""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

import pyarrow as pa

from matlake.diagnosis.bucket import check_bucket
from matlake.diagnosis.checks import Check, State, caught
from matlake.diagnosis.machine import GIB
from matlake.files import fsync_folder, write_whole
from matlake.store.folders import MARKER
from matlake.store.lake import open_lake
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta

_LEAST_ROOM: Final = GIB
_SLOW_FSYNC_S: Final = 0.1
_TRIES: Final = 5
_CLOCKS_APART_S: Final = 5.0

_OTHER_PLACE: Final = "keep the lake on a local file system"
_LONG_NAME: Final = 100 * "x"
_LONG_PATHS: Final = "switch long paths on in Windows (LongPathsEnabled), or keep the lake close to the root of a drive"
"""Paths of parts have up to 250 characters below the lake, and Windows takes 259 in all unless it is told otherwise."""


def check_place(path: LakePath) -> list[Check]:
    """Check the place of a lake, or where it would be made; what is written for that is removed."""
    found = _check_folder(path) if isinstance(path, Path) else check_bucket(path)
    if found and found[0].name == "bucket" and found[0].state is State.BROKEN:
        return found
    with caught(found, "lake", State.BROKEN, "restore the lake from a copy"):
        found.append(_lake(path))
    return found


def _check_folder(path: Path) -> list[Check]:
    found: list[Check] = []
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    with caught(found, "disk space", State.WARNING):
        found.append(_room(there))
    with caught(found, "file system", State.BROKEN, _OTHER_PLACE):
        if not os.access(there, os.W_OK):
            found.append(
                Check("file system", State.WARNING, f"{there} cannot be written to", "name a folder that is yours")
            )
        else:
            found += _file_system(there)
    return found


def _room(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free < _LEAST_ROOM:
        return Check("disk space", State.WARNING, text, "free space: a million embeddings take 0.5 GiB")
    return Check("disk space", State.OK, text)


def _file_system(folder: Path) -> list[Check]:
    """Do there what matlake relies on: files that stay, renames over others, commits that only one writer makes."""
    own = Path(tempfile.mkdtemp(prefix=".matlake-doctor-", dir=folder))
    try:
        started = time.monotonic()
        for _ in range(_TRIES):
            write_whole(own / "file", b"x")  # fsync, rename over the one before, fsync of the folder
        seconds = (time.monotonic() - started) / _TRIES
        found = [
            Check("fsync", State.OK, f"{1000 * seconds:.1f} ms a file")
            if seconds < _SLOW_FSYNC_S
            else Check("fsync", State.WARNING, f"{1000 * seconds:.0f} ms a file: writing is slow", _OTHER_PLACE)
        ]
        apart = (own / "file").stat().st_mtime - time.time()
        if abs(apart) > _CLOCKS_APART_S:
            found.append(Check("clock of the disk", State.NOTE, f"{apart:+.0f} s from this machine's"))
        (own / "link").hardlink_to(own / "file")
        try:
            (own / "link").hardlink_to(own / "file")
        except FileExistsError:
            pass
        else:
            return [*found, Check("file system", State.BROKEN, "two writers can make one commit", _OTHER_PLACE)]
        delta.create_table(own / "table", pa.schema([("x", pa.int64())]), [])
        fsync_folder(own)
        found.append(Check("file system", State.OK, f"takes a Delta table at {folder}"))
        with caught(found, "long paths", State.WARNING, _LONG_PATHS):
            deep = own.joinpath(*(_LONG_NAME for _ in range(3)))
            deep.mkdir(parents=True)
            (deep / "file").write_bytes(b"x")
    finally:
        shutil.rmtree(own, ignore_errors=True)
    return found


def _lake(path: LakePath) -> Check:
    if not (path / MARKER).exists():
        return Check("lake", State.NOTE, f"there is none at {path} yet")
    lake = open_lake(path)
    lake.connect().close()
    return Check("lake", State.OK, f"{path} opens; datasets: {len(lake.dataset_names())}")
