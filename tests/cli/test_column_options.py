"""Columns of the user's own on the command line: named among the features, set for all inputs, or read from a table."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import matlake
from matlake.cli.main import cli
from matlake.cli.options import assignment, names


def run(lake: matlake.Lake, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--lake", str(lake.path), *arguments])


def predictions(lake: matlake.Lake, *arguments: str, code: int = 0) -> dict[str, Any]:
    command = ["--lake", str(lake.path), "predict", "gap_of_T", *arguments, "--json"]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert result.return_value == code, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_a_value_is_set_for_all_inputs(series: matlake.Lake, tmp_path: Path) -> None:
    found = predictions(series, "--formula", "GaN", "--formula", "ZnO", "--set", "temperature_K=300")
    assert [one["columns"] for one in found["predictions"]] == [{"temperature_K": 300.0}] * 2
    lacking = predictions(series, "--formula", "GaN", code=3)
    assert lacking["failed"] == [{"row": 0, "input": "GaN", "reason": "no value of temperature_K (in K)"}]
    wrong = predictions(series, "--formula", "GaN", "--set", "temperature_K=hot", code=3)
    assert wrong["failed"][0]["reason"] == "temperature_K (in K) is hot, which is not a finite number"
    table = tmp_path / "t.csv"
    table.write_text("formula,temperature_K\nGaN,300\nZnO,600\n")
    own = predictions(series, "--input", str(table))
    assert [one["columns"]["temperature_K"] for one in own["predictions"]] == [300.0, 600.0]
    table.write_text("formula\nGaN\n")
    one = predictions(series, "--input", str(table), "--set", "temperature_K=300")
    assert one["predictions"][0]["value"] == pytest.approx(own["predictions"][0]["value"])


def test_what_does_not_go_together_is_bad_usage(series: matlake.Lake) -> None:
    result = run(series, "predict", "gap_of_T", "--dataset", "series", "--set", "temperature_K=300")
    assert result.exit_code == 2
    assert "--set does not go with --dataset" in result.output
    assert run(series, "predict", "gap_of_T", "--formula", "GaN", "--set", "temperature_K").exit_code == 2


def test_names_in_quotes_may_hold_commas_and_values_may_follow_an_equals_sign() -> None:
    assert names('magpie, column:"T, K",column:"a ""b"", c",chgnet@1+2') == (
        *("magpie", 'column:"T, K"', 'column:"a ""b"", c"', "chgnet@1+2"),
    )
    assert names('a,"b') == ("a", '"b')
    assert assignment("p = q=3") == ("p = q", "3")
    with pytest.raises(click.BadParameter, match="not NAME=VALUE"):
        assignment("=3")


def test_a_head_says_which_columns_it_takes(series: matlake.Lake) -> None:
    shown = run(series, "heads", "show", "gap_of_T").output
    assert "column:temperature_K (100 to 600 K)" in shown
    document = json.loads(run(series, "heads", "show", "gap_of_T", "--json").stdout)
    assert document["features"][1]["column"] == "temperature_K"
    assert document["column_ranges"] == {"temperature_K": [100.0, 300.0, 600.0]}
    report = run(series, "heads", "report", "gap_of_T", "--output", str(series.path.parent / "report.html"))
    assert report.exit_code == 0, report.output
    assert "a column: 100 to 600 K in the training rows" in (series.path.parent / "report.html").read_text()
