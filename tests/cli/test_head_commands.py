"""``train`` and ``predict`` on the command line: JSON shapes, exit codes, where errors go."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples import Cli

import matlake

FEATURE = "elemnet-oqmd-formation-energy@16"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory, imported: matlake.Lake) -> Cli:
    """A lake with a layer embedded, which all tests here share: each head has a name of its own."""
    lake = matlake.open_lake(shutil.copytree(imported.path, tmp_path_factory.mktemp("heads") / "lake"))
    matlake.embed(lake, [FEATURE])
    return Cli(lake.path)


def test_heads_are_trained_asked_listed_shown_exported_and_deleted(cli: Cli, tmp_path: Path) -> None:
    assert "no heads yet" in cli("heads", "list")
    assert "no head 'gap'" in str(cli.json("predict", "gap", "--formula", "TiO2", code=1)["error"])
    trained = cli.json("train", "--target", "band_gap_eV", "--features", FEATURE, "--model", "ridge", "--name", "gap")
    assert trained.keys() >= {"head", "target", "unit", "n_train", "n_test", "metrics", "baseline"}
    assert (trained["head"], trained["unit"]) == ("gap", "eV")
    assert cli.json("status")["heads"] == ["gap"]

    predicted = cli.json("predict", "gap", "--formula", "TiO2", "--formula", "Xx", code=3)
    assert predicted.keys() >= {"head", "unit", "predictions", "failed"}
    (prediction,), (failed,) = predicted["predictions"], predicted["failed"]  # type: ignore[misc]
    assert prediction["input"] == "TiO2"
    assert failed["input"] == "Xx"

    table, target = tmp_path / "t.csv", tmp_path / "out.parquet"
    table.write_text("composition\nTiO2\nGaN\n")
    assert len(cli.json("predict", "gap", "--input", str(table))["predictions"]) == 2  # type: ignore[arg-type]
    assert cli.json("predict", "gap", "--input", str(table), "--output", str(target))["rows"] == 2
    assert pq.read_table(target)["predicted_band_gap_eV"].to_pylist()[0] == pytest.approx(prediction["value"], abs=1e-4)

    (listed,) = cli.json("heads", "list")["heads"]  # type: ignore[misc]
    assert (listed["name"], listed["target"], listed["model"]) == ("gap", "band_gap_eV", "ridge")
    assert cli.json("heads", "show", "gap")["sha256"] == listed["sha256"]
    assert "test MAE" in cli("heads", "show", "gap")
    assert cli("heads", "list").splitlines()[2].split()[:4] == ["gap", "band_gap_eV", "ridge", FEATURE]
    exported = cli.json("heads", "export", "gap", "--output", str(tmp_path / "mine"))
    assert exported["sha256"] == listed["sha256"]
    assert (tmp_path / "mine" / "card.json").exists()
    assert cli.json("heads", "delete", "gap") == {"deleted": "gap"}
    assert cli.json("heads", "list") == {"heads": []}
    assert "no head 'gap'" in str(cli.json("heads", "show", "gap", code=1)["error"])


def test_people_read_units_and_baselines(cli: Cli) -> None:
    text = cli("train", "--target", "band_gap_eV", "--features", FEATURE, "--model", "knn")
    assert "band_gap_eV in eV" in text
    assert "mean of the training rows" in text
    assert " eV" in cli("predict", "band_gap_eV-knn", "--formula", "GaN")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("train", "--target", "gap", "--features", FEATURE, "--model", "ridge"), 1, "no column 'gap'"),
        (("train", "--target", "band_gap_eV", "--features", f"{FEATURE}0", "--model", "ridge"), 1, "no layer '160'"),
        (("train", "--target", "band_gap_eV", "--features", FEATURE, "--model", "oracle"), 1, "unknown model 'oracle'"),
        (("train", "--target", "band_gap_eV"), 2, "Missing option '--features'"),
        (("predict", "gap", "--formula", "TiO2"), 1, "no head 'gap'"),
        (("predict", "gap"), 2, "give one of --formula, --structure, --input, --dataset"),
        (("predict", "gap", "--formula", "TiO2", "--structure", "x.cif"), 2, "give one of"),
        (("predict", "gap", "--formula", "TiO2", "--output", "x.csv"), 2, "goes with --input"),
        (("predict", "gap", "--structure", "x.cif", "--structure-column", "cif"), 2, "go with --input"),
    ],
)
def test_errors_are_documents_with_a_remedy(cli: Cli, arguments: tuple[str, ...], code: int, error: str) -> None:
    document = cli.json(*arguments, code=code)
    assert error in str(document["error"])
    assert document["hint"]
