"""The command line in processes that are forked from one which has imported what commands import.

A process of its own takes a second or two to start; forked from a server that has started, a tenth of it. The server
itself runs nothing: the runtimes of delta-rs and ONNX begin in each child.
"""

import os
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess
from typing import Final

PRELOADED: Final = (
    *("pytest", "numpy", "pyarrow.parquet", "duckdb", "deltalake", "onnxruntime", "sklearn.linear_model", "skl2onnx"),
    *("matlake.cli.main", "matlake.store.embedding.embedder", "matlake.regress.heads.train"),
    *("matlake.regress.prediction.predict_table", "matlake.materials.structure_files"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
)
"""What most commands import; a module that is not installed is left out by the server."""

_LONGEST_S: Final = 600.0

CONTEXT: Final = get_context("forkserver")
CONTEXT.set_forkserver_preload(list(PRELOADED))


def run(arguments: list[str], patch: str = "") -> CompletedProcess[str]:
    """Run a command of ``matlake`` to its end; training is quickened, see ``quick_training``.

    Args:
        arguments: Those of the command line.
        patch: Python that runs before, such as the replacement of a constant.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = CONTEXT.Process(target=_main, args=(arguments, str(Path.cwd()), dict(os.environ), out, err, patch))
        process.start()
        process.join(_LONGEST_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        return CompletedProcess(arguments, process.exitcode or 0, out.read_text("utf-8"), err.read_text("utf-8"))


def _main(arguments: list[str], folder: str, environment: dict[str, str], out: Path, err: Path, patch: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["matlake", *arguments]
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(number, stream.fileno())
        os.close(number)
    exec(patch, {"__name__": "patch"})  # noqa: S102 - a test's own
    if {"train", "finetune"} & set(arguments):
        import pytest
        from quick_training import quicken

        quicken(pytest.MonkeyPatch())
    from matlake.__main__ import main

    main()
