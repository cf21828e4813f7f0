"""Predictions for materials of the lake: stored vectors, the same values as from formulas, nothing dropped."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import CRYSTAL_ENCODER, ELASTIC, ENCODER, Cli

import matlake
from matlake.errors import HeadError, LakeError, QueryError
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction import stored_rows
from matlake.regress.prediction.predict import Predictions
from matlake.regress.prediction.predict_table import WrittenPredictions
from matlake.regress.prediction.saving import SavedReport
from matlake.text_tables import plain_lines

MODULUS = "bulk_modulus_VRH_GPa"


@pytest.fixture(scope="module")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with 120 real crystals and two formulas, and heads on a network and on descriptors."""
    folder = tmp_path_factory.mktemp("crystals")
    pq.write_table(pq.read_table(ELASTIC).slice(0, 120), folder / "elastic.parquet")
    pq.write_table(pa.table({"formula": ["MgO", "NaCl"]}), folder / "formulas.parquet")
    opened = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(opened, folder / "elastic.parquet", "elastic")
    matlake.import_table(opened, folder / "formulas.parquet", "formulas")
    matlake.embed(opened, [CRYSTAL_ENCODER], where="dataset = 'elastic' AND nsites < 5")
    train(opened, TrainRequest(MODULUS, ["geometry", "magpie"], "ridge", name="described"))
    train(opened, TrainRequest(MODULUS, [CRYSTAL_ENCODER, "magpie"], "ridge", name="network"))
    return folder / "lake"


def by_id(predictions: Any) -> dict[str, float]:
    assert isinstance(predictions, Predictions)
    return {one.input: one.value for one in predictions.predictions}


def test_stored_vectors_give_what_formulas_give(lake: matlake.Lake, trained: TrainResult) -> None:
    stored = matlake.predict_dataset(lake, "gap", dataset="gaps")
    assert isinstance(stored, Predictions)
    rows = lake.query("SELECT material_id, formula FROM gaps ORDER BY material_id").to_pylist()
    assert [one.input for one in stored.predictions] == [row["material_id"] for row in rows]
    again = matlake.predict(lake, "gap", [row["formula"] for row in rows])
    spread = trained.card.evaluation.baseline.mae
    for one, other in zip(stored.predictions, again.predictions, strict=True):
        assert (one.dataset, one.formula) == ("gaps", other.input)
        for name in ("value", "lower", "upper", "ood_score"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-4 * spread), name
        assert one.warnings == other.warnings
        assert [near.material_id for near in one.nearest] == [near.material_id for near in other.nearest]


