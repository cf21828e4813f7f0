"""One table, laid out for pipes, for Markdown and for a terminal."""

import click
import pytest
from click.testing import CliRunner

from matlake.cli import output
from matlake.cli.main import cli
from matlake.text_tables import Column, TextTable, plain_lines, rounded

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


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (1.8649, 0.33, "1.86"),
        (1.11e-16, 0.33, "0"),
        (-1e-9, 0.33, "0"),
        (0.004, 0.33, "0"),
        (-2.456, 0.33, "-2.46"),
        (206.43, 14.2, "206"),
        (1234.5, 320.0, "1230"),
        (123456.0, 14.2, "123456"),
        (1.23456e9, 3.2e6, "1.2346e+09"),
        (3.14159e-9, 2e-11, "3.142e-09"),
        (1.86, 0.0, "1.86"),
        (1.86444, float("nan"), "1.864"),
    ],
)
def test_numbers_are_written_with_the_digits_that_their_uncertainty_leaves(
    value: float, uncertainty: float, text: str
) -> None:
    assert rounded(value, uncertainty) == text
