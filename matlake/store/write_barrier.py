"""A thread that cannot write: Linux itself refuses, whatever DuckDB is asked to do.

Landlock restricts a thread and the threads that it starts, and no others. Where the kernel has no Landlock (before
5.13, or other systems), nothing happens here, and what ``pure_reads`` refuses is the protection.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on all architectures
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVILEGES: Final = 38  # prctl

_WRITE_FILE: Final = 1 << 1
_REMOVE_AND_MAKE: Final = sum(1 << bit for bit in range(4, 13))
_REFER: Final = 1 << 13  # since version 2
_TRUNCATE: Final = 1 << 14  # since version 3
_WRITES: Final = {1: _WRITE_FILE | _REMOVE_AND_MAKE, 2: _REFER, 3: _TRUNCATE}
"""Rights to write files and to change folders, by the version of Landlock that knows them first."""


class _Beneath(ctypes.Structure):
    """What the kernel calls ``landlock_path_beneath_attr``."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def forbid_writes(except_below: Path | None) -> bool:
    """Take from this thread, and from those that it starts, the right to write anywhere but below one folder.

    There is no way back: call it in a thread that ends.

    Args:
        except_below: A folder that exists; None for no exception.

    Returns:
        Whether the kernel does it.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if version < 1:
        return False
    writes = sum(rights for since, rights in _WRITES.items() if since <= version)
    handled = ctypes.c_uint64(writes)
    ruleset = libc.syscall(
        _CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(ctypes.sizeof(handled)), ctypes.c_uint32(0)
    )
    if ruleset < 0:
        return False
    try:
        return bool(
            (except_below is None or _allow(libc, ruleset, except_below, writes))
            and libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
            and libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) == 0
        )
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, folder: Path, rights: int) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        rule = _Beneath(rights, descriptor)
        added = libc.syscall(_ADD_RULE, ruleset, ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)
    return bool(added == 0)
