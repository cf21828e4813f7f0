"""Search: exact, deterministic, of one moment, and never a riddle when there is nothing to find."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from samples import CRYSTAL_ENCODER, ELASTIC, ENCODER

import matlake
from matlake.errors import EncoderError, FormulaError, LakeError, QueryError, SourceError, StructureError
from matlake.store.searching import k_nearest, stored_rows
from matlake.store.searching.index import Index, open_index
from matlake.store.searching.search import SearchRequest, search

FEATURE = "fractions"


@pytest.fixture
def searchable(lake) -> matlake.Lake:
    matlake.embed(lake, [FEATURE, "magpie"])
    return lake


@pytest.fixture
def lake_of(tmp_path: Path, write_table: Callable[..., Path]) -> Callable[..., matlake.Lake]:
    """Make a lake from lists of formulas, one a dataset, embedded with the element fractions."""

    def make(**datasets: list[str]) -> matlake.Lake:
        lake = matlake.open_lake(tmp_path / "small-lake", create=True)
        for name, formulas in datasets.items():
            matlake.import_table(lake, write_table(formula=formulas), name)
        matlake.embed(lake, [FEATURE])
        return lake

    return make


@pytest.fixture(scope="module")
def crystals(tmp_path_factory) -> matlake.Lake:
    """Thirty crystals embedded with a graph network and with their fractions."""
    folder = tmp_path_factory.mktemp("crystals")
    pq.write_table(pq.read_table(ELASTIC).slice(0, 30), folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.embed(lake, [CRYSTAL_ENCODER, FEATURE])
    return lake


def brute_force(index: Index, vector: np.ndarray, k: int, places: np.ndarray) -> list[str]:
    """Ids of the nearest among some materials, by distances in float64; ties in order of dataset and id."""
    difference = index.vectors_of(places).astype(np.float64) - vector.astype(np.float64)
    distances = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return index.materials["material_id"].take(places[np.lexsort((places, distances))[:k]]).to_pylist()


def ids(neighbours) -> list[str]:
    return [neighbour.material_id for neighbour in neighbours]


@pytest.mark.parametrize("feature", [FEATURE, "magpie"])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_neighbours_are_those_of_an_exhaustive_search(searchable, feature, k, monkeypatch) -> None:
    monkeypatch.setattr(k_nearest, "_HELD", 1000)  # a few vectors at a time
    monkeypatch.setattr(k_nearest, "_MEASURED", 1000)
    monkeypatch.setattr(stored_rows, "BLOCK_BYTES", 10_000)
    index = open_index(searchable, feature)
    everything = np.arange(len(index.contents))
    vectors = index.vectors_of(range(40)) + np.float32(0.01)
    for vector, found in zip(vectors, index.search(vectors, k), strict=True):
        assert ids(found) == brute_force(index, vector, k, everything)
        assert [n.distance for n in found] == sorted(n.distance for n in found)


def test_the_nearest_of_a_formula_is_itself_where_the_lake_has_it(searchable) -> None:
    index = open_index(searchable, FEATURE)
    first = index.materials.slice(0, 1).to_pylist()[0]
    found = search(searchable, SearchRequest(FEATURE, 3, formula=first["formula"])).neighbours
    assert found[0].material_id == first["material_id"]
    assert found[0].distance == 0
    assert found[1].distance > 0


def test_a_material_is_no_neighbour_of_itself_but_its_like_is(lake_of) -> None:
    lake = lake_of(a=["TiO2", "Ti2O4", "TiO", "SiO2"])
    found = search(lake, SearchRequest(FEATURE, 10, material_id="a-0")).neighbours
    assert ids(found) == ["a-1", "a-2", "a-3"]
    assert found[0].distance == 0


def test_equal_distances_come_in_order_of_dataset_and_id(lake_of) -> None:
    lake = lake_of(b=["SiO2", "TiO2"], a=["TiO2", "Si2O4"])
    index = open_index(lake, FEATURE)
    expected = [("a", "a-0"), ("a", "a-1"), ("b", "b-0"), ("b", "b-1")]
    for k in range(1, 5):
        (found,) = index.search(np.zeros((1, 86), dtype=np.float32), k)
        assert [(n.dataset, n.material_id) for n in found] == expected[:k]


def test_a_dataset_and_a_predicate_choose_the_neighbours(searchable) -> None:
    index = open_index(searchable, FEATURE)
    among = index.select("gaps", "band_gap_eV > 1 -- insulators")
    assert 0 < among.sum() < len(among)
    (found,) = index.search(index.vectors_of([0]), 5, among=among)
    assert ids(found) == brute_force(index, index.vectors_of([0])[0], 5, np.flatnonzero(among))
    gaps = searchable.query("SELECT material_id FROM gaps WHERE band_gap_eV > 1")["material_id"].to_pylist()
    assert set(ids(found)) <= set(gaps)


def test_a_predicate_that_selects_nothing_gives_nothing(searchable) -> None:
    assert search(searchable, SearchRequest(FEATURE, formula="GaAs", where="band_gap_eV < 0")).neighbours == []


@pytest.mark.parametrize("where", ["nonsense = 1", "dataset", "1; DROP TABLE x"])
def test_what_is_no_predicate_is_refused(searchable, where) -> None:
    with pytest.raises(QueryError):
        open_index(searchable, FEATURE).select(where=where)


def test_excluded_materials_are_left_out_for_their_own_vector_only(searchable) -> None:
    index = open_index(searchable, FEATURE)
    everything = np.arange(len(index.contents))
    vectors = index.vectors_of([0, 1])
    first, second = index.search(vectors, 4, exclude=[[0, 1, 2], []])
    assert ids(first) == brute_force(index, vectors[0], 4, everything[3:])
    assert ids(second) == brute_force(index, vectors[1], 4, everything)


def test_an_index_knows_when_it_is_old(searchable, write_table) -> None:
    index = open_index(searchable, FEATURE)
    matlake.embed(searchable, ["elemnet-oqmd-formation-energy@16"])
    assert index.is_current()  # another layer is no concern of this one
    matlake.import_table(searchable, write_table(formula=["NaCl", "He"]), "salts")
    assert not index.is_current()
    index = open_index(searchable, FEATURE)
    matlake.embed(searchable, [FEATURE])
    assert not index.is_current()
    index = open_index(searchable, FEATURE)
    assert index.is_current()
    assert len(index.find("salts-0")) == 1
    searchable.delete_dataset("salts")
    matlake.import_table(searchable, write_table(formula=["KCl"]), "salts")  # its table begins with version 0 again
    assert not index.is_current()


def test_contents_that_no_material_holds_any_more_are_not_found(lake_of, write_table) -> None:
    lake = lake_of(a=["TiO2", "SiO2"])
    matlake.import_table(lake, write_table(formula=["SiO2"]), "a")
    index = open_index(lake, FEATURE)
    assert len(index.contents) == 1
    (found,) = index.search(index.vectors_of([0]), 5)
    assert ids(found) == ["a-0"]


def test_threads_share_an_index(searchable) -> None:
    index = open_index(searchable, FEATURE)
    expected = index.search(index.vectors_of(range(50)), 5)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(index.search(index.vectors_of(range(50)), 5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_nothing_embedded_is_answered_with_the_command(lake) -> None:
    with pytest.raises(LakeError, match="nothing is embedded with fractions@fractions") as caught:
        open_index(lake, FEATURE)
    assert caught.value.cli_hint == "run `matlake embed --encoder fractions@fractions`"
    with pytest.raises(EncoderError, match="no encoder named 'absent'"):
        open_index(lake, "absent")


def test_an_id_without_a_vector_says_why(lake_of, write_table) -> None:
    lake = lake_of(a=["TiO2", "He"])
    matlake.import_table(lake, write_table(formula=["SiO2"]), "late")
    for material_id, message in (
        ("nobody", "there is no material 'nobody'"),
        ("a-1", "no embedding with fractions@fractions: element He is not among the 86"),
        ("late-0", "'late-0' is not embedded with fractions@fractions"),
    ):
        with pytest.raises(LakeError, match=message) as caught:
            search(lake, SearchRequest(FEATURE, material_id=material_id))
        assert caught.value.hint


def test_an_id_of_several_datasets_needs_one_named_where_they_differ(tmp_path, write_table) -> None:
    lake = matlake.open_lake(tmp_path / "named", create=True)
    for name, formulas in (("a", ["TiO2", "SiO2"]), ("b", ["Ti2O4", "GeO2"])):
        matlake.import_table(lake, write_table(formula=formulas, id=["x", "y"]), name, id_column="id")
    matlake.embed(lake, [FEATURE])
    found = search(lake, SearchRequest(FEATURE, material_id="x")).neighbours  # the same in both
    assert [(n.dataset, n.material_id) for n in found] == [("a", "y"), ("b", "y")]
    with pytest.raises(LakeError, match="'y' is another material in each of the datasets a, b"):
        search(lake, SearchRequest(FEATURE, material_id="y"))
    found = search(lake, SearchRequest(FEATURE, material_id="y", dataset="b")).neighbours
    assert [(n.dataset, n.material_id) for n in found] == [("b", "x")]
    with pytest.raises(LakeError, match="no dataset 'c'"):
        search(lake, SearchRequest(FEATURE, material_id="y", dataset="c"))


def test_a_formula_that_the_encoder_cannot_take_is_refused(searchable, crystals) -> None:
    for formula in ("Xx2", "He", ""):
        with pytest.raises(FormulaError):
            search(searchable, SearchRequest(FEATURE, formula=formula))
    with pytest.raises(EncoderError, match="takes crystals, not formulas") as caught:
        search(crystals, SearchRequest(CRYSTAL_ENCODER, formula="NaCl"))
    assert "--structure" in caught.value.cli_hint


def test_a_structure_finds_itself_by_graph_and_by_composition(crystals, tmp_path) -> None:
    row = pq.read_table(ELASTIC).slice(7, 1).to_pylist()[0]
    (tmp_path / "one.vasp").write_text(row["poscar"])
    for feature in (CRYSTAL_ENCODER, FEATURE):
        first = search(crystals, SearchRequest(feature, 3, structure=tmp_path / "one.vasp")).neighbours[0]
        assert first.material_id == row["material_id"]
        assert first.distance == pytest.approx(0, abs=1e-4)


def test_a_file_that_is_not_one_sound_structure_is_refused(crystals, tmp_path) -> None:
    (tmp_path / "table.csv").write_text("formula\nNaCl\n")
    (tmp_path / "broken.cif").write_text("data_x\n_cell_length_a 3\n")
    poscars = pq.read_table(ELASTIC)["poscar"].slice(0, 2).to_pylist()
    (tmp_path / "two").mkdir()
    for name, text in zip(("a.vasp", "b.vasp"), poscars, strict=True):
        (tmp_path / "two" / name).write_text(text)
    (tmp_path / "rare.vasp").write_text("He\n1\n3 0 0\n0 3 0\n0 0 3\nHe\n1\nDirect\n0 0 0\n")
    (tmp_path / "dense.vasp").write_text("Fe\n1\n3 0 0\n0 3 0\n0 0 3\nFe\n2\nDirect\n0 0 0\n0 0 0.01\n")
    for name, kind, message, feature in (
        ("table.csv", SourceError, "no structures in", CRYSTAL_ENCODER),
        ("absent.cif", SourceError, "no file at", CRYSTAL_ENCODER),
        ("two", SourceError, "holds several structures", CRYSTAL_ENCODER),
        ("broken.cif", (SourceError, StructureError), "broken.cif", CRYSTAL_ENCODER),
        ("rare.vasp", StructureError, "rare.vasp: element He", FEATURE),
        ("dense.vasp", StructureError, "dense.vasp: atoms on top of each other", CRYSTAL_ENCODER),
    ):
        with pytest.raises(kind, match=message):
            search(crystals, SearchRequest(feature, structure=tmp_path / name))


def test_joined_layers_weigh_alike_and_one_is_how_far_apart_materials_are(crystals) -> None:
    matlake.embed(crystals, f"{CRYSTAL_ENCODER}@1+prediction")
    index = open_index(crystals, f"{CRYSTAL_ENCODER}@1+prediction")
    single = [open_index(crystals, f"{CRYSTAL_ENCODER}@{layer}") for layer in ("1", "prediction")]
    assert index.feature == f"{CRYSTAL_ENCODER}@1+prediction"
    every = range(len(index.contents))
    assert index.vectors_of(every).shape == (len(single[0].contents), 129)
    squares = []
    for one in single:
        vectors = one.vectors_of(every).astype(np.float64)
        apart = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
        squares.append(apart / apart.mean())
    expected = np.sqrt(sum(squares) / 2)
    wide = index.vectors_of(every).astype(np.float64)
    assert np.sqrt(((wide[:, None] - wide[None]) ** 2).sum(axis=2)) == pytest.approx(expected, abs=1e-5)
    assert np.mean(expected**2) == pytest.approx(1.0)


def test_joined_layers_find_a_material_and_its_structure_alike(crystals, tmp_path) -> None:
    matlake.embed(crystals, f"{CRYSTAL_ENCODER}@all")
    feature = f"{CRYSTAL_ENCODER}@all"
    row = pq.read_table(ELASTIC).slice(3, 1).to_pylist()[0]
    path = tmp_path / "POSCAR"
    path.write_text(row["poscar"])
    by_id = search(crystals, SearchRequest(feature, k=5, material_id=row["material_id"]))
    itself, *others = search(crystals, SearchRequest(feature, k=6, structure=path)).neighbours
    assert itself.material_id == row["material_id"]
    assert itself.distance < 1e-3
    assert ids(others) == ids(by_id.neighbours)
    assert [n.distance for n in others] == pytest.approx([n.distance for n in by_id.neighbours], abs=1e-3)
    assert by_id.feature == f"{CRYSTAL_ENCODER}@1+2+3+pooled+hidden"


def test_joined_layers_leave_out_what_lacks_one_and_name_a_layer_that_nothing_has(lake_of) -> None:
    lake = lake_of(gaps=["GaAs", "ZnO", "NaCl", "Fe2O3"])
    matlake.embed(lake, f"{ENCODER}@1")
    with pytest.raises(LakeError, match=f"nothing is embedded with {ENCODER}@2"):
        open_index(lake, f"{ENCODER}@1+2")
    matlake.embed(lake, f"{ENCODER}@2", where="formula <> 'ZnO'")
    index = open_index(lake, f"{ENCODER}@1+2")
    assert sorted(index.materials["formula"].to_pylist()) == ["Fe2O3", "GaAs", "NaCl"]
    assert index.is_current()
    matlake.embed(lake, f"{ENCODER}@2")
    assert not index.is_current()
    assert open_index(lake, f"{ENCODER}@1+2").vectors_of(range(4)).shape == (4, 2048)
