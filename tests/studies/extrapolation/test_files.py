"""What an extrapolation tells people: lines, Markdown, plots, numbers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from extrapolation_samples import QuickNetwork

from benchmarks.helpers.extrapolation_tables import overview
from matlake.errors import LakeError
from matlake.studies.extrapolation.evaluate import ExtrapolationResult
from matlake.studies.extrapolation.tables import markdown
from matlake.studies.report import number, write_report


@pytest.fixture
def result(evaluated: Callable[..., ExtrapolationResult]) -> ExtrapolationResult:
    return evaluated([QuickNetwork()], seeds=1, splits=("value:high", "random"), name="files")


def _rows(text: str, first: str) -> list[dict[str, str]]:
    """Return the rows of the table whose heading begins so."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(f"| {first} |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:]]
    end = next((place for place, row in enumerate(cells) if len(row) != len(cells[0])), len(cells))
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:end]]


def test_tables_hold_the_numbers_of_the_report(result: ExtrapolationResult) -> None:
    report = result.report
    split = report.split("value:high")
    text = markdown(report)
    by_way = {row["method"].rstrip("*†"): row for row in _rows(text, "method")}
    for way in split.methods:
        assert by_way[way.method]["RMSE"] == number(way.rmse)
        assert by_way[way.method]["MAE"] == number(way.mae)
    (row, _) = _rows(overview([report]), "property")
    head = split.method(split.decoupled or "")
    assert row["its RMSE"].startswith(f"{number(head.rmse)} [")
    assert row["from scratch"] == f"{number(split.method('scratch:cgcnn').rmse)} (cgcnn)"
    assert row["ratio"] == "–"
    assert f"{split.ratios[0].rmse:.2f} [" in overview([report])
    failures = {row["MAE (rows)"]: row for row in _rows(text, "MAE (rows)")}
    found = split.failure("scratch:cgcnn")
    assert found is not None
    assert (
        failures["scratch:cgcnn"]["discontinuous"] == f"{number(found.discontinuous.mae)} ({found.discontinuous.rows})"
    )


def test_lines_say_what_is_compared_what_was_seen_and_the_rule(result: ExtrapolationResult) -> None:
    lines = "\n".join(result.lines())
    assert "bulk_modulus_VRH_GPa in GPa: 150 rows" in lines
    assert "A: cgcnn-mp-formation-energy@1" in lines
    assert "another, ≤ " in lines
    assert "scratch:cgcnn / ridge on" in lines
    assert "rule: trust a prediction whose elements are each in at least 10 training rows" in lines


def test_a_folder_gets_tables_plots_and_numbers(result: ExtrapolationResult, tmp_path: Path) -> None:
    write_report(result, tmp_path / "report")
    plots = [f"extrapolation_{name}.{ending}" for name in ("elements", "errors", "scores") for ending in ("png", "svg")]
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == sorted([*plots, "extrapolation.json", "extrapolation.md"])
    document = json.loads((tmp_path / "report" / "extrapolation.json").read_text())
    split = document["splits"][0]
    assert split["ratios"][0]["way"] == "scratch:cgcnn"
    assert {way["way"]: way["rmse"] for way in split["ways"]} == {
        way.method: way.rmse for way in result.report.splits[0].methods
    }
    assert split["ways"][1]["exposures"][0]["encoder"] == "cgcnn-mp-formation-energy"
    svg = (tmp_path / "report" / "extrapolation_errors.svg").read_text()
    assert "RMSE (GPa)" in svg
    assert "value:high" in svg
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match="cannot write"):
        write_report(result, tmp_path / "file")
