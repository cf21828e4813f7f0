"""The command ``matlake``: the group, the lake option, exit codes."""

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Any, Final

import click

from matlake.cli.failures import explain
from matlake.cli.options import PLACE
from matlake.cli.output import ConsoleOutput, JsonOutput, Output, note, prepare_streams
from matlake.errors import DamageWarning
from matlake.interrupts import hold, ignore_signals, stop_at_signals
from matlake.store.storage.places import LakePath

EXIT_FAILED = 1
EXIT_SOME_ROWS_FAILED = 3

# Command name -> module in matlake.cli that defines it, under the same name with underscores.
COMMANDS = {
    "quickstart": "quickstart",
    "import": "lake",
    "import-embeddings": "external",
    "datasets": "datasets",
    "embed": "lake",
    "sql": "sql",
    "search": "search",
    "dedupe": "search",
    "diverse": "search",
    "map": "map",
    "status": "lake",
    "check": "maintenance",
    "compact": "maintenance",
    "encoders": "encoders",
    "train": "train",
    "finetune": "train",
    "evaluate": "evaluate",
    "predict": "predict",
    "suggest": "suggest",
    "heads": "heads",
    "serve": "serve",
    "doctor": "doctor",
}


class LazyGroup(click.Group):
    """A group that imports a command's module when that command is called or its help is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the main job."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        import importlib

        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"matlake.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        if not isinstance(command, click.Command):
            raise TypeError(f"{command!r} is not a command")
        return command


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001 - click's signature
    """Print three versions; ``doctor`` has all others."""
    if not value or ctx.resilient_parsing:
        return
    import platform

    from matlake import __version__

    python = f"{platform.python_implementation()} {platform.python_version()}"
    click.echo(f"matlake {__version__}\n{python}, {platform.system()} {platform.release()}, {platform.machine()}")
    ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--lake",
    type=PLACE,
    default=lambda: os.environ.get("MATLAKE_LAKE", "lake"),
    help="Use the lake in this folder, or in a bucket: s3://BUCKET/PREFIX, gs://…, az://….  [default: $MATLAKE_LAKE, "
    "else ./lake]",
)
@click.option("--no-color", is_flag=True, help="Print plain text, as into a pipe. The variable NO_COLOR does the same.")
@click.option(
    "--verify",
    is_flag=True,
    help="Compare every file with its digest before reading it, and leave out those that differ.  [default: if "
    "$MATLAKE_VERIFY is set]",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Print the versions of matlake and Python, and the system, as a bug report needs them.",
)
@click.pass_context
def cli(ctx: click.Context, lake: LakePath, no_color: bool, verify: bool) -> None:  # noqa: ARG001 - matlake.cli.output looks at it
    """Embed materials databases, query them with SQL, and train regressors on them."""
    ctx.obj = lake
    if verify:
        os.environ["MATLAKE_VERIFY"] = "1"


def _choose(ctx: click.Context, param: click.Parameter, value: bool) -> Output:  # noqa: ARG001 - click's signature
    return JsonOutput() if value else ConsoleOutput()


json_option: Final = click.option(
    "--json", "output", is_flag=True, callback=_choose, help="Print one JSON document instead of text."
)
"""Hands a command the matching ``Output`` as ``output``."""


_WARNED_OF: Final[set[str]] = set()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Print what the lake warns of in one line and once, and the rest as Python does."""
    if isinstance(message, DamageWarning):
        if message.cli_message not in _WARNED_OF:
            _WARNED_OF.add(message.cli_message)
            note(f"warning: {message.cli_message}")
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), file=file, err=True, nl=False)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 bad usage, 3 done but some rows failed.

    No traceback gets out: whatever ends a command is one line and a hint.
    """
    output: Output = JsonOutput() if wants_json(sys.argv[1:]) else ConsoleOutput()
    warnings.showwarning = _show_warning
    prepare_streams()
    try:
        stop_at_signals(output.error)
        threading.excepthook = _say_of_thread
        code = cli.main(standalone_mode=False)
        hold()
    except SystemExit as error:  # click's: the reader of the output has gone
        code = error.code
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is not an Exception; a command never ends in a traceback
        message, hint, code = explain(error)
        _report(output, message, hint)
    ignore_signals()
    _flush()
    sys.exit(code if isinstance(code, int) else 0)


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether the option ``--json`` is among arguments, also where a command cannot make sense of them.

    A value of another option is none, nor is what follows ``--``.
    """
    command: click.Command = cli
    pending = list(arguments)
    while pending:
        argument = pending.pop(0)
        if argument == "--":
            return False
        name, equals, _ = argument.partition("=")
        if name == "--json":
            return True
        if argument.startswith("-"):
            if not equals and name in _with_values(command):
                del pending[:1]
        elif isinstance(command, click.Group):
            with click.Context(command) as context:
                command = command.get_command(context, argument) or command
    return False


def _with_values(command: click.Command) -> set[str]:
    """Return the options of a command that take a value."""
    options = [param for param in command.params if isinstance(param, click.Option) and not param.is_flag]
    return {name for option in options for name in (*option.opts, *getattr(option, "former", ()))}


def _report(output: Output, message: str, hint: str) -> None:
    """Print a failure, on stderr if stdout cannot be written to."""
    for each in (output, ConsoleOutput()):
        try:
            each.error(message, hint)
        except (OSError, ValueError):
            continue
        return


def _flush() -> None:
    """Write what is left of the output; Python would fail to do so at its end with a traceback."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Print what ended a thread on a line instead of with a traceback."""
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        note(f"warning: {explain(failed.exc_value)[0]}")
