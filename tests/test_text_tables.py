"""One table, laid out for pipes, for Markdown and for a terminal."""

import click
import pytest
from click.testing import CliRunner

from matlake.cli import output
from matlake.cli.main import cli
from matlake.text_tables import Column, TextTable, plain_lines

TABLE = TextTable(
    (Column("material"), Column("gap", "right", ".2f", "eV"), Column("note")),
    [("GaN", 3.4, "measured"), ("NaCl", None, "")],
)


def test_plain_text_is_aligned_below_a_rule() -> None:
    assert TABLE.lines() == [
        "material  gap (eV)  note",
        "--------  --------  --------",
        "GaN           3.40  measured",
        "NaCl             -",
    ]
    assert plain_lines(["heading", TABLE, "end"]) == ["heading", *TABLE.lines(), "end"]


def test_markdown_has_pipes_and_numbers_to_the_right() -> None:
    assert TABLE.markdown().splitlines()[:3] == [
        "| material | gap (eV) | note |",
        "| --- | ---: | --- |",
        "| GaN | 3.40 | measured |",
    ]


def test_a_terminal_gets_the_same_cells(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.ConsoleOutput().document({}, [TABLE])
    drawn = click.unstyle(capsys.readouterr().out)
    assert drawn.split()[:4] == ["material", "gap", "(eV)", "note"]
    assert drawn.splitlines() != TABLE.lines()
    monkeypatch.setenv("NO_COLOR", "1")
    output.ConsoleOutput().document({}, [TABLE])
    assert capsys.readouterr().out.splitlines() == TABLE.lines()


def test_no_color_is_an_option_of_every_command() -> None:
    done = CliRunner().invoke(cli, ["--no-color", "encoders", "list"])
    assert done.exit_code == 0
    assert done.output.splitlines()[1].startswith("----")
