"""The command ``matlake``: the group, the lake option, exit codes."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any, Final

import click

from matlake.cli.output import ConsoleOutput, JsonOutput, Output, note
from matlake.errors import DamageWarning, MatlakeError

EXIT_FAILED = 1
EXIT_SOME_ROWS_FAILED = 3

# Command name -> module in matlake.cli that defines it, under the same name with underscores.
COMMANDS = {
    "quickstart": "quickstart",
    "import": "lake",
    "embed": "lake",
    "sql": "lake",
    "search": "search",
    "status": "lake",
    "check": "maintenance",
    "compact": "maintenance",
    "encoders": "encoders",
    "train": "train",
    "finetune": "train",
    "evaluate": "evaluate",
    "predict": "predict",
    "heads": "heads",
    "serve": "serve",
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
        command = getattr(module, f"{cmd_name}_command")
        if not isinstance(command, click.Command):
            raise TypeError(f"{command!r} is not a command")
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--lake",
    type=click.Path(path_type=Path, file_okay=False),
    default=lambda: Path(os.environ.get("MATLAKE_LAKE", "lake")),
    help="Use the lake in this folder.  [default: $MATLAKE_LAKE, else ./lake]",
)
@click.option("--no-color", is_flag=True, help="Print plain text, as into a pipe. The variable NO_COLOR does the same.")
@click.option(
    "--verify",
    is_flag=True,
    help="Compare every file with its digest before reading it, and leave out those that differ.  [default: if "
    "$MATLAKE_VERIFY is set]",
)
@click.version_option(package_name="matlake", message="matlake %(version)s")
@click.pass_context
def cli(ctx: click.Context, lake: Path, no_color: bool, verify: bool) -> None:  # noqa: ARG001 - matlake.cli.output looks at it
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


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Print what the lake warns of in one line, and the rest as Python does."""
    if isinstance(message, DamageWarning):
        note(f"warning: {message.cli_message}")
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno, line), file=file, err=True, nl=False)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 bad usage, 3 done but some rows failed."""
    output: Output = JsonOutput() if "--json" in sys.argv else ConsoleOutput()
    warnings.showwarning = _show_warning
    try:
        code = cli.main(standalone_mode=False)
    except click.UsageError as error:
        output.error(error.format_message(), f"try '{error.ctx.command_path if error.ctx else 'matlake'} --help'")
        code = error.exit_code
    except click.exceptions.Abort:
        output.error("interrupted", "run the same command again: it goes on where it stopped")
        code = EXIT_FAILED
    except (MatlakeError, OSError) as error:
        output.error(str(error), error.cli_hint if isinstance(error, MatlakeError) else "")
        code = EXIT_FAILED
    sys.exit(code if isinstance(code, int) else 0)
