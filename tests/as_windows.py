"""Commands in a process that refuses what Windows refuses: no such machine runs these tests.

Run as ``python tests/as_windows.py FOLDER`` with a list of command lines on stdin, JSON, where it prints a list of
their exit codes and outputs, and what was done that Windows does not do. What the libraries below Python do there is
theirs; this is about the package.

- modules and attributes that Windows lacks are missing for the package (``posix_names`` says which);
- a folder cannot be opened, and what is open for reading alone cannot be synced;
- a file that is open, or mapped, can neither be removed nor renamed, and nor can a folder with one in it;
- a rename does not replace a folder;
- text is read and written in an encoding that is named.
"""

import builtins
import contextlib
import errno
import fcntl
import importlib
import io
import json
import os
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

OURS = str(Path(__file__).parents[1] / "matlake")


def held_open(path: Path) -> list[str]:
    """Return the files at or below a path that this process has open or mapped."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()))
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        found.add(line[73:])
    place = str(path.absolute())
    return [one for one in found if one == place or one.startswith(f"{place}/")]


def refuse_if_open(path: Any) -> None:
    """Raise what Windows raises for a path in use."""
    if isinstance(path, str | Path) and (found := held_open(Path(path))):
        raise PermissionError(errno.EACCES, f"in use: {found[0]}", str(path))


def guarded(real: Callable[..., Any], *, replaces_folders: bool = True) -> Callable[..., Any]:
    """Wrap a function of ``os`` that removes its first argument, or renames it to the second."""

    def call(path: Any, *more: Any, **named: Any) -> Any:
        if "dir_fd" not in named or named["dir_fd"] is None:
            for one in (path, *more[:1]):
                refuse_if_open(one)
            if not replaces_folders and more and Path(more[0]).is_dir():
                raise FileExistsError(errno.EEXIST, "there is a folder", str(more[0]))
        return real(path, *more, **named)

    return call


class LockedBytes(ModuleType):
    """Locks as ``msvcrt`` has them, by those of this machine."""

    LK_NBLCK = 2

    @staticmethod
    def locking(descriptor: int, mode: int, count: int) -> None:
        """Lock, or raise EACCES."""
        assert (mode, count) == (2, 1)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(errno.EACCES, "locked") from error


def missing_for_us(names: dict[str, list[str]]) -> None:
    """Let the package, and it alone, import no module and find no attribute that Windows lacks."""
    real_import = builtins.__import__
    views: dict[str, Any] = {}

    def without(module: ModuleType, lacking: list[str]) -> Any:
        kept = {name: value for name, value in vars(module).items() if name not in lacking}
        return SimpleNamespace(**kept)

    def importing(name: str, globals: Any = None, *rest: Any, **named: Any) -> Any:  # noqa: A002 - Python's name
        found = real_import(name, globals, *rest, **named)
        if not str((globals or {}).get("__file__", "")).startswith(OURS) or name not in names:
            return found
        if not names[name]:
            raise ModuleNotFoundError(f"no module named {name!r} on Windows", name=name)
        return views.setdefault(name, _following(without(found, names[name]), found))

    builtins.__import__ = importing


def _following(view: Any, module: ModuleType) -> Any:
    """Keep what is replaced in a module later, such as ``os.open`` below, in step with the view of it."""
    for name in ("open", "fsync", "rename", "replace", "unlink", "remove", "rmdir"):
        if hasattr(view, name):
            setattr(view, name, lambda *a, _name=name, **k: getattr(module, _name)(*a, **k))
    return view


def pose() -> None:
    """Let this process refuse what Windows refuses."""
    import matlake.platforms
    import matlake.store.write_barrier

    matlake.platforms.on_windows = lambda: True
    matlake.platforms.PATIENCE_S = 0.2
    real_open, real_fsync = os.open, os.fsync

    def opening(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if named.get("dir_fd") is None and isinstance(path, str | Path) and Path(path).is_dir():
            raise PermissionError(errno.EACCES, "a folder", str(path))
        return real_open(path, flags, *rest, **named)

    def syncing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) or fcntl.fcntl(descriptor, fcntl.F_GETFL) & 3 == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        real_fsync(descriptor)

    os.open, os.fsync = opening, syncing
    for name in ("unlink", "remove"):
        setattr(os, name, guarded(getattr(os, name)))
    for name in ("rename", "replace"):
        setattr(os, name, guarded(getattr(os, name), replaces_folders=False))
    real_rmtree = shutil.rmtree

    def removing(path: Any, ignore_errors: bool = False, **named: Any) -> None:
        try:
            refuse_if_open(path)
        except PermissionError:
            if not ignore_errors:
                raise
            return
        real_rmtree(path, ignore_errors, **named)

    shutil.rmtree = removing
    shutil._use_fd_functions = False  # it would open folders
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # as there: it goes when it is closed
    matlake.store.write_barrier.forbid_writes = lambda _: False  # of Linux
    # not in sys.modules: the standard library takes that for Windows
    bytes_of = {"msvcrt": LockedBytes("msvcrt")}
    matlake.platforms.import_module = lambda name: bytes_of.get(name) or importlib.import_module(name)


def run(arguments: list[str]) -> dict[str, Any]:
    """Run a command of this process, and return how it ended."""
    from matlake.cli.main import cli, explain

    code: object
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = cli.main(arguments, standalone_mode=False)
        except BaseException as error:  # noqa: BLE001 - as the command does
            sys.stderr.write("\n".join([*explain(error)[:2], repr(error)]))
            code = 1
    return {"code": code or 0, "out": out.getvalue(), "err": err.getvalue()}


def main() -> None:
    """Pose, run what stdin says in a folder, and print how it ended."""
    given = json.load(sys.stdin)
    os.chdir(sys.argv[1])
    warnings.filterwarnings("error", category=EncodingWarning, module=r"matlake\b")
    missing_for_us(given["names"])
    pose()
    answers = [run(arguments) for arguments in given["commands"]]
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
