"""Locks of folders, and names that no file can have."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from matlake.files import is_there, lock


def test_a_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert lock(first, wait=True)
    assert not lock(second, wait=False)
    os.close(first)
    assert lock(second, wait=False)
    os.close(second)


def test_a_file_system_without_locks_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    assert lock(descriptor, wait=True)
    os.close(descriptor)


def test_a_text_of_any_length_is_asked_for(tmp_path: Path) -> None:
    assert is_there(tmp_path)
    assert not is_there("x" * 100_000)
