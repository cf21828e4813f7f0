"""Commands that run in processes of their own, as a user runs them, and the moments at which tests interrupt them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

RUN = "import sys; sys.argv = ['matlake', *sys.argv[1:]]; from matlake.__main__ import main; main()"


def start(arguments: Sequence[str | Path], patch: str = "", **environment: str) -> "subprocess.Popen[str]":
    """Start a command.

    Args:
        arguments: Those of the command line.
        patch: Python that runs before, such as the replacement of a function.
        environment: Variables besides those of this process.
    """
    return subprocess.Popen(
        [sys.executable, "-c", f"{patch}\n{RUN}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def run(arguments: Sequence[str | Path], patch: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; see ``start``."""
    process = start(arguments, patch, **environment)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def interrupted_after(
    seconds: float, arguments: Sequence[str | Path], number: signal.Signals = signal.SIGINT
) -> "subprocess.CompletedProcess[str]":
    """Run a command, and send it a signal so many seconds after its first import."""
    process = start(arguments, "import os; os.write(2, b'.')")
    assert process.stderr is not None
    assert process.stderr.read(1) == "."
    time.sleep(seconds)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found
