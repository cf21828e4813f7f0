"""Cores, memory, limits of the system, the locale, the clock, temporary files."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from matlake.diagnosis.checks import Check, State, caught, joined
from matlake.platforms import free_memory, is_utf8, open_files_limit, usable_cores

GIB: Final = 1 << 30
_LEAST_MEMORY: Final = 2 * GIB
_LEAST_FILES: Final = 1024
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def check_machine() -> list[Check]:
    """Check what does not depend on the lake."""
    found: list[Check] = []
    for name, look in {
        "cores": _cores,
        "memory": _memory,
        "open files": _open_files,
        "threads": _threads,
        "text encoding": _encoding,
        "clock": _clock,
        "temporary files": _temporary_files,
    }.items():
        with caught(found, name, State.WARNING):
            found += look()
    return found


def _cores() -> Iterator[Check]:
    cores, usable = os.cpu_count() or 1, usable_cores()
    yield Check("cores", State.OK, f"{usable}" if usable == cores else f"{usable} of {cores} may be used")


def _memory() -> Iterator[Check]:
    from matlake.store.limits import available_memory  # needs packages that may be missing

    total = available_memory()
    free = min(free_memory(), total)
    text = f"{total / GIB:.1f} GiB, {free / GIB:.1f} GiB free"
    if free < _LEAST_MEMORY:
        yield Check("memory", State.WARNING, text, "close other programs: training may need 2 GiB")
    else:
        yield Check("memory", State.OK, text)


def _open_files() -> Iterator[Check]:
    found = open_files_limit()
    if found is None:
        return
    limit, most = found
    if 0 <= limit < _LEAST_FILES:
        hint = f"ulimit -n {_LEAST_FILES}" if most < 0 or most >= _LEAST_FILES else "ask for a higher limit"
        yield Check("open files", State.WARNING, f"at most {limit}", hint)
    else:
        yield Check("open files", State.OK, f"at most {limit:,}" if limit >= 0 else "no limit")


def _threads() -> Iterator[Check]:
    given = {name: os.environ[name] for name in _THREADS if name in os.environ}
    wrong = [name for name, value in given.items() if not value.isdigit() or int(value) < 1]
    text = joined(f"{name}={value}" for name, value in given.items())
    if wrong:
        yield Check("threads", State.WARNING, text, f"give {joined(wrong)} a whole number above 0")
    elif given:
        yield Check("threads", State.NOTE, f"limited by {text}")
    else:
        yield Check("threads", State.OK, "not limited by the environment")


def _encoding() -> Iterator[Check]:
    encodings = {sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "utf-8"}
    if all(map(is_utf8, encodings)):
        yield Check("text encoding", State.OK, "utf-8")
    else:
        yield Check("text encoding", State.WARNING, joined(sorted(encodings)), "set PYTHONUTF8=1")


def _clock() -> Iterator[Check]:
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    if time.time() < Path(__file__).stat().st_mtime:
        yield Check("clock", State.WARNING, f"{now} is before matlake was installed", "set the clock")
    else:
        yield Check("clock", State.OK, now)


def _temporary_files() -> Iterator[Check]:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()
    yield Check("temporary files", State.OK, tempfile.gettempdir())
