"""Several queries at once, properties of what is found, and neighbours that are alike but for the nearest."""

from collections.abc import Callable
from pathlib import Path

import pytest
from samples import CRYSTAL_ENCODER, ELASTIC

import matlake
from matlake.errors import LakeError, QueryError, SourceError
from matlake.store.searching.search import SearchRequest, SearchResult, search

FEATURE = "fractions"


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> matlake.Lake:
    """Oxides in two datasets, some of them twice."""
    folder = tmp_path_factory.mktemp("many")
    lake = matlake.open_lake(folder / "lake", create=True)
    (folder / "a.csv").write_text(
        "id,formula,band_gap_eV\na1,TiO2,3.0\na2,Ti2O4,3.2\na3,TiO2,\na4,SiO2,8.9\na5,GeO2,5.5\n"
    )
    (folder / "b.csv").write_text("id,formula,phase\nb1,TiO2,rutile\nb2,ZrO2,fluorite\nb3,NaCl,rock salt\nb4,He,none\n")
    for name in "ab":
        matlake.import_table(lake, folder / f"{name}.csv", name, id_column="id")
    matlake.embed(lake, FEATURE)
    return lake


def names(found: SearchResult) -> list[str]:
    return [one.material_id for one in found.neighbours]


def test_several_are_searched_for_in_their_order_as_each_alone(lake) -> None:
    for key, values in (("material_id", ["a4", "b3", "a1"]), ("formula", ["SnO2", "KCl", "TiO2"])):
        together = search(lake, SearchRequest(FEATURE, 3, **{key: values}))
        assert not together.is_of_one
        assert [found.input for found in together.results] == values
        for value, found in zip(values, together.results, strict=True):
            assert found.neighbours == search(lake, SearchRequest(FEATURE, 3, **{key: value})).neighbours


def test_one_that_cannot_be_searched_for_does_not_stop_the_others(lake) -> None:
    found = search(lake, SearchRequest(FEATURE, 2, material_id=["a1", "nobody", "b4"]))
    assert [result.error and result.error[:30] for result in found.results] == [
        None, "there is no material 'nobody'", "'b4' has no embedding with fra"
    ]  # fmt: skip
    assert found.failed == 2
    assert found.document()["failed"] == 2
    assert [len(result["neighbours"]) for result in found.document()["results"]] == [2, 0, 0]
    found = search(lake, SearchRequest(FEATURE, 2, formula=["Xx", "SiO2", "He"]))
    assert [result.error is None for result in found.results] == [False, True, False]
    assert found.to_arrow()["input"].to_pylist() == ["SiO2"] * 2


def test_a_table_is_searched_for_row_by_row(lake, write_table: Callable[..., Path]) -> None:
    path = write_table(formula=["SnO2", None, "rubbish!", "NaCl"], id=["s", "t", "u", "v"])
    found = search(lake, SearchRequest(FEATURE, 1, table=path))
    assert [result.input for result in found.results] == ["s", "t", "u", "v"]
    assert [result.error is None for result in found.results] == [True, False, False, True]
    assert found.results[3].neighbours[0].material_id == "b3"
    frame = pytest.importorskip("pandas").read_parquet(path)
    assert lake.search(FEATURE, input=frame, k=1).document()["results"] == found.document()["results"]
    with pytest.raises(SourceError, match="no column of formulas"):
        search(lake, SearchRequest(FEATURE, 1, table=write_table("x.parquet", gap=[1.0])))


