"""A disk that fails where a test wants it to: commands run in processes whose changes to a folder are counted."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PRELOADED: Final = (
    *("numpy", "pyarrow.parquet", "duckdb", "deltalake", "onnxruntime", "sklearn.linear_model", "skl2onnx"),
    *("matlake.cli.main", "matlake.store.embedding.embedder", "matlake.regress.heads.train"),
    *("matlake.regress.prediction.predict_table", "matlake.materials.structure_files"),
)
LONGEST_S: Final = 600.0

OBSERVE, KILL, FAIL_ONCE, FAIL_FROM = range(4)
GROWING: Final = "cwdlr"
"""Kinds of changes for which a full disk has no room: see ``note`` in disk.c."""

WRITTEN: Final = "ws"
"""Kinds of changes that reach the medium, on which a bad sector can lie."""


@dataclass(frozen=True)
class Strike:
    """A fault.

    Attributes:
        at: Number of the change that it strikes.
        mode: ``KILL``; ``FAIL_ONCE``: the first eligible change from there fails; ``FAIL_FROM``: all of them.
        error: What the change fails with.
        kinds: Letters of the changes that can fail.
    """

    at: int
    mode: int = KILL
    error: int = 0
    kinds: str = ""

    @property
    def name(self) -> str:
        return "kill" if self.mode in (KILL, OBSERVE) else errno.errorcode[self.error]


NOTHING: Final = Strike(0, OBSERVE)


def full_disk(at: int) -> Strike:
    """No room from a change on."""
    return Strike(at, FAIL_FROM, errno.ENOSPC, GROWING)


def bad_sector(at: int) -> Strike:
    """One write or fsync fails."""
    return Strike(at, FAIL_ONCE, errno.EIO, WRITTEN)


@dataclass(frozen=True)
class Event:
    """A change of the disk.

    Attributes:
        kind: Letter; see ``note`` in disk.c.
        state: ``done``, ``refused`` by the real disk, ``failed`` or ``killed`` by ours.
        node: Inode.
        offset: Where it was written, or the size that it was cut to.
        data: What was written.
        path: The file or folder.
        other: Its new name.
    """

    kind: str
    state: str
    node: int
    offset: int
    data: bytes
    path: str
    other: str


@dataclass(frozen=True)
class Run:
    """What became of a command.

    Attributes:
        code: Exit code; -9 where it was killed.
        events: What it has changed.
        out: Its standard output.
        err: Its standard error.
    """

    code: int
    events: list[Event]
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def struck(self) -> Event | None:
        """The change that was struck first; None if none was."""
        return next((event for event in self.events if event.state in ("killed", "failed")), None)


class Disk:
    """Runs commands of matlake whose disk can fail."""

    def __init__(self, folder: Path, server: "subprocess.Popen[str]") -> None:
        self._folder, self._server = folder, server

    def run(
        self,
        arguments: Sequence[str | Path],
        root: Path | None = None,
        strike: Strike = NOTHING,
        *,
        patch: str = "",
        seconds: float = LONGEST_S,
        environment: dict[str, str] | None = None,
    ) -> Run:
        """Run a command.

        Args:
            arguments: Those of the command line.
            root: Count the changes below this folder; None for no faults.
            strike: The fault.
            patch: Python that runs before.
            seconds: Kill it after so many.
            environment: Variables besides those of this process.
        """
        names = {name: str(self._folder / name) for name in ("out", "err", "trace")}
        Path(names["trace"]).unlink(missing_ok=True)
        request = {
            **names,
            "arguments": list(map(str, arguments)),
            "root": root and os.fspath(root.resolve()),
            "strike": [strike.at, strike.mode, strike.error, strike.kinds],
            "patch": patch,
            "seconds": seconds,
            "environment": environment or {},
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        out, err = (Path(names[name]).read_text("utf-8", "replace") for name in ("out", "err"))
        return Run(code, list(_events(Path(names["trace"]))), out, err)


def _events(trace: Path) -> Iterator[Event]:
    if not trace.exists():
        return
    with trace.open("rb") as file:
        while line := file.readline():
            _, kind, state, node, offset, size, path, other = line.decode().rstrip("\n").split("\t")
            yield Event(kind, state, int(node), int(offset), file.read(int(size)), path, other)


def missing() -> str | None:
    """Say why this machine cannot run commands on a disk that fails; None if it can."""
    if sys.platform != "linux":
        return "functions of the C library are replaced as Linux does it"
    return None if shutil.which("cc") else "needs a C compiler"


@contextmanager
def failing_disk(folder: Path) -> Iterator[Disk]:
    """Build the library and start the server.

    Args:
        folder: For files of its own; it exists.
    """
    library = folder / "disk.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(HERE / "disk.c"), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    server = subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), *PRELOADED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"LD_PRELOAD": str(library)},
    )
    try:
        yield Disk(folder, server)
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(60)
        assert server.stdout is not None
        server.stdout.close()


def copied(source: Path, target: Path) -> Path:
    """Copy a lake's folder in the place of another."""
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copytree(source, target))
