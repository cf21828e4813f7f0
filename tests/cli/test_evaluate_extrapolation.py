"""``evaluate extrapolation`` from the command line, with real networks trained for one epoch."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from samples import CRYSTAL_ENCODER, ELASTIC

import matlake
from matlake import extras
from matlake.cli.main import cli
from matlake.encoders.card import Target, write_card
from matlake.errors import EncoderError, MatlakeError, MissingExtraError, SourceError, TrainingError

TARGET = "bulk_modulus_VRH_GPa"
POOLED = f"{CRYSTAL_ENCODER}@pooled"
FIRST = f"{CRYSTAL_ENCODER}@1"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """100 real crystals, embedded; and a few formulas without crystals."""
    folder = tmp_path_factory.mktemp("extrapolation-command")
    table = pq.read_table(ELASTIC)
    rows = np.sort(np.random.default_rng(1).permutation(len(table))[:100])
    pq.write_table(table.take(rows), folder / "elastic.parquet")
    formulas = pa.table({"formula": [f"Fe{n}O" for n in range(1, 21)], "hardness_GPa": np.arange(20.0)})
    pq.write_table(formulas, folder / "formulas.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.import_table(lake, folder / "formulas.parquet", "formulas")
    matlake.embed(lake, [POOLED, FIRST])
    return lake


@pytest.fixture
def run(lake: matlake.Lake) -> Callable[..., Result]:
    def call(**options: str) -> Result:
        given = {
            "target": TARGET,
            "splits": "value:high",
            "features": POOLED,
            "models": "ridge",
            "seeds": "1",
        } | options
        arguments = [text for name, value in given.items() for text in (f"--{name}", value)]
        return CliRunner().invoke(cli, ["--lake", str(lake.path), "evaluate", "extrapolation", *arguments, "--json"])

    return call


def test_every_way_runs_once(run: Callable[..., Result], lake: matlake.Lake, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    options = {
        "features": f"{POOLED};{FIRST},{POOLED}",
        "models": "svr-linear,svr-rbf,svr,ridge,kernel-ridge,random-forest",
        "networks": "cgcnn",
        "epochs": "1",
        "seeds": "1",
        "parameters": "default",
        "output": str(tmp_path / "report"),
        "name": "every-way",
    }
    done = run(**options)
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["letters"] == {"A": [POOLED], "B": [FIRST, POOLED]}
    assert document["measurements"] == document["measured"] == 1 + 2 * 7 + 2
    (split,) = document["splits"]
    assert {way["state"] for way in split["ways"]} == {"measured"}
    assert {ratio["way"] for ratio in split["ratios"]} == {"scratch:cgcnn", f"fine-tune:{CRYSTAL_ENCODER}"}
    network = next(way for way in split["ways"] if way["kind"] == "fine-tune")
    assert network["exposures"][0]["trained_on"] == ["formation_energy_eV_per_atom"]
    assert network["fit_rows"] < split["n_train"]
    assert (tmp_path / "report" / "extrapolation.md").read_text().startswith("- bulk_modulus_VRH_GPa in GPa")
    again = json.loads(run(**{name: value for name, value in options.items() if name != "output"}).stdout)
    assert again["measured"] == 0
    assert again["splits"] == document["splits"]
    assert not list((lake.path / "unfinished").glob("*"))
    assert (lake.path / "extrapolations").is_dir()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"splits": "moon"}, TrainingError, "unknown split 'moon'"),
        ({"splits": "element:Xe"}, TrainingError, "contain Xe"),
        ({"features": "nowhere"}, EncoderError, "no encoder named 'nowhere'"),
        ({"features": f"{CRYSTAL_ENCODER}@9"}, EncoderError, "has no layer '9'"),
        ({"features": f"{CRYSTAL_ENCODER}@hidden"}, TrainingError, "nothing is embedded with"),
        ({"features": f"{POOLED},{POOLED}"}, TrainingError, "named twice"),
        ({"target": "hardness"}, TrainingError, "no column 'hardness'"),
        ({"target": "formula"}, TrainingError, "not numbers"),
        ({"models": "oracle"}, TrainingError, "unknown model 'oracle'"),
        ({"networks": "magpie"}, EncoderError, "gives no crystal graph network"),
        (
            {"networks": "cgcnn", "features": "fractions", "target": "hardness_GPa"},
            TrainingError,
            "no crystal structure",
        ),
        ({"seen": "nowhere.parquet"}, SourceError, "no file"),
        ({"seen": "elastic"}, SourceError, "is not the table that any of these encoders"),
    ],
)
def test_what_is_wrong_is_said(
    run: Callable[..., Result], options: dict[str, str], error: type[MatlakeError], message: str
) -> None:
    done = run(**options)
    assert isinstance(done.exception, error)
    assert message in str(done.exception)
    assert error is SourceError or done.exception.hint or "named twice" in message


def test_only_a_report_with_plots_needs_matplotlib(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "matplotlib")
    assert run(name="without-plots").exit_code == 0
    refused = run(name="without-plots", output=str(tmp_path / "report")).exception
    assert isinstance(refused, MissingExtraError)
    assert "the report of a comparison needs matplotlib" in str(refused)
    assert refused.hint == "pip install 'matlake[plots]'"


def test_bad_usage_is_told_apart(run: Callable[..., Result]) -> None:
    for options, message in (
        ({"starts": "warm"}, "--starts takes scratch and fine-tune, not warm"),
        ({"dataset": "elastic", "where": "nelements = 2"}, "exclude each other"),
        ({"leakage": "none"}, "is not one of"),
        ({"seeds": "0"}, "is not in the range"),
    ):
        done = run(**options)
        assert done.exit_code == 2
        assert message in done.output


def test_a_dataset_of_the_lake_tells_what_an_encoder_trained_on_it_saw(
    run: Callable[..., Result], lake: matlake.Lake
) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    shipped, folder = lake.find_encoder(CRYSTAL_ENCODER), lake.encoders_folder / "own"
    shutil.copytree(shipped.folder, folder)
    training = shipped.card.training
    sha256, _ = lake.read_dataset("elastic")
    assert training.table is not None
    assert training.columns is not None
    columns = replace(training.columns, target_columns=(TARGET,), material_column=None, held_out=None)
    table = replace(training.table, file="elastic", sha256=sha256)
    own = replace(
        shipped.card,
        name="own",
        target=Target(TARGET, "GPa"),
        training=replace(training, table=table, columns=columns),
    )
    write_card(own, folder)
    matlake.embed(lake, ["own"])
    done = run(features="own", seen="elastic", networks="own", epochs="1", name="own")
    assert done.exit_code == 0, done.output
    split = json.loads(done.stdout)["splits"][0]
    ways = {way["way"]: way for way in split["ways"]}
    assert {name for name, way in ways.items() if way["state"] == "refused"} == {
        *("nearest on A", "ridge on A", "fine-tune:own")
    }
    assert ways["scratch:cgcnn"]["state"] == ways["mean"]["state"] == "measured"
    (exposure,) = ways["ridge on A"]["exposures"]
    assert exposure["how"] == "by its table"
    assert exposure["same_property"]
    assert exposure["compositions"] == exposure["crystals"] > 10
    told = json.loads(run(features="own", seen="elastic", leakage="report", name="own").stdout)["splits"][0]
    assert {way["state"] for way in told["ways"]} == {"measured"}
