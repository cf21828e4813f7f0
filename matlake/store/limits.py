"""How much memory and disk a query may take, and where it spills."""

import atexit
import os
import re
import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from matlake.errors import QueryError
from matlake.locks import LOCKED, FileLock
from matlake.platforms import is_own, machine_memory, usable_cores
from matlake.store.storage.places import LakePath

MEMORY_SHARE: Final = 4
"""A connection takes at most this fraction of the memory: a quarter."""

SPILL_SHARE: Final = 2
"""Spilled data take at most this fraction of what is free on the disk."""

_SMALLEST: Final = 64 << 20  # DuckDB needs some megabytes to plan and to read Parquet
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B?", re.IGNORECASE)
_PREFIX: Final = "matlake-spilled-"
"""Not that of earlier versions, whose processes hold their folders in another way: what is theirs is left alone."""
_YOUNG: Final = 60.0  # seconds: a folder may be younger than its lock


def parse_size(text: str) -> int:
    """Return a size in bytes: ``500 MB`` and ``2 GB`` are powers of ten, ``2 GiB`` is a power of two.

    Raises:
        QueryError: The text is not a size, or the size is too small to run a query in.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise QueryError(f"{text!r} is not a size of memory", "give a number and a unit, such as 500MB or 2GB")
    number, unit, binary = match.groups()
    size = int(float(number) * (1024 if binary else 1000) ** (1 + "KMGT".index(unit.upper())))
    if size < _SMALLEST:
        raise QueryError(f"a memory limit of {text} is too small", f"give at least {_SMALLEST >> 20} MiB")
    return size


def default_memory() -> int:
    """Return the memory, in bytes, that a connection may take: a quarter of what this process may use."""
    return max(_SMALLEST, available_memory() // MEMORY_SHARE)


def small_memory() -> int:
    """Return the memory, in bytes, of a connection that compares keys and spills the rest: 64 MiB for each thread.

    Each thread of DuckDB's has buffers of its own, without which it fails.
    """
    return max(2, usable_cores()) * _SMALLEST


@cache
def available_memory() -> int:
    """Return the memory of this machine, or of the container that the process runs in, in bytes."""
    return min([machine_memory(), *_container_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def _container_limits(membership: Path, mounted: Path) -> list[int]:
    """Return the limits of all control groups that hold this process, of either version."""
    found = []
    with suppress(OSError):
        for line in membership.read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, name = (mounted / "memory", "memory.limit_in_bytes") if controllers else (mounted, "memory.max")
            folder = root / group.lstrip("/")
            for place in (folder, *folder.parents):
                if place.is_relative_to(root):
                    with suppress(OSError, ValueError):  # "max" means no limit; a container may not see its own path
                        found.append(int((place / name).read_text("ascii")))
    return found


def spill_folder(lake: LakePath) -> Path | None:
    """Return a path of its own for what one connection spills, in the folder of this process.

    DuckDB makes the folder when something spills and removes it when the connection is closed.

    Args:
        lake: The lake's folder.

    Returns:
        None where nothing can be spilled: there is no folder for temporary files, or it is in the lake.
    """
    root = spill_root()
    if root is None or (isinstance(lake, Path) and root.resolve().is_relative_to(lake.resolve())):
        return None
    return root / uuid.uuid4().hex


def spill_limit() -> int:
    """Return how many bytes a connection may spill."""
    root = spill_root()
    return 0 if root is None else shutil.disk_usage(root).free // SPILL_SHARE


def spill_root() -> Path | None:
    """Return the folder that the connections of this process spill into; it goes when the process ends.

    Returns:
        None where none can be made, as on a full disk: queries that need no spilling still run.
    """
    root = _make_root(os.getpid())
    if root is not None and not root.is_dir():  # a server may outlive what systems keep in folders of temporary files
        _make_root.cache_clear()
        root = _make_root(os.getpid())
    return root


@cache
def _make_root(process: int) -> Path | None:
    """Make the folder, and remove those that killed processes have left.

    A folder is locked for as long as its process lives, so that others know; the process id tells a fork from its
    parent.
    """
    try:
        _remove_abandoned(Path(tempfile.gettempdir()))
        root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = FileLock.take(root / LOCKED, wait=True)
    except OSError:
        return None
    atexit.register(_remove, root, held, process)
    return root


def _remove(root: Path, held: FileLock | None, process: int) -> None:
    if os.getpid() == process:
        if held is not None:
            held.release()
        shutil.rmtree(root, ignore_errors=True)


def _remove_abandoned(temporary: Path) -> None:
    for root in temporary.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if root.is_symlink() or not is_own(root) or time.time() - root.stat().st_mtime < _YOUNG:
                continue
            held = FileLock.take(root / LOCKED, wait=False)
            if held is not None:
                held.release()  # on Windows nothing goes that is open
                shutil.rmtree(root, ignore_errors=True)
