"""Starts commands of matlake in forks of a process that has imported what they import; see ``disk.Disk``.

It reads one JSON document a line and answers with the exit code of the command. It runs on a disk that may fail
(``disk.c``), and itself runs nothing: the runtimes of delta-rs and ONNX begin in each child.
"""

import ctypes
import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any


def _serve(preloaded: list[str]) -> None:
    for name in preloaded:
        with suppress(ImportError):
            import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            _run(request)
        answers.write(f"{_wait(pid, request['seconds'])}\n")
        answers.flush()


def _wait(pid: int, seconds: float) -> int:
    """Return the exit code of a child, which is killed after so many seconds."""
    watched = os.pidfd_open(pid)
    if not select.select([watched], [], [], seconds)[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(watched)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run(request: dict[str, Any]) -> None:
    code = 70
    try:
        for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
            opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, number)
            os.close(opened)
        os.environ.update(request["environment"])
        exec(request["patch"], {})  # noqa: S102 - of the tests' own
        if request["root"]:
            texts = [str(request[name]).encode() for name in ("root", "trace")]
            at, mode, error, kinds = request["strike"]
            ctypes.CDLL(None).disk_arm(*texts, ctypes.c_long(at), mode, error, kinds.encode())
        sys.argv = ["matlake", *request["arguments"]]
        from matlake.__main__ import main

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - a traceback is what a test must see
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1:])