def test_a_table_of_structures_is_searched_for_by_graphs_and_by_compositions(tmp_path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(lake, ELASTIC, "elastic")
    few = "material_id IN (SELECT material_id FROM elastic ORDER BY source_row LIMIT 4)".replace(
        "source_row", "material_id"
    )
    matlake.embed(lake, [CRYSTAL_ENCODER, FEATURE], where=few)
    matlake.Lake.datasets.fget(lake).export("elastic", tmp_path / "some.csv", structures=True)
    lines = (tmp_path / "some.csv").read_text()
    assert "poscar" in lines.splitlines()[0]
    rows = lake.query(f"SELECT material_id FROM materials WHERE {few} ORDER BY 1")["material_id"].to_pylist()
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(tmp_path / "some.csv")
    frame[frame["material_id"].isin(rows)].sort_values("material_id").to_csv(tmp_path / "few.csv", index=False)
    for feature in (CRYSTAL_ENCODER, FEATURE):
        found = search(lake, SearchRequest(feature, 1, table=tmp_path / "few.csv"))
        assert [result.neighbours[0].distance == pytest.approx(0, abs=1e-4) for result in found.results] == [True] * 4


def test_properties_come_with_the_neighbours(lake) -> None:
    found = search(lake, SearchRequest(FEATURE, 10, material_id="a1", columns=["band_gap_eV", "band_gap_eV"]))
    values = {one.material_id: one.properties["band_gap_eV"] for one in found.neighbours}
    assert values == {"a2": 3.2, "a3": None, "a4": 8.9, "a5": 5.5, "b1": None, "b2": None, "b3": None}
    assert found.to_arrow().column_names == ["dataset", "material_id", "formula", "distance", "band_gap_eV"]
    every = search(lake, SearchRequest(FEATURE, 1, formula="NaCl", columns=["all", "all"]))
    assert every.document()["neighbours"][0]["properties"] == {"band_gap_eV": None, "phase": "rock salt"}
    assert "rock salt" in repr(every)
    with pytest.raises(QueryError, match="no property column 'gap'") as caught:
        search(lake, SearchRequest(FEATURE, formula="NaCl", columns=["gap"]))
    assert "band_gap_eV" in caught.value.hint


def test_of_equal_compositions_the_nearest_alone_is_a_neighbour(lake) -> None:
    assert names(search(lake, SearchRequest(FEATURE, 4, formula="TiO2"))) == ["a1", "a2", "a3", "b1"]
    found = search(lake, SearchRequest(FEATURE, 4, formula="TiO2", distinct="formula"))
    assert names(found)[:1] == ["a1"]
    assert sorted(one.formula for one in found.neighbours) == ["GeO2", "SiO2", "TiO2", "ZrO2"]
    every = search(lake, SearchRequest(FEATURE, 50, formula=["TiO2", "NaCl"], distinct="formula"))
    assert [len(result.neighbours) for result in every.results] == [5, 5]
    for given in ({}, {"material_id": "gaps-1", "formula": "NaCl"}):
        with pytest.raises(LakeError, match="a search is for an id, a formula, a structure or a table"):
            search(lake, SearchRequest(FEATURE, **given))
    with pytest.raises(LakeError, match="neighbours cannot be distinct by 'colour'"):
        search(lake, SearchRequest(FEATURE, formula="TiO2", distinct="colour"))


def test_of_equal_crystals_the_nearest_alone_is_a_neighbour(tmp_path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    for name in ("one", "two"):
        matlake.import_table(lake, ELASTIC, name)
    matlake.embed(lake, FEATURE, dataset="one")
    formula = lake.query("SELECT formula FROM one GROUP BY formula ORDER BY count(*) DESC, 1 LIMIT 1")["formula"][
        0
    ].as_py()
    same = lake.query(f"SELECT count(*) AS n FROM one WHERE formula = '{formula}'")["n"][0].as_py()
    plain = search(lake, SearchRequest(FEATURE, 2 * same, formula=formula))
    assert [one.distance for one in plain.neighbours] == [0.0] * (2 * same)
    distinct = search(lake, SearchRequest(FEATURE, same, formula=formula, distinct="structure"))
    assert {one.dataset for one in distinct.neighbours} == {"one"}
    assert [one.distance for one in distinct.neighbours] == [0.0] * same


def test_conditions_that_nothing_or_one_row_meets(lake) -> None:
    assert names(search(lake, SearchRequest(FEATURE, 5, formula="TiO2", where="band_gap_eV < 0"))) == []
    assert names(search(lake, SearchRequest(FEATURE, 5, formula="TiO2", where="phase = 'rock salt' -- salt"))) == ["b3"]
    assert names(search(lake, SearchRequest(FEATURE, 9, formula="TiO2", dataset="b"))) == ["b1", "b2", "b3"]
    assert names(search(lake, SearchRequest(FEATURE, 9, material_id="a1", where="formula = 'TiO2'"))) == ["a3", "b1"]
    for where in ("nonsense = 1", "1; DROP TABLE x", "dataset"):
        with pytest.raises(QueryError):
            search(lake, SearchRequest(FEATURE, formula="TiO2", where=where))
