"""The page on vectors of other programs: its options are those that there are."""

import re
from pathlib import Path

import click

from matlake.cli.main import cli

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "external-vectors.md").read_text()


def test_its_commands_and_options_exist() -> None:
    context = click.Context(cli)
    command = cli.get_command(context, "import-embeddings")
    assert command is not None
    options = {option for one in command.params for option in one.opts}
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE.partition("## What a vector belongs to")[0])) - {"--structures"}
    assert named <= options
    assert {"--id-column", "--vector-column", "--layer", "--source", "--licence"} <= named
