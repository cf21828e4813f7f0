"""A lake in a notebook: its methods take and give back what a notebook holds."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from running_server import Running
from sample_crystals import rock_salt
from samples import ENCODER

import matlake
from matlake.errors import LakeError, MatlakeError, StructureError, TrainingError
from matlake.materials.structure_files.poscar_writer import poscar_text

FEATURE = f"{ENCODER}@13"


def test_a_lake_is_opened_by_text_and_says_what_it_holds(embedded: matlake.Lake, gap: matlake.Head) -> None:
    opened = matlake.open_lake(str(embedded.path))
    assert repr(opened).startswith(f"<lake at {embedded.path}: datasets gaps; heads ")
    assert isinstance(opened, matlake.Lake)
    assert matlake.predict(opened, gap.name, "GaN").predictions == gap.predict("GaN").predictions


def test_a_query_is_pandas_polars_arrow_or_numpy(embedded: matlake.Lake) -> None:
    statement = "SELECT material_id, formula, band_gap_eV, elements FROM gaps ORDER BY material_id LIMIT 3"
    found = embedded.sql(statement)
    assert len(found) == 3
    assert isinstance(found.pl(), pl.DataFrame)
    assert isinstance(found.arrow(), pa.Table)
    arrays = found.numpy()
    assert found.df()["formula"].tolist() == found.pl()["formula"].to_list() == arrays["formula"].tolist()
    assert arrays["band_gap_eV"].dtype == np.float64
    assert arrays["elements"][0].tolist() == found.arrow()["elements"][0].as_py()
    assert "3 rows, 4 columns" in repr(found)
    assert "<table>" in found._repr_html_()


def test_vectors_are_a_matrix_with_rows_of_nan_where_there_is_none(embedded: matlake.Lake) -> None:
    joined = "FROM gaps LEFT JOIN (SELECT * FROM embeddings WHERE layer = '13' LIMIT 300) USING (material_id)"
    vectors = embedded.sql(f"SELECT vector {joined}").numpy()["vector"]
    assert (vectors.shape, vectors.dtype) == ((307, 128), np.float32)
    assert np.isnan(vectors).all(axis=1).sum() == 7
    assert embedded.sql("SELECT NULL::FLOAT[2] AS v UNION ALL SELECT [1, 2]::FLOAT[2]").numpy()["v"].tolist()[1] == [
        1,
        2,
    ]
    ragged = embedded.sql("SELECT [1.5::FLOAT] AS v UNION ALL SELECT [1.5, 2.5]::FLOAT[]").numpy()["v"]
    assert sorted(map(len, ragged)) == [1, 2]
    assert embedded.sql("SELECT vector FROM embeddings WHERE false").numpy()["vector"].shape[0] == 0


def test_datasets_are_listed_shown_renamed_exported_and_deleted(lake: matlake.Lake, tmp_path: Path) -> None:
    assert list(lake.datasets) == ["gaps"]
    assert lake.datasets["gaps"].to_pandas()["name"].tolist() == ["band_gap_eV"]
    lake.datasets.rename("gaps", "measured")
    assert "measured" in lake.datasets
    assert lake.datasets.to_pandas()["materials"].tolist() == [300]
    assert lake.datasets.export("measured", tmp_path / "out.csv") == 300
    lake.datasets.delete("measured")
    assert len(lake.datasets) == 0
    assert "lake.add(" in repr(lake.datasets)
    with pytest.raises(LakeError, match="there is no dataset 'measured'"):
        lake.datasets.show("measured")


def test_a_search_starts_from_an_id_a_formula_a_structure_or_its_file(crystals: matlake.Lake, tmp_path: Path) -> None:
    crystals.embed("geometry", ["magpie"], progress=False)
    salt = rock_salt()
    rows = (salt.numbers.tolist(), salt.lattice.ravel().tolist(), salt.positions.ravel().tolist())
    (tmp_path / "POSCAR").write_text(poscar_text("salt", *rows))
    by_object = crystals.search("geometry", structure=salt, k=3)
    assert by_object.neighbours == crystals.search("geometry", structure=tmp_path / "POSCAR", k=3).neighbours
    assert by_object.to_pandas()["distance"].is_monotonic_increasing
    known = crystals.sql("SELECT material_id FROM elastic LIMIT 1").df()["material_id"][0]
    assert len(crystals.search("magpie", id=known, k=2).neighbours) == 2
    assert len(crystals.search("magpie", formula="NaCl").neighbours) == 10
    with pytest.raises(LakeError, match="a search is for an id"):
        crystals.search("magpie")


def test_failures_are_a_table_with_reasons(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    lake.add(["TiO2", "Xx2"], dataset="mine", progress=False)
    assert lake.failures.df()["formula"].tolist() == ["Xx2"]
    assert "unknown element" in lake.failures.numpy()["reason"][0]


def test_embed_needs_an_encoder(embedded: matlake.Lake) -> None:
    with pytest.raises(LakeError, match="no encoder is named"):
        embedded.embed()
    assert embedded.embed(FEATURE, progress=False).embedded == 0


def test_encoders_are_listed_shown_and_verified(embedded: matlake.Lake) -> None:
    assert {"magpie", ENCODER} <= set(embedded.encoders)
    assert embedded.encoders["magpie"].card.layers[0].dim == 145
    assert embedded.encoders.to_pandas().set_index("name")["dim"]["magpie"] == 145
    report = embedded.encoders.verify("magpie")
    assert report.passed
    assert "ok" in repr(report)


def test_heads_are_listed_and_found(embedded: matlake.Lake, gap: matlake.Head) -> None:
    assert gap.name in embedded.heads
    assert embedded.heads.to_pandas().set_index("name")["target"][gap.name] == "band_gap_eV"
    assert embedded.heads[gap.name].card == gap.card


def test_status_check_and_compact_are_reports(embedded: matlake.Lake, tmp_path: Path) -> None:
    copied = matlake.open_lake(shutil.copytree(embedded.path, tmp_path / "copy"))
    assert copied.status().datasets[0]["name"] == "gaps"
    assert copied.check(progress=False).sound
    assert "merged" in repr(copied.compact(progress=False))


def test_a_server_runs_beside_the_notebook_until_it_is_stopped(embedded: matlake.Lake, gap: matlake.Head) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra 'serve'")
    with embedded.serve(gap, port=0, log_level="error") as server:
        assert Running(int(server.url.rstrip("/").rpartition(":")[2])).get("/healthz").status == 200
        assert "<serving gap at http://127.0.0.1:" in repr(server)
    assert "stopped" in repr(server)


def test_a_lake_stays_open_when_the_folder_changes_and_knows_the_home(
    embedded: matlake.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(embedded.path.parent)
    opened = matlake.open_lake(embedded.path.name)
    monkeypatch.setenv("HOME", str(embedded.path.parent))
    at_home = matlake.open_lake(f"~/{embedded.path.name}")
    monkeypatch.chdir(tmp_path)
    assert len(opened.sql("SELECT * FROM gaps")) == len(at_home.sql("SELECT * FROM gaps")) == 307


def test_a_search_takes_whatever_encode_takes(embedded: matlake.Lake) -> None:
    text = "salt\n1.0\n5 0 0\n0 5 0\n0 0 5\nGa N\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
    disordered = SimpleNamespace(
        lattice=SimpleNamespace(matrix=np.eye(3) * 5),
        sites=[
            SimpleNamespace(species={"Ga": 0.5, "Al": 0.5}, frac_coords=(0, 0, 0)),
            SimpleNamespace(species={"N": 1.0}, frac_coords=(0.5, 0.5, 0.5)),
        ],
    )
    expected = embedded.search(FEATURE, formula="GaN", k=3).neighbours
    assert embedded.search(FEATURE, structure=text, k=3).neighbours == expected
    assert embedded.search(FEATURE, formula=matlake.parse_formula("GaN"), k=3).neighbours == expected
    nearest = embedded.search(FEATURE, formula="GaAlN2", k=3).neighbours
    assert embedded.search(FEATURE, structure=disordered, k=3).neighbours == nearest
    with pytest.raises(StructureError, match="molecule"):
        embedded.search(FEATURE, structure=SimpleNamespace(sites=[1]))


def test_features_are_named(embedded: matlake.Lake) -> None:
    with pytest.raises(TrainingError, match="no features are named"):
        embedded.train("band_gap_eV", [], progress=False)
    with pytest.raises(TrainingError, match="no target is named"):
        embedded.train([], "magpie", progress=False)


@pytest.mark.parametrize("seed", [None, -1, 0.5])
def test_a_seed_is_a_whole_number(embedded: matlake.Lake, seed: Any) -> None:
    with pytest.raises(TrainingError, match=f"the seed is {seed}"):
        embedded.train("band_gap_eV", "magpie", seed=seed, progress=False)
    assert matlake.TrainRequest("x", ["magpie"], seed=np.int64(3)).seed == 3  # type: ignore[arg-type]


def test_a_split_of_scikit_learns_is_refused_by_name(embedded: matlake.Lake) -> None:
    with pytest.raises(TrainingError, match="a Split is not a split that train knows"):
        embedded.train("band_gap_eV", "magpie", split=matlake.sklearn.Split("random"), progress=False)


def test_an_encoder_is_opened_by_text(embedded: matlake.Lake) -> None:
    folder = str(embedded.find_encoder("magpie").folder)
    assert matlake.open_encoder(folder).card.name == "magpie"
    assert all(one.passed for one in matlake.verify_encoder(str(embedded.find_encoder("fractions").folder)))


def test_features_in_one_text_are_split_outside_quotes_and_a_bare_column_is_known(series: matlake.Lake) -> None:
    lake = matlake.open_lake(series.path)
    with pytest.raises(TrainingError, match="no column 'T, K'"):
        lake.train("band_gap_eV", 'fractions,column:"T, K"', progress=False)
    with pytest.raises(TrainingError, match="'temperature_K' is a column") as raised:
        lake.train("band_gap_eV", "fractions,temperature_K", progress=False)
    assert raised.value.hint == "write column:temperature_K"


def test_a_lake_that_was_deleted_is_not_half_made_again(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    shutil.rmtree(lake.path)
    for use in (lambda: lake.add(["NaCl"], "new"), lambda: lake.sql("SELECT 1")):
        with pytest.raises(LakeError, match="is there no more"):
            use()
    assert not lake.path.exists()


def test_tab_completion_shows_what_a_notebook_needs(embedded: matlake.Lake) -> None:
    assert {"add", "connect", "datasets", "path", "train"} <= set(dir(embedded))
    assert not {"check_output", "heads_folder", "embeddings"} & set(dir(embedded))


def test_progress_and_a_count_that_cannot_be_are_refused(embedded: matlake.Lake) -> None:
    with pytest.raises(MatlakeError, match="progress is a builtin_function_or_method"):
        embedded.embed(FEATURE, progress=print)  # type: ignore[arg-type]
    with pytest.raises(LakeError, match="0 neighbours"):
        embedded.search(FEATURE, formula="GaN", k=0)
