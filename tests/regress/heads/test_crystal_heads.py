"""Heads on crystals: vectors are placed by crystal, and prediction starts from structures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card
from samples import CRYSTAL_ENCODER, ELASTIC, Cli

import matlake
from matlake.encoders.base import GraphsToEncode
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.encoder import open_encoder
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import HeadError, NotFiniteError, SourceError, TrainingError
from matlake.materials.compositions import element_fractions
from matlake.materials.crystal import CrystalColumns
from matlake.materials.formula import parse_formula
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict import predict, predict_structures
from matlake.regress.prediction.predict_table import predict_table, predict_to_file

POOLED = f"{CRYSTAL_ENCODER}@pooled"
COMPOSITION = "elemnet-oqmd-formation-energy@16"
FEATURES = [POOLED, COMPOSITION]
TARGET = "bulk_modulus_VRH_GPa"
NEON = "neon\n1.0\n0 2.2 2.2\n2.2 0 2.2\n2.2 2.2 0\nNe\n1\ndirect\n0 0 0\n"
OVERLAPPING = "iron\n1.0\n2.8 0 0\n0 2.8 0\n0 0 2.8\nFe\n2\ndirect\n0 0 0\n0.01 0 0\n"


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(ELASTIC).slice(0, 120)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> matlake.Lake:
    """120 real crystals, embedded with two encoders, and three heads."""
    folder = tmp_path_factory.mktemp("crystal-heads")
    pq.write_table(table, folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.embed(lake, FEATURES)
    train(lake, TrainRequest(TARGET, FEATURES, "ridge", name="both"))
    train(lake, TrainRequest(TARGET, [POOLED], "ridge", name="crystals"))
    train(lake, TrainRequest(TARGET, [COMPOSITION], "ridge", name="compositions"))
    return lake


def test_each_row_holds_the_vectors_of_its_own_crystal_and_composition(lake: matlake.Lake, table: pa.Table) -> None:
    matrix = read_matrix(lake, TARGET, resolve_features(lake, FEATURES))
    assert matrix.x.shape == (120, 128 + 32)
    texts = dict(zip(*(table[name].to_pylist() for name in ("material_id", "poscar")), strict=True))
    crystals = CrystalColumns.of([parse_structure(texts[name]) for name in matrix.material_id.tolist()])
    encoders = [open_encoder(lake.find_encoder(LayerRef.parse(feature).encoder).folder) for feature in FEATURES]
    fractions = element_fractions([parse_formula(formula) for formula in matrix.formula.tolist()])
    expected = np.hstack([encoders[0].encode(crystals, "pooled"), encoders[1].encode(fractions, "16")])
    assert np.abs(matrix.x - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_card_says_what_its_features_encode_and_older_cards_meant_compositions(lake: matlake.Lake) -> None:
    features = load_head(lake, "both").card.features
    assert [feature.input for feature in features] == ["crystal", "composition"]
    assert [feature.sha256 for feature in features] == [
        lake.find_encoder(feature.encoder).card.sha256 for feature in features
    ]
    edit_card(lake.heads_folder / "compositions" / "card.json", lambda card: card["features"][0].pop("input"))
    assert load_head(lake, "compositions").card.features[0].input == "composition"


def test_rows_without_crystal_are_left_out_and_said(
    tmp_path: Path, table: pa.Table, write_table: Callable[..., Path]
) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    values = [float(row) for row in range(12)]
    matlake.import_table(lake, write_table("f.parquet", formula=["Si"] * 12, energy_eV=values), "formulas")
    with pytest.raises(TrainingError, match="none of the 12 rows has a crystal structure") as caught:
        read_matrix(lake, "energy_eV", resolve_features(lake, [POOLED]))
    assert "import structures" in caught.value.hint
    some = table.slice(0, 11).select(["material_id", "poscar"]).append_column("energy_eV", [values[:11]])
    pq.write_table(some, tmp_path / "c.parquet")
    matlake.import_table(lake, tmp_path / "c.parquet", "crystals")
    with pytest.raises(TrainingError, match="nothing is embedded"):
        read_matrix(lake, "energy_eV", resolve_features(lake, [POOLED]))
    matlake.embed(lake, FEATURES)
    matrix = read_matrix(lake, "energy_eV", resolve_features(lake, FEATURES))
    assert set(matrix.dataset.tolist()) == {"crystals"}
    assert {(row.dataset, row.feature, row.reason) for row in matrix.missing} == {
        ("formulas", POOLED, "no crystal structure")
    }
    where = "dataset = 'formulas' OR energy_eV = 3"
    with pytest.raises(TrainingError, match=r"only 1 rows .* \(12 more: no crystal structure\)"):
        read_matrix(lake, "energy_eV", resolve_features(lake, FEATURES), where=where)


def test_structures_give_what_their_stored_vectors_give(
    lake: matlake.Lake, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(table.select(["material_id", "poscar"]), tmp_path / "in.parquet")
    monkeypatch.setattr("matlake.regress.prediction.opened_head.CHUNK_ATOMS", 100)
    for name in ("both", "crystals", "compositions"):
        head = load_head(lake, name)
        matrix = read_matrix(lake, TARGET, head.card.features)
        expected = dict(zip(matrix.material_id.tolist(), head.predict(matrix.x)[0].tolist(), strict=True))
        answer = predict_table(lake, name, tmp_path / "in.parquet")
        assert not answer.failed
        assert [one.input for one in answer.predictions] == table["material_id"].to_pylist()
        assert {one.input: one.value for one in answer.predictions} == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_files_of_structures_are_called_by_their_paths(lake: matlake.Lake, table: pa.Table, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "POSCAR", tmp_path / "b.vasp", tmp_path / "neon.poscar", tmp_path / "no.cif"]
    paths[0].parent.mkdir()
    for path, text in zip(paths, [*table["poscar"].to_pylist()[:2], NEON], strict=False):
        path.write_text(text)
    answer = predict_structures(lake, "both", paths)
    assert [one.input for one in answer.predictions] == [str(path) for path in paths[:2]]
    assert [(one.row, one.input) for one in answer.failed] == [(2, str(paths[2])), (3, str(paths[3]))]
    assert "Ne" in answer.failed[0].reason
    assert "no file" in answer.failed[1].reason
    folder = predict_structures(lake, "both", [tmp_path])
    assert sorted(one.input for one in folder.predictions) == [f"{tmp_path}: a", f"{tmp_path}: b"]


def test_what_is_no_crystal_is_explained_and_stops_nothing(
    lake: matlake.Lake, table: pa.Table, write_table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = table["poscar"].to_pylist()[:2]
    path = write_table(structure=[good[0], "nonsense", None, NEON, OVERLAPPING, good[1]])
    answer = predict_table(lake, "crystals", path)
    assert [one.input for one in answer.predictions] == [
        parse_structure(text).composition.reduced_formula for text in good
    ]
    reasons = {one.row: one.reason for one in answer.failed}
    assert list(reasons) == [1, 2, 3, 4]
    assert "Ne is not among the 88" in reasons[3]
    assert "on top of each other" in reasons[4]

    inner = CrystalEncoder.encode_inputs

    def overflowing(self: CrystalEncoder, inputs: GraphsToEncode, *others: object) -> object:
        if len(inputs) == 2:
            raise NotFiniteError("values that are not finite", [0])
        return inner(self, inputs, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(CrystalEncoder, "encode_inputs", overflowing)
    odd = predict_table(lake, "crystals", path)
    assert [one.input for one in odd.predictions] == [answer.predictions[1].input]
    assert {one.row: one.reason for one in odd.failed}[0] == "values that are not finite"


def test_a_head_on_crystals_refuses_formulas(
    lake: matlake.Lake, write_table: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(HeadError, match="head both needs crystal structures") as caught:
        predict(lake, "both", ["TiO2"])
    assert "--structure FILE" in caught.value.cli_hint
    path = write_table(formula=["TiO2"])
    with pytest.raises(HeadError, match="needs crystal structures, not formulas as in"):
        predict_table(lake, "crystals", path)
    with pytest.raises(HeadError, match="needs crystal structures"):
        predict_to_file(lake, "crystals", path, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_head_on_compositions_takes_formulas_first_then_structures(
    lake: matlake.Lake, table: pa.Table, tmp_path: Path
) -> None:
    pq.write_table(table.slice(0, 3).select(["formula", "poscar"]), tmp_path / "both.parquet")
    pq.write_table(table.slice(0, 3).select(["poscar"]), tmp_path / "structures.parquet")
    of_formulas = predict_table(lake, "compositions", tmp_path / "both.parquet")
    assert [one.input for one in of_formulas.predictions] == table["formula"].to_pylist()[:3]
    values = [one.value for one in of_formulas.predictions]
    named = predict_table(lake, "compositions", tmp_path / "both.parquet", structure_column="poscar")
    alone = predict_table(lake, "compositions", tmp_path / "structures.parquet")
    for answer in (named, alone):
        assert [one.value for one in answer.predictions] == pytest.approx(values, rel=1e-4)
    with pytest.raises(SourceError, match="no column 'formulas'"):
        predict_table(lake, "compositions", tmp_path / "both.parquet", formula_column="formulas")


def test_a_written_table_holds_the_other_columns_and_the_predictions(
    lake: matlake.Lake, table: pa.Table, tmp_path: Path
) -> None:
    texts = [*table["poscar"].to_pylist()[:2], NEON]
    pq.write_table(pa.table({"material_id": ["x", "y", "z"], "poscar": texts}), tmp_path / "in.parquet")
    report = predict_to_file(lake, "both", tmp_path / "in.parquet", tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.column_names[:3] == ["material_id", f"predicted_{TARGET}", "prediction_failure"]
    assert [value is None for value in written[f"predicted_{TARGET}"].to_pylist()] == [False, False, True]
    assert (report.rows, report.n_failed) == (2, 1)
    assert (report.failed[0].row, report.failed[0].input) == (2, "z")


def test_the_command_line_predicts_structures(lake: matlake.Lake, table: pa.Table, tmp_path: Path) -> None:
    cli = Cli(lake.path)
    (tmp_path / "one.vasp").write_text(table["poscar"][0].as_py())
    answer = cli.json("predict", "both", "--structure", str(tmp_path / "one.vasp"))
    assert [one["input"] for one in answer["predictions"]] == [str(tmp_path / "one.vasp")]  # type: ignore[attr-defined]
    assert "needs crystal structures" in str(cli.json("predict", "both", "--formula", "TiO2", code=1)["error"])
