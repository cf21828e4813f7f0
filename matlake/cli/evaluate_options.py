"""What the commands ``evaluate …`` share: options, how they make a request, and how a study is reported."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from matlake.cli.main import json_option
from matlake.cli.output import Output

if TYPE_CHECKING:
    from matlake.studies.report_files import StudyResult

C = TypeVar("C", bound=Callable[..., Any])
R = TypeVar("R")


class RenamedOption(click.Option):
    """An option whose first name is shown; its other names, from older versions, still work."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the help with the first name alone."""
        every, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = every


def study_options(name: str) -> Callable[[C], C]:
    """Add the options that all studies have.

    Args:
        name: Usual name of an evaluation.
    """
    options = [
        click.option("--dataset", help="Use this dataset only."),
        click.option("--where", help="Use materials that this SQL predicate selects."),
        click.option("--name", default=name, show_default=True, help="Name the evaluation; the same name resumes it."),
        click.option(
            "--max-seconds",
            "--budget",
            "seconds",
            cls=RenamedOption,
            type=click.FloatRange(min=0.0, min_open=True),
            help="Begin nothing after so many seconds. Default: no limit.",
        ),
        click.option(
            "--output",
            "folder",
            type=click.Path(path_type=Path, file_okay=False),
            help="Write tables and plots to this folder.",
        ),
        json_option,
    ]

    def add(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def request_of(kind: Callable[..., R], options: Mapping[str, Any]) -> R:
    """Return the request that options make; those that are not given keep the request's defaults.

    Args:
        kind: Class of the request; its fields are named like the options.
        options: By name.
    """
    if options["dataset"] and options["where"]:
        raise click.UsageError("--dataset and --where exclude each other: put dataset = '…' into the predicate")
    return kind(**{name: value for name, value in options.items() if value is not None})


def show(result: "StudyResult", folder: Path | None, output: Output) -> None:
    """Write the files of a study, if asked for, and print what it found."""
    from matlake.studies.report_files import write_report

    if folder:
        write_report(result, folder)
    output.document(result.document(), result.lines())
