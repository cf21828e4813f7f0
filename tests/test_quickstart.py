"""The main job, end to end, as a stranger runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    lake = tmp_path_factory.mktemp("quickstart") / "lake"
    done = subprocess.run(
        [sys.executable, "-m", "matlake", "--lake", str(lake), "quickstart", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def test_quickstart_embeds_every_material(report: dict[str, object]) -> None:
    assert report["materials"] == 4604
    assert report["embedded"] == 4601  # three compositions are there twice, written differently


def test_quickstart_head_beats_the_mean_and_plain_fractions(report: dict[str, dict[str, dict[str, float]]]) -> None:
    training = report["training"]
    assert training["unit"] == "eV"
    assert training["metrics"]["mae"] < 0.55 * training["baseline"]["mae"]
    assert training["metrics"]["mae"] < training["fractions_baseline"]["mae"]


def test_quickstart_queries_tell_something(report: dict[str, list[dict[str, object]]]) -> None:
    families = {row["family"]: row for row in report["families"]}
    assert families["oxides"]["median_gap_eV"] > families["tellurides"]["median_gap_eV"]  # type: ignore[operator]
    assert report["neighbours"][0]["distance"] > 0  # type: ignore[operator]
    assert len(report["neighbours"]) == 6


def test_quickstart_predicts_in_ev_and_draws(report: dict[str, list[dict[str, float]]]) -> None:
    assert [p["input"] for p in report["predictions"]] == ["GaN", "ZnO", "BaZrS3"]
    assert all(0 < p["value"] < 8 for p in report["predictions"])
    plots = [Path(str(plot)) for plot in report["plots"]]
    assert {plot.suffix for plot in plots} == {".png", ".svg"}
    assert all(plot.stat().st_size > 10_000 for plot in plots)


def test_quickstart_embeds_crystals_with_all_layers_of_a_potential(report: dict[str, dict[str, object]]) -> None:
    crystals = report["crystals"]
    assert crystals["materials"] == 1181
    assert crystals["embedded"] == 5 * 1181
    assert crystals["polymorphs"][0]["formula"] == "C"  # type: ignore[index]


def test_quickstart_head_on_crystals_beats_fractions_and_tells_polymorphs_apart(
    report: dict[str, dict[str, dict[str, dict[str, float]]]],
) -> None:
    training = report["crystals"]["training"]
    assert training["unit"] == "GPa"
    assert training["metrics"]["mae"] < 0.2 * training["baseline"]["mae"]
    assert training["metrics"]["mae"] < 0.6 * training["fractions_baseline"]["mae"]
    stiff = {p["input"]: p["value"] for p in report["crystals"]["predictions"]}  # type: ignore[index]
    assert stiff.keys() == {"cubic-BN", "stishovite-SiO2", "rutile-TiO2"}
    assert stiff["cubic-BN"] > 150  # the hexagonal form in the sample has 103 GPa
