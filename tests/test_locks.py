"""Locks: one process holds one at a time, whatever is killed, read-only or another user's."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import matlake
from matlake import locks, platforms
from matlake.locks import LOCKED, FileLock, is_held

HOLD = """
import sys, time
from pathlib import Path
from matlake.locks import FileLock
held = FileLock.take(Path(sys.argv[1]), wait=False)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / LOCKED


def test_one_holds_it_at_a_time_and_the_file_goes_with_it(path: Path) -> None:
    first = FileLock.take(path, wait=True)
    assert first is not None
    assert FileLock.take(path, wait=False) is None
    first.release()
    first.release()  # twice is once
    assert not path.exists()
    with FileLock.take(path, wait=False) as second:
        assert isinstance(second, FileLock)
        assert path.exists()
    assert not path.exists()


def test_who_waits_gets_it_in_a_file_of_its_own(path: Path) -> None:
    first, found = FileLock.take(path, wait=True), []
    waiting = threading.Thread(target=lambda: found.append(FileLock.take(path, wait=True)))
    waiting.start()
    waiting.join(0.2)
    assert not found
    assert first is not None
    first.release()
    waiting.join(30)
    (second,) = found
    assert path.exists()  # that of the first is gone, with its name
    assert FileLock.take(path, wait=False) is None
    second.release()
    assert not path.exists()


def test_a_kill_leaves_the_file_and_frees_the_lock(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert FileLock.take(path, wait=False) is None
        assert is_held(path)
        process.kill()
    assert path.exists()
    assert not is_held(path)
    with FileLock.take(path, wait=False) as held:
        assert held is not None
    assert not path.exists()


def test_where_no_file_can_be_made_nobody_is_kept_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT):

        def refuse(*_: object, number: int = number) -> int:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            held = FileLock.take(path, wait=False)
        assert held is not None
        held.release()
    assert list(path.parent.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        FileLock.take(path / "deeper" / LOCKED, wait=False)


def test_a_file_that_another_user_made_is_locked_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.touch()
    real = os.open

    def not_to_write(place: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return real(place, flags, mode)

    monkeypatch.setattr(os, "open", not_to_write)
    held = FileLock.take(path, wait=False)
    assert held is not None
    assert FileLock.take(path, wait=False) is None
    held.release()


def test_what_a_kill_has_left_is_removed_by_compaction(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    lake.unfinished.mkdir()
    left = [lake.unfinished / f".of-import-x{LOCKED}", lake.encoders_folder / f".registering{LOCKED}"]
    for one in left:
        one.touch()
        os.utime(one, (0, 0))
    with FileLock.take(left[0], wait=False):
        lake.compact(retention_hours=0)
        assert [one.exists() for one in left] == [True, False]


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").touch()
    path.symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        FileLock.take(path, wait=False)


def test_a_file_system_without_locks_keeps_nobody_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert FileLock.take(path, wait=True) is not None


class Windows:
    """Its locks: of bytes, by handle, until it is closed; another's says EACCES. What is open is not removed."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.asked = 0

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        self.asked += 1
        assert (mode, count) == (self.LK_NBLCK, 1)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "Permission denied") from error


def test_on_windows_it_asks_again_and_closes_before_it_removes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    windows, events = Windows(), []
    close, unlink = os.close, Path.unlink
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    for module in (locks, platforms):
        monkeypatch.setattr(module, "on_windows", lambda: True)
    monkeypatch.setattr(platforms, "_PAUSE_S", 0.001)
    monkeypatch.setattr(os, "close", lambda descriptor: (events.append("close"), close(descriptor))[1])
    monkeypatch.setattr(Path, "unlink", lambda *a, **k: (events.append("remove"), unlink(*a, **k))[1])
    first = FileLock.take(path, wait=False)
    assert first is not None
    assert FileLock.take(path, wait=False) is None
    events.clear()
    threading.Timer(0.1, first.release).start()
    with FileLock.take(path, wait=True) as second:
        assert second is not None
        assert events[:2] == ["close", "remove"]
    assert windows.asked > 3
