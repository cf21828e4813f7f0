"""How the kernels of this folder are compiled, and their machine code kept.

numba keeps machine code on disk and compiles anew when the file of a function changes, but not when a function that is
called changes in another file: after an upgrade, old code would go on running inside new code. So what is kept is
stamped with all files of this folder and of those below it.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba as nb


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function with numba, without the GIL, and keep the result where there is a place for it."""
    try:
        compiled: Any = nb.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # nowhere to write: read-only files, and no home directory either
        return nb.njit(nogil=True)(function)
    if compiled is function:  # NUMBA_DISABLE_JIT
        return compiled
    try:
        index = compiled._cache._cache_file  # noqa: SLF001 - numba has no public way to add to the stamp
        index._source_stamp = (index._source_stamp, _stamp())  # noqa: SLF001
    except AttributeError:  # another numba: rather slow to start than wrong
        return nb.njit(nogil=True)(function)
    return compiled


@cache
def _stamp() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