def test_blocks_of_any_size_give_the_same(lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = by_id(matlake.predict_dataset(lake, "gap"))
    monkeypatch.setattr(stored_rows, "BLOCK_BYTES", 0)
    monkeypatch.setattr(stored_rows, "FEWEST_ROWS", 50)
    blocks = by_id(matlake.predict_dataset(lake, "gap"))
    assert list(blocks) == list(whole)
    assert np.allclose(list(blocks.values()), list(whole.values()), atol=1e-6)


def test_a_predicate_selects_the_rows(lake: matlake.Lake) -> None:
    found = by_id(matlake.predict_dataset(lake, "gap", where="list_contains(elements, 'O') AND nelements = 2"))
    expected = lake.query("SELECT material_id FROM gaps WHERE list_contains(elements, 'O') AND nelements = 2")
    assert sorted(found) == sorted(expected["material_id"].to_pylist())
    with pytest.raises(QueryError):
        matlake.predict_dataset(lake, "gap", where="no_such_column > 1")
    with pytest.raises(LakeError, match="no dataset 'gasp'"):
        matlake.predict_dataset(lake, "gap", dataset="gasp")
    with pytest.raises(HeadError, match="there is no head 'gapp'"):
        matlake.predict_dataset(lake, "gapp", dataset="gaps")


def test_descriptors_are_computed_where_they_are_not_embedded(crystals: Path, tmp_path: Path) -> None:
    lake = matlake.open_lake(shutil.copytree(crystals, tmp_path / "lake"))
    computed = by_id(matlake.predict_dataset(lake, "described", dataset="elastic"))
    assert len(computed) == 120
    matlake.embed(lake, ["geometry"], dataset="elastic")
    read = by_id(matlake.predict_dataset(lake, "described", dataset="elastic"))
    assert np.allclose([read[name] for name in computed], list(computed.values()), rtol=1e-5)
    (tmp_path / "POSCAR").write_text(pq.read_table(ELASTIC)["poscar"][0].as_py())
    (parsed,) = matlake.predict_structures(lake, "described", [tmp_path / "POSCAR"]).predictions
    (first,) = lake.query(
        "SELECT material_id FROM internal.compositions WHERE dataset = 'elastic' AND source_row = 0"
    ).to_pylist()
    assert parsed.value == pytest.approx(read[first["material_id"]], rel=1e-4)


def test_every_row_is_predicted_or_explained(crystals: Path) -> None:
    lake = matlake.open_lake(crystals)
    found = matlake.predict_dataset(lake, "network", where="true")
    assert isinstance(found, Predictions)
    reasons = {failure.input: failure.reason for failure in found.failed}
    every = lake.query("SELECT material_id FROM materials")["material_id"].to_pylist()
    assert sorted([*by_id(found), *reasons]) == sorted(every)
    assert reasons["formulas-0"] == reasons["formulas-1"] == "no crystal structure"
    assert any("(formulas-0): no crystal structure" in line for line in plain_lines(found.lines()))
    others = {reason for name, reason in reasons.items() if not name.startswith("formulas")}
    assert others == {f"not embedded with {CRYSTAL_ENCODER}@{lake.find_encoder(CRYSTAL_ENCODER).card.default_layer}"}


def test_what_an_encoder_rejects_is_explained_in_its_words(
    lake: matlake.Lake, write_table: Callable[..., Path]
) -> None:
    matlake.import_table(lake, write_table(formula=["HeO", "TiO2"]), "more")
    matlake.embed(lake, [f"{ENCODER}@13", f"{ENCODER}@16"], dataset="more")
    found = matlake.predict_dataset(lake, "gap", dataset="more")
    assert isinstance(found, Predictions)
    assert [(one.input, one.reason) for one in found.failed] == [
        ("more-0", "element He is not among the 86 of this encoder")
    ]
    assert [one.formula for one in found.predictions] == ["TiO2"]


def test_rows_without_any_embedding_end_in_one_line_with_the_command(
    lake: matlake.Lake, write_table: Callable[..., Path], crystals: Path
) -> None:
    matlake.import_table(lake, write_table(formula=["RbCsKNa", "Lu3Tm"]), "more")
    with pytest.raises(HeadError, match="none of the 2 rows is embedded") as error:
        matlake.predict_dataset(lake, "gap", dataset="more")
    assert error.value.cli_hint == f"run `matlake embed --encoder {ENCODER}@13`"
    with pytest.raises(HeadError, match="none of the 2 rows has a crystal structure"):
        matlake.predict_dataset(matlake.open_lake(crystals), "described", dataset="formulas")


def test_the_command_lists_saves_and_writes(lake: matlake.Lake, tmp_path: Path) -> None:
    cli, output = Cli(lake.path), tmp_path / "predicted.parquet"
    shown = cli.json("predict", "gap", "--where", "formula = 'ZnO' OR material_id = 'gaps-0'")
    assert {"input", "dataset", "formula", "value", "lower", "upper", "ood_score"} <= shown["predictions"][0].keys()  # type: ignore[index]
    saved = cli.json("predict", "gap", "--dataset", "gaps", "--save", "--output", str(output))
    assert saved["rows"] == 307
    assert pq.read_table(output).column_names[:4] == ["dataset", "material_id", "formula", "predicted_band_gap_eV"]
    (counted,) = lake.query("SELECT count(*) AS n, count(DISTINCT head) AS heads FROM predictions").to_pylist()
    assert counted == {"n": 307, "heads": 1}
    assert "--save goes with --dataset" in cli.stderr("predict", "gap", "--formula", "TiO2", "--save", code=2)


def test_a_report_says_what_it_is(lake: matlake.Lake, tmp_path: Path) -> None:
    saved = matlake.predict_dataset(lake, "gap", save=True)
    assert isinstance(saved, SavedReport)
    assert saved.document()["predictions"] == []
    written = matlake.predict_dataset(lake, "gap", output=tmp_path / "x.csv")
    assert isinstance(written, WrittenPredictions)
    assert written.rows == 307
    with pytest.raises(LakeError, match="inside the lake"):
        matlake.predict_dataset(lake, "gap", output=lake.embeddings / "x.csv")
