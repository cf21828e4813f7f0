"""Every command, every subcommand and every public name has a place on a page that somebody wrote."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest
from pages import ROOT

import matlake
from matlake.cli.main import COMMANDS, cli

GENERATED: Final = ("commands.md", "functions.md", "lake.md")
WRITTEN: Final = [path for path in (ROOT / "docs").rglob("*.md") if path.name not in GENERATED]

IN_CODE: Final = re.compile(r"^```.*?^```|`[^`\n]+`|^#+ .*$", re.MULTILINE | re.DOTALL)
CODE: Final = "\n".join(found for path in WRITTEN for found in IN_CODE.findall(path.read_text()))


def every_command() -> Iterator[str]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help
        if isinstance(command, click.Group):
            yield from (f"{name} {sub}" for sub in command.commands)
        else:
            yield name


@pytest.mark.parametrize("command", list(every_command()))
def test_a_command_is_on_a_page(command: str) -> None:
    group, _, sub = command.partition(" ")
    assert re.search(rf"(?<![\w-]){re.escape(command)}(?![\w-])" + (rf"|\b{group}\.{sub}\b" if sub else ""), CODE)


def test_the_reference_has_a_row_for_every_command() -> None:
    table = (ROOT / "docs" / "reference" / "index.md").read_text()
    assert not [name for name in COMMANDS if not re.search(rf"^\|[^|]*`{name}[ `]", table, re.MULTILINE)]


def test_every_public_name_is_on_a_page() -> None:
    assert not [name for name in matlake.__all__ if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", CODE)]


def test_a_name_that_no_page_mentions_is_found() -> None:
    assert not re.search(r"(?<!\w)no_such_name(?!\w)", CODE)
    assert Path(WRITTEN[0]).is_file()
