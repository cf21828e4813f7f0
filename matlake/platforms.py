"""What Linux, macOS and Windows do differently: locks, syncing, renaming, memory, cores and names of files.

All other files of the package use what every system has. On Windows there is no fcntl, no folder can be opened, a file
that is open can neither be replaced nor removed, and some names are not those of files.
"""

import errno
import os
import re
import sys
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final

PATIENCE_S: Final = 5.0
"""Seconds for which Windows is asked again to rename what another process has open: a scanner, or a reader."""

_PAUSE_S: Final = 0.05
_DRIVE: Final = re.compile(r"/[A-Za-z]:")
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_HELD: Final = frozenset({errno.EACCES, errno.EDEADLK})
"""How Windows says that another process has a lock."""


def on_windows() -> bool:
    """Say whether this is Windows."""
    return os.name == "nt"


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed.

    Args:
        descriptor: Of the file.
        wait: Whether to wait until no other process has it.

    Returns:
        Whether this process may go on: not if another has the lock, but always on a file system without locks.
    """
    return (_lock_byte if on_windows() else _lock_file)(descriptor, wait=wait)


def _lock_file(descriptor: int, *, wait: bool) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _lock_byte(descriptor: int, *, wait: bool) -> bool:
    """Lock the first byte, which need not be there; waiting for it ends with an error after ten seconds, so we ask."""
    msvcrt: Any = import_module("msvcrt")
    while True:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno not in _HELD:
                return True
            if not wait:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True


def sync(descriptor: int) -> None:
    """Wait until what was written to an open file is on the disk.

    On macOS ``fsync`` ends when the disk has it in its cache; a call of its own empties that, where a disk can.
    """
    if not on_windows():
        fcntl: Any = import_module("fcntl")
        if hasattr(fcntl, "F_FULLFSYNC"):
            with suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
                return
    os.fsync(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename a file, in place of one that has the name, or a folder.

    Windows refuses while a process has either open, if only to look for viruses: it is asked for ``PATIENCE_S``.

    Raises:
        OSError: It is refused.
    """
    until = time.monotonic() + PATIENCE_S if on_windows() else 0.0
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if time.monotonic() >= until:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def usable_cores() -> int:
    """Return the number of cores that this process may use: a scheduler gives a job some of a machine's."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux alone
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_memory() -> int:
    """Return the memory of this machine in bytes."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(_psutil().virtual_memory().total)


def free_memory() -> int:
    """Return the memory in bytes that programs can have before this machine swaps; all of it where nobody says."""
    if on_windows():
        return int(_psutil().virtual_memory().available)
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return machine_memory()


def _psutil() -> Any:
    return import_module("psutil")  # on Windows a dependency


def open_files_limit() -> tuple[int, int] | None:
    """Return how many files this process may have open, and up to how many it may ask for; -1 for no limit.

    Returns:
        None on Windows, where none matters.
    """
    if on_windows():
        return None
    resource: Any = import_module("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return (-1 if soft == unlimited else soft, -1 if hard == unlimited else hard)


def is_own(path: Path) -> bool:
    """Say whether a file or folder belongs to this user; on Windows, where folders of users are theirs, it does."""
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def path_in_uri(host: str, path: str) -> str:
    """Return the path that an address ``file://HOST/PATH`` names, with its characters decoded."""
    if not on_windows():
        return path
    return f"//{host}{path}" if host else path.removeprefix("/") if _DRIVE.match(path) else path


def is_utf8(encoding: str | None) -> bool:
    """Say whether the name of an encoding is one of UTF-8's; a stream without one counts as such."""
    return (encoding or "utf-8").lower().replace("-", "").replace("_", "") == "utf8"


NOT_PORTABLE: Final = "use another name: not one that ends in a dot, and none of con, prn, aux, nul, com1, lpt1, …"


def is_portable(name: str) -> bool:
    """Say whether a name without separators can be that of a file or folder on every system.

    Windows drops dots and spaces at the end of names, and keeps some for devices, whatever the ending.
    """
    return not (name.endswith((".", " ")) or _DEVICES.fullmatch(name) or re.search(r'[<>:"/\\|?*\x00-\x1f]', name))
