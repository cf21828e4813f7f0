"""Code blocks of the documentation: what a page holds, and running it from its first block to its last.

The blocks of a page run in order, in one process and one folder. ``bash`` and ``console`` are commands (in a console
those after ``$ ``, the rest is what they print), ``python`` shares its names over the page, ``sql`` is asked of the
lake in the folder ``lake``. All other languages are output, or what a file holds. A comment before a block says why it
does not run here, or which test runs it:

    <!-- not run: needs a cluster -->
    <!-- run by: tests/test_clusters_page.py -->
"""

import os
import re
import shlex
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import forked

ROOT: Final = Path(__file__).parents[1]

COMMANDS: Final = frozenset({"bash", "console"})
RUN: Final = COMMANDS | {"python", "sql"}
SHOWN: Final = frozenset({"json", "text", "toml"})
"""Output, and contents of files."""

SHORTER: Final = {"train": ("--max-fits", "2")}
"""What is added to a command that names no model: the search is the same for two models as for all of them."""

_LONGEST_S: Final = 900.0
_BLOCK: Final = re.compile(r"(?:^<!-- (.+?) -->\n+)?^```([\w+-]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: Path in the repository.
        line: Of the fence, from 1.
        language: As written behind the fence.
        text: What is between the fences.
        reason: Why it does not run; empty if it does.
        test: The test that runs it instead; empty if none does.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    test: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_benchmark(self) -> bool:
        """Whether it measures, for minutes to days; tests/test_benchmarks.py checks that there is such a script."""
        measures = ("-m benchmarks." in line or "=" in line.split()[0] for line in commands(self))
        return self.language in COMMANDS and all(measures)

    @property
    def runs(self) -> bool:
        return self.language in RUN and not self.reason and not self.test and not self.is_benchmark


def blocks_of(path: Path) -> list[Block]:
    text = path.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        kind, _, said = (match[1] or "").partition(": ")
        line = text.count("\n", 0, match.start(2)) + 1
        reason, test = (said if kind == known else "" for known in ("not run", "run by"))
        found.append(Block(str(path.relative_to(ROOT)), line, match[2], match[3], reason, test))
    return found


def commands(block: Block) -> list[str]:
    """Return the commands of a block, each on one line."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line for line in lines if line.strip() and not line.startswith("#")]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def check_options(arguments: Sequence[str], group: click.Group) -> None:
    """Raise an error unless such a command and such options exist; values are not looked at."""
    command: click.Command = group
    context, rest = click.Context(command, info_name="matlake"), list(arguments)
    while True:
        _, rest, _ = command.make_parser(context).parse_args(rest)
        if not isinstance(command, click.Group):
            return
        rest = [*context._protected_args, *rest] if hasattr(context, "_protected_args") else rest
        found = command.get_command(context, rest[0]) if rest else None
        if found is None:
            raise click.UsageError(f"no command {' '.join(rest[:1])}")
        command, rest = found, rest[1:]
        context = click.Context(command, info_name=command.name, parent=context)


def shorten_training() -> None:
    """Let training in this process compare heads with a small forest, and keep their test rows without drawing them."""
    import pytest
    from quick_training import TRAINING, quicken

    from matlake.regress.heads.tested_rows import rows_file

    patch = pytest.MonkeyPatch()
    quicken(patch)
    for module in TRAINING:
        patch.setattr(f"{module}.draw_plots", lambda _, test, *__: rows_file(test))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_page(blocks: Sequence[Block], folder: Path, check: Callable[[Mapping[str, Any]], None] | None = None) -> None:
    """Run the blocks of a page in a process of their own.

    Args:
        blocks: Those to run.
        folder: Where they run.
        check: Gets the names of the page's Python when all blocks have run.
    """
    log = folder / "page.log"
    process = forked.CONTEXT.Process(target=_run, args=(blocks, str(folder), check, str(log)))
    process.start()
    process.join(_LONGEST_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode == 0, log.read_text()[-6000:]


def _run(blocks: Sequence[Block], folder: str, check: Callable[[Mapping[str, Any]], None] | None, log: str) -> None:
    number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(number, stream.fileno())
    os.chdir(folder)
    os.environ.pop("MATLAKE_LAKE", None)
    shorten_training()
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        say(f"\n{block.place} after {time.process_time():.1f} s of the processor")
        try:
            _run_block(block, names)
        except BaseException:  # noqa: BLE001 - the log says what it was
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(1)
    if check is not None:
        check(names)


def _run_block(block: Block, names: dict[str, Any]) -> None:
    if block.language == "python":
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile("\n" * block.line + block.text, block.place.rpartition(":")[0], "exec"), names)  # noqa: S102 - our own page
    elif block.language == "sql":
        import matlake

        matlake.open_lake("lake").sql(block.text).arrow()
    else:
        for line in commands(block):
            _run_command(line)


def _run_command(line: str) -> None:
    from click.testing import CliRunner

    from matlake.cli.main import cli

    name, *arguments = words(line)
    if name == "export":
        variable, _, value = arguments[0].partition("=")
        os.environ[variable] = value
        return
    assert name == "matlake", f"{line}: say why it does not run"
    if arguments[0] in SHORTER and "--model" not in arguments:
        arguments += SHORTER[arguments[0]]
    done = CliRunner(catch_exceptions=True).invoke(cli, arguments)
    say(f"$ {line}\n{done.output}")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, f"{line} exits with {done.exit_code}"
