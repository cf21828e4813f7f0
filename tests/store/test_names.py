"""Names of datasets and columns: those that SQL cannot tell apart, its keywords, and what its own tables are called."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples import BUNDLED, LAKE_0_1_0

from matlake import Lake, TrainRequest, embed, import_table, open_lake, status, train
from matlake.errors import DamageWarning, LakeError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.store.views import view_names
from matlake.text_tables import plain_lines

FEATURE = "elemnet-oqmd-formation-energy@16"
KEYWORDS = ("select", "table", "order", "from", "where", "group", "all", "null", "user", "values", "limit", "default")
SYSTEM = (
    "information_schema",
    "pg_catalog",
    "temp",
    "system",
    "memory",
    "duckdb_tables",
    "sqlite_master",
    "compositions",
)


def test_a_name_that_differs_in_capitals_alone_is_refused(lake: Lake, band_gaps: Path) -> None:
    before = sorted(lake.path.rglob("*"))
    with pytest.raises(LakeError, match="'gaps'") as caught:
        import_table(lake, band_gaps, "Gaps")
    assert "'gaps'" in caught.value.hint
    assert sorted(lake.path.rglob("*")) == before
    with pytest.raises(LakeError) as missing:
        lake.check_dataset("GAPS")
    assert "'gaps'" in missing.value.hint


def test_an_old_lake_with_such_names_opens_and_loses_nothing(tmp_path: Path) -> None:
    shutil.copytree(LAKE_0_1_0, tmp_path / "lake")
    for name in ("Gaps", "GAPS", "gaps_2", "Compositions", "compositions"):
        shutil.copytree(tmp_path / "lake" / "datasets" / "gaps", tmp_path / "lake" / "datasets" / name)
    lake = open_lake(tmp_path / "lake")
    counts = {row["dataset"]: row["n"] for row in lake.query(
        "SELECT dataset, count(*) AS n FROM materials GROUP BY 1").to_pylist()}  # fmt: skip
    same = ("gaps", "Gaps", "GAPS", "gaps_2", "Compositions", "compositions")
    assert {counts[name] for name in same} == {120}
    views = {d["name"]: d.get("view", d["name"]) for d in status(lake).document()["datasets"]}
    assert len({view.lower() for view in views.values()}) == len(views)
    for name in same:
        rows = lake.query(f'SELECT DISTINCT dataset FROM "{views[name]}"').to_pylist()
        assert rows == [{"dataset": name}]
        assert lake.show_dataset(name).summary.materials == 120
    assert sum("as SQL names know no capitals" in line for line in plain_lines(status(lake).lines())) == 3
    embed(lake, [FEATURE], dataset="Gaps")
    features = resolve_features(lake, [FEATURE])
    assert set(read_matrix(lake, "band_gap_eV", features, dataset="Gaps").dataset) == {"Gaps"}
    lake.rename_dataset("Gaps", "other")
    lake.delete_dataset("GAPS")
    lake.rename_dataset("Compositions", "third")
    assert "view" not in json.dumps(status(lake).document()["datasets"])


def test_a_damaged_dataset_leaves_the_view_of_one_of_nearly_its_name_readable(tmp_path: Path) -> None:
    shutil.copytree(LAKE_0_1_0, tmp_path / "lake")
    for name in ("GAPS", "Gaps"):
        shutil.copytree(tmp_path / "lake" / "datasets" / "gaps", tmp_path / "lake" / "datasets" / name)
    lake = open_lake(tmp_path / "lake")
    for entry in (lake.dataset("GAPS") / "_delta_log").glob("*.json"):
        entry.write_text("{")
    features = resolve_features(lake, ["fractions"])
    with pytest.warns(DamageWarning, match="GAPS"):
        assert set(read_matrix(lake, "band_gap_eV", features, dataset="gaps").dataset) == {"gaps"}
    with pytest.warns(DamageWarning, match="GAPS"), pytest.raises(LakeError, match="'GAPS' cannot be read") as caught:
        read_matrix(lake, "band_gap_eV", features, dataset="GAPS")
    assert "check" in caught.value.hint


def test_views_have_names_of_their_own() -> None:
    assert view_names(["GAPS", "Gaps", "gaps", "gaps_2"]) == {
        "GAPS": "GAPS", "Gaps": "Gaps_3", "gaps": "gaps_4", "gaps_2": "gaps_2"}  # fmt: skip


@pytest.mark.parametrize("name", [*KEYWORDS, *SYSTEM])
def test_keywords_and_names_of_the_system_name_datasets(tmp_path: Path, band_gaps: Path, name: str) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    pq.write_table(pq.read_table(band_gaps).slice(0, 60), tmp_path / "few.parquet")
    import_table(lake, tmp_path / "few.parquet", name)
    assert lake.query(f'SELECT count(*) AS n FROM main."{name}"').to_pylist() == [{"n": 60}]
    assert lake.query("SELECT DISTINCT dataset FROM materials").to_pylist() == [{"dataset": name}]
    assert lake.query("SELECT count(*) > 1 AS some FROM information_schema.tables").to_pylist() == [{"some": True}]
    assert [d["name"] for d in status(lake).document()["datasets"]] == [name]
    assert lake.show_dataset(name).columns[0].name == "band_gap_eV"
    assert len(read_matrix(lake, "band_gap_eV", resolve_features(lake, ["fractions"]), dataset=name).y) == 60


def test_datasets_of_crystals_are_told_apart_too(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 25), tmp_path / "few.parquet")
    import_table(lake, tmp_path / "few.parquet", "table")
    matrix = read_matrix(lake, "bulk_modulus_VRH_GPa", resolve_features(lake, ["fractions"]), crystals=True)
    assert matrix.crystals is not None
    assert matrix.crystals.sizes.min() > 0


@pytest.mark.parametrize(
    "name", ["materials", "Embeddings", "FAILURES", "embed", "internal", "main", "a.b", "a b", "1", ""]
)
def test_names_of_the_contract_are_refused(lake: Lake, band_gaps: Path, name: str) -> None:
    with pytest.raises(LakeError):
        import_table(lake, band_gaps, name)
    with pytest.raises(LakeError):
        lake.rename_dataset("gaps", name)


def test_keywords_name_properties(lake: Lake, write_table: Callable[..., Path]) -> None:
    formulas = ["Si", "Ge", "GaN", "ZnO", "MgO", "AlN", "InP", "CdS", "NaCl", "KBr", "LiF", "CaO"] * 2
    columns = {
        name: [float(i) for i in range(24)] for name in ("order", "select", "group", 'a "quoted" b', "x.y", "a'b")
    }
    import_table(lake, write_table(formula=formulas, **columns), "words")
    for name in columns:
        quoted = name.replace('"', '""')
        assert lake.query(f'SELECT max("{quoted}") AS m FROM words').to_pylist() == [{"m": 23.0}]
    assert set(columns) <= set(lake.show_dataset("words").summary.properties)
    assert len(read_matrix(lake, "order", resolve_features(lake, ["fractions"]), dataset="words").y) == 24
    assert train(lake, TrainRequest("order", ["fractions"], "ridge", dataset="words", name="words")).metrics.mae >= 0


def test_properties_that_differ_in_capitals_are_one_column_of_materials(
    lake: Lake, write_table: Callable[..., Path]
) -> None:
    import_table(lake, write_table("a.parquet", formula=["Si", "Ge"], Band_Gap=[1.0, 2.0]), "upper")
    import_table(lake, write_table("b.parquet", formula=["Si", "Ge"], band_gap=[3.0, 4.0]), "lower")
    row = lake.query("SELECT count(band_gap) AS n, sum(BAND_GAP) AS s FROM materials").to_pylist()
    assert row == [{"n": 4, "s": 10.0}]
