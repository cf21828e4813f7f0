"""Options: one name for one idea, former names that still work, lists, and help in sections."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from matlake.cli.main import COMMANDS, cli
from matlake.cli.options import PLACE, Command, Option, names, option, row_options

FORMER = {"--target-rows": "--where", "--timeout": "--max-seconds"}


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def test_every_command_shows_its_help() -> None:
    found = dict(commands())
    assert {path[0] for path in found} == set(COMMANDS)
    for path, command in found.items():
        shown = CliRunner().invoke(cli, [*path, "--help"])
        assert shown.exit_code == 0
        assert "where not given" not in shown.output
        assert command.help
        assert all(param.help for param in command.params if isinstance(param, click.Option))


def test_former_names_work_and_are_not_shown() -> None:
    for path, command in commands():
        shown = CliRunner().invoke(cli, [*path, "--help"]).output
        for param in command.params:
            if isinstance(param, Option) and param.former:
                assert not any(f"{former} " in shown for former in param.former)
                assert all(FORMER.get(former, param.opts[0]) == param.opts[0] for former in param.former)


def test_a_former_name_means_the_new_one() -> None:
    @click.command(cls=Command)
    @option("--max-seconds", type=float, former=["--budget"], help="Stop after this time.")
    def command(max_seconds: float | None) -> None:
        click.echo(f"{max_seconds}")

    for given, told in ((["--budget", "5"], "5.0"), (["--max-seconds", "6"], "6.0"), ([], "None")):
        assert CliRunner().invoke(command, given).output.strip() == told
    assert "'soon' is not a valid float" in CliRunner().invoke(command, ["--budget", "soon"]).output


def test_every_option_shows_its_default() -> None:
    shown = CliRunner().invoke(cli, ["search", "--help"]).output
    assert "[default: 10; x>=1]" in " ".join(shown.split())


def test_a_list_is_split_at_its_commas() -> None:
    assert names(" a@1, b,") == ("a@1", "b")
    with pytest.raises(click.BadParameter, match="names nothing"):
        names(" , ")


def test_a_list_may_come_in_several_parts() -> None:
    @click.command(cls=Command)
    @option("--features", type=names, former=["--embedded"], help="Features.")
    def command(features: tuple[str, ...] | None) -> None:
        click.echo(f"{features}")

    for given, meant in (
        (["--features", "a,b", "--features", "c"], ("a", "b", "c")),
        (["--embedded", "a", "--features", "b"], ("a", "b")),
        ([], None),
    ):
        assert CliRunner().invoke(command, given).output.strip() == f"{meant}"


def test_dataset_and_where_exclude_each_other_in_either_order() -> None:
    @click.command(cls=Command)
    @row_options
    def command(dataset: str | None, where: str | None) -> None:
        click.echo(f"{dataset} {where}")

    both = ["--dataset", "a", "--where", "x > 0"]
    for arguments in (both, both[2:] + both[:2]):
        done = CliRunner().invoke(command, arguments)
        assert (done.exit_code, "exclude each other" in done.output) == (2, True)
    assert CliRunner().invoke(command, both[2:]).output.strip() == "None x > 0"


def test_options_that_name_files_of_this_machine_refuse_addresses() -> None:
    files = [
        param for command in dict(commands()).values() for param in command.params if isinstance(param.type, click.Path)
    ]
    assert len(files) > 15
    for param in files:
        with pytest.raises(click.BadParameter, match="is an address; give a path on this machine"):
            param.type.convert("s3://lakes/x.csv", param, None)


def test_options_that_name_a_place_take_addresses() -> None:
    assert str(PLACE.convert("s3://lakes/a//b/", None, None)) == "s3://lakes/a/b"
    assert PLACE.convert("file:///lakes/x", None, None) == Path("/lakes/x")
    with pytest.raises(click.BadParameter, match=r"a lake cannot be at 'ftp://x'; give a folder, or an address"):
        PLACE.convert("ftp://x", None, None)
