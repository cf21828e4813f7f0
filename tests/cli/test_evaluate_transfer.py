"""``evaluate transfer`` on the command line: JSON, exit codes, the folder for people."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples import GAPS, Cli

import matlake

ASKED = ("evaluate", "transfer", "--dataset", "gaps", "--sources", "elemnet-oqmd-formation-energy")
LITTLE = ("--configs", "Base,SC:ML(EF)", "--folds", "0", "--no-curves")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A command line on a lake of 120 measured band gaps."""
    path = tmp_path / "gaps.parquet"
    pq.write_table(pq.read_table(GAPS).slice(0, 120), path)
    matlake.import_table(matlake.open_lake(tmp_path / "lake", create=True), path, "gaps")
    return Cli(tmp_path / "lake")


def test_an_evaluation_answers_in_json_and_leaves_a_folder_for_people(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    found = cli.json(*ASKED, "--targets", "band_gap_eV", *LITTLE, "--output", str(folder))
    (target,) = found["targets"]  # type: ignore[misc]
    cells = {cell["configuration"]: cell for cell in target["cells"]}
    assert (target["target"], target["unit"]) == ("band_gap_eV", "eV")
    assert cells["SC:ML(EF)"]["test_mae"] < cells["Base"]["test_mae"]
    assert cells["TL:FineTune"]["state"] == "not run"
    assert json.loads((folder / "transfer.json").read_text())["targets"] == [target]
    assert "| band_gap_eV (eV) | 120 |" in (folder / "transfer.md").read_text()
    again = cli.json(*ASKED, "--targets", "band_gap_eV", *LITTLE)
    assert (again["measured"], again["targets"]) == (0, [target])


def test_people_are_told_what_was_not_run(cli: Cli) -> None:
    text = cli(*ASKED, "--targets", "band_gap_eV", "--configs", "Base", "--folds", "0", "--no-curves")
    assert "band_gap_eV" in text
    assert "not run: SC:ML(EF) on band_gap_eV" in text


def test_mistakes_end_with_a_message(cli: Cli) -> None:
    assert "no numeric column 'hardness'" in str(cli.json(*ASKED, "--targets", "hardness", code=1)["error"])
    assert "unknown configuration" in str(cli.json(*ASKED, "--configs", "SC:Magic", code=1)["error"])
    assert "exclude each other" in str(cli.json(*ASKED, "--where", "band_gap_eV > 0", code=2)["error"])


def test_options_have_one_name_in_the_help_and_their_former_names_work(cli: Cli) -> None:
    assert "--max-seconds" in cli("evaluate", "transfer", "--help")
    for study, former in (("transfer", ("--budget", "--embedded")), ("extrapolation", ("--budget", "--seen"))):
        shown = cli("evaluate", study, "--help")
        assert not [name for name in former if name in shown]
    asked = (*ASKED, "--targets", "band_gap_eV", *LITTLE, "--budget", "1e-9")
    assert cli.json(*asked, "--embedded", "magpie")["out_of_time"] is True
