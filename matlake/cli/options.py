"""Options that several commands share, in sections of the help, with their former names kept working."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from matlake.cli.completion import OF_OPTIONS
from matlake.errors import LakeError, MatlakeError
from matlake.sequences import split_names
from matlake.store.storage.places import LakePath, lake_path

Function = TypeVar("Function", bound=Callable[..., Any])


class LocalPath(click.Path):
    """A path on this machine; an address of a bucket is refused, which else would be a folder of a strange name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if "://" in str(value):
            self.fail(f"{value!r} is an address; give a path on this machine", param, ctx)
        return super().convert(value, param, ctx)


class PlaceType(click.ParamType):  # type: ignore[type-arg]  # before 8.3 it takes no type arguments
    """A folder on this machine, or an address of a bucket."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> LakePath:
        """Return the place that a text names."""
        try:
            place = lake_path(value)
        except LakeError as error:
            self.fail(f"{error}; {error.cli_hint}", param, ctx)
        if isinstance(place, Path) and place.is_file():
            self.fail(f"Directory {value!r} is a file.", param, ctx)
        return place


FILE: Final = LocalPath(path_type=Path, dir_okay=False)
FOLDER: Final = LocalPath(path_type=Path, file_okay=False)
ANY_PATH: Final = LocalPath(path_type=Path)
PLACE: Final = PlaceType()
POSITIVE: Final = click.FloatRange(min=0.0, min_open=True)
AT_LEAST_ONE: Final = click.IntRange(min=1)
SEED: Final = click.IntRange(min=0, max=2**32 - 1)


def names(text: str) -> tuple[str, ...]:
    """Split names at the commas between them, not in quotes: the type of every option that takes a list."""
    found = split_names(text)
    if not found:
        raise click.BadParameter("it names nothing")
    return tuple(found)


def assignment(text: str) -> tuple[str, str]:
    """Split ``NAME=VALUE``: the type of an option that sets one value of many."""
    name, equals, value = text.rpartition("=")
    if not equals or not name.strip() or not value.strip():
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()


def job_shard(text: str) -> str:
    """Check ``i/N``: the type of the option that names the share of a job."""
    from matlake.store.embedding.job_shard import JobShard

    try:
        JobShard.parse(text)
    except MatlakeError as error:
        raise click.BadParameter(f"{error}; {error.cli_hint}") from error
    return text


def _all_parts(_: click.Context, __: click.Parameter, parts: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    """Join a list that is given in several parts, ``--encoder A --encoder B,C``; None where there is none."""
    return tuple(name for part in parts for name in part) or None


class Option(click.Option):
    """An option in a section of the help, which shows its default.

    Args:
        arguments: As of ``click.Option``, as are ``settings``.
        section: Heading that the help shows it under.
        former: Earlier names. They work, and the help does not show them.
    """

    def __init__(self, *arguments: Any, section: str = "Options", former: Sequence[str] = (), **settings: Any) -> None:
        """Keep the section and the former names; lists may be given in several parts."""
        if settings.get("type") is names:
            settings |= {"multiple": True, "callback": _all_parts}
        declared = arguments[0] if arguments else ()
        complete = next((OF_OPTIONS[name] for name in declared if name in OF_OPTIONS), None)
        settings.setdefault("shell_complete", complete)
        super().__init__(*arguments, **settings)
        self.show_default = True
        self.section = section
        self.former = former

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser know the former names as well."""
        super().add_to_parser(parser, ctx)
        if self.former:
            action = "append" if self.multiple else "store"
            parser.add_option(obj=self, opts=self.former, dest=self.name, action=action, nargs=self.nargs)


class Command(click.Command):
    """A command whose help shows its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections in the order in which options first name them; what every command has comes last."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(param, "section", "General"), []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """Return ``click.option`` for an ``Option``."""
    return click.option(*names, cls=Option, **settings)


def section(title: str) -> Callable[..., Callable[[Function], Function]]:
    """Return ``option`` for a section of the help."""
    return partial(option, section=title)


def row_options(function: Function) -> Function:
    """Give a command ``--dataset`` and ``--where``, which exclude each other."""

    def exclude(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        other = "where" if param.name == "dataset" else "dataset"
        if value and ctx.params.get(other):
            raise click.UsageError(
                "--dataset and --where exclude each other: put dataset = '…' into the predicate", ctx
            )
        return value

    where = option(
        "--where",
        metavar="SQL",
        callback=exclude,
        section="Rows",
        help='Use only materials that satisfy this condition, such as "band_gap_eV > 0".  [default: all]',
    )
    dataset = option("--dataset", callback=exclude, section="Rows", help="Use only this dataset.  [default: all]")
    return dataset(where(function))


def column_options(title: str) -> Callable[[Function], Function]:
    """Give a command ``--formula-column`` and ``--structure-column`` in a section of the help."""
    in_section = section(title)
    formulas = in_section(
        "--formula-column", help="Read formulas from this column.  [default: formula, composition, …]"
    )
    structures = in_section(
        "--structure-column", help="Read structures from this column.  [default: structure, cif, poscar, …]"
    )
    return lambda function: formulas(structures(function))


def engine_options(title: str) -> Callable[[Function], Function]:
    """Give a command ``--engine`` and ``--address`` in a section of the help."""
    in_section = section(title)
    engine = in_section(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        help="Compute in this process, or on the nodes of a Ray cluster, which must all reach the lake.",
    )
    address = in_section(
        "--address",
        metavar="HOST:PORT",
        help="Head of the Ray cluster.  [default: $RAY_ADDRESS, else Ray starts on this machine]",
    )
    return lambda function: engine(address(function))


device_option: Final = option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", help="Compute on this device."
)
as_of_option: Final = option(
    "--as-of",
    metavar="MOMENT",
    section="Rows",
    help="Read the lake as it was: at a time, such as 2026-11-01T12:00Z (UTC, unless it names another zone); at the "
    "training of a head, head:NAME; or with versions of datasets, NAME=3.  [default: as it is]",
)
seed_option: Final = option("--seed", type=SEED, default=0, help="Seed all random numbers.")
