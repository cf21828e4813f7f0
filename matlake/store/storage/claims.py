"""Claims: objects that say which process is replacing something in a bucket."""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from matlake.errors import StorageError
from matlake.store.storage.remote_path import RemotePath

STALE_SECONDS: Final = 900.0
"""A claim of this age is that of a process that was killed: requests end, one way or the other, in a fraction of it."""


class ClaimedError(Exception):
    """Another process has the claim."""


@contextmanager
def claimed(claim: RemotePath, now: Callable[[], float] = time.time) -> Iterator[Callable[[], None]]:
    """Hold a claim, so that no other process does what it is for at the same time.

    Args:
        claim: The object.
        now: The time, in seconds since 1970.

    Yields:
        What raises ``ClaimedError`` where another process has taken the claim over, as it is old; to be called before
        anything that readers could see.

    Raises:
        ClaimedError: Another process has it.
        StorageError: The store does not answer.
    """
    own = json.dumps({"host": _host(), "process": os.getpid(), "mark": uuid.uuid4().hex}).encode()
    if not claim.create(own) and not _is(claim, own):  # it is there where the answer to the first try was lost
        _take_over(claim, own, now)

    def check() -> None:
        if not _is(claim, own):
            raise ClaimedError

    try:
        yield check
    finally:
        with suppress(OSError, StorageError):  # it gets old
            if _is(claim, own):
                claim.unlink(missing_ok=True)


def _take_over(claim: RemotePath, own: bytes, now: Callable[[], float]) -> None:
    with suppress(FileNotFoundError):  # the other has just ended
        if now() - claim.stat().st_mtime < STALE_SECONDS and not _has_ended(claim.read_bytes()):
            raise ClaimedError
        claim.unlink(missing_ok=True)
    if not claim.create(own):
        raise ClaimedError


def _host() -> str:
    """Return what distinguishes the machines and containers whose processes have numbers of their own."""
    with suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return uuid.uuid4().hex


def _has_ended(content: bytes) -> bool:
    """Say whether a claim is that of a process of this machine that is there no more."""
    try:
        claim = json.loads(content)
        if claim["host"] != _host():
            return False
        os.kill(claim["process"], 0)
    except ProcessLookupError:
        return True
    except (ValueError, KeyError, TypeError, OSError):
        return False
    return False


def _is(claim: RemotePath, own: bytes) -> bool:
    try:
        return claim.read_bytes() == own
    except FileNotFoundError:
        return False
