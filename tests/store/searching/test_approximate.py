"""An approximate index finds what it promises, searches new rows exactly, and honours conditions."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from samples import ENCODER, GAPS

import matlake
from matlake.errors import LakeError, MissingExtraError
from matlake.store.searching import approximate, index
from matlake.store.searching.approximate import RECALL
from matlake.store.searching.search import SearchRequest, search
from matlake.store.searching.stored_rows import INDEX

pytest.importorskip("faiss")

FEATURE = f"{ENCODER}@11"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    lake = matlake.open_lake(tmp_path_factory.mktemp("approximate") / "lake", create=True)
    matlake.import_table(lake, GAPS, "gaps")
    matlake.embed(lake, FEATURE)
    return lake.path


@pytest.fixture
def lake(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> matlake.Lake:
    shutil.copytree(made, tmp_path / "lake")
    monkeypatch.setattr(index, "PAYS", 1000)
    return matlake.open_lake(tmp_path / "lake")


def recall(found: list[list], expected: list[list]) -> float:
    """Share of the neighbours that are as near as the last of those expected."""
    pairs = zip(found, expected, strict=True)
    return float(np.mean([np.mean([one.distance <= true[-1].distance for one in near]) for near, true in pairs]))


def test_it_finds_nearly_all_and_measures_their_distances_exactly(lake) -> None:
    exact, fast = matlake.open_index(lake, FEATURE), matlake.open_index(lake, FEATURE, approximate=True)
    assert exact.recall is None
    assert fast.recall >= RECALL
    assert fast.approximate.probes < fast.approximate.clusters.nlist / 2  # it looks at a part of them
    places = np.arange(0, len(exact.contents), 9)
    vectors = exact.vectors_of(places)
    exclude = [[place] for place in places]
    expected, found = (one.search(vectors, 10, exclude=exclude) for one in (exact, fast))
    assert recall(found, expected) >= RECALL - 0.01  # other queries than those that it was measured with
    distances = {(one.material_id, row): one.distance for row, near in enumerate(expected) for one in near}
    same = [(one.distance, distances.get((one.material_id, row))) for row, near in enumerate(found) for one in near]
    assert all(distance == true for distance, true in same if true is not None)


def test_all_that_are_wanted_are_found_where_the_clusters_nearby_hold_fewer(lake) -> None:
    exact, fast = (matlake.open_index(lake, FEATURE, approximate=approximate) for approximate in (False, True))
    vectors = exact.vectors_of([5])
    assert fast.search(vectors, 2**63) == exact.search(vectors, 10**6)
    assert len(fast.search(vectors, 10**6)[0]) == len(exact.contents)


def test_it_is_kept_and_made_anew_where_too_much_has_changed(lake, write_table) -> None:
    first = matlake.open_index(lake, FEATURE, approximate=True)
    (folder,) = lake.path.rglob(f"{INDEX}*")
    formulas = [f"Ti{n}Zr{m}O7" for n in range(1, 21) for m in range(1, 21)]
    matlake.import_table(lake, write_table(formula=formulas), "late")
    matlake.embed(lake, FEATURE)
    second = matlake.open_index(lake, FEATURE, approximate=True)
    assert [*lake.path.rglob(f"{INDEX}*")] == [folder]
    assert second.recall == first.recall
    exact = matlake.open_index(lake, FEATURE)
    (place,) = exact.find("late-77")
    (near,) = second.search(exact.vectors_of([place]), 1)
    assert near == exact.search(exact.vectors_of([place]), 1)[0]
    assert len(second.approximate.later) > 300
    matlake.import_table(
        lake, write_table("t.parquet", formula=[f"Hf{n}V{m}S5" for n in range(1, 51) for m in range(1, 51)]), "more"
    )
    matlake.embed(lake, FEATURE)
    third = matlake.open_index(lake, FEATURE, approximate=True)
    assert len(third.approximate.later) == 0
    assert len([*lake.path.rglob(f"{INDEX}*")]) == 2


def test_what_the_lake_no_longer_has_is_not_found(lake) -> None:
    matlake.open_index(lake, FEATURE, approximate=True)
    kept = lake.query("SELECT formula FROM gaps WHERE hash(material_id) % 20 > 0")
    lake.add(kept.to_pandas(), dataset="gaps", progress=False)
    exact, fast = matlake.open_index(lake, FEATURE), matlake.open_index(lake, FEATURE, approximate=True)
    assert len([*lake.path.rglob(f"{INDEX}*")]) == 1
    assert (fast.approximate.rows < 0).sum() > 100
    vectors = exact.vectors_of(range(0, 4000, 50))
    assert recall(fast.search(vectors, 10), exact.search(vectors, 10)) >= RECALL - 0.02


def test_with_a_condition_all_neighbours_are_found(lake) -> None:
    exact, fast = matlake.open_index(lake, FEATURE), matlake.open_index(lake, FEATURE, approximate=True)
    vectors = exact.vectors_of(range(0, 4000, 100))
    for where in ("band_gap_eV > 4", "nelements = 2", "false"):
        among = exact.select(where=where)
        assert fast.search(vectors, 7, among=among) == exact.search(vectors, 7, among=among)


@pytest.mark.parametrize("name", ["clusters.faiss", "hashes.u64", "segment.json"])
def test_a_damaged_one_is_not_used(lake, name: str) -> None:
    matlake.open_index(lake, FEATURE, approximate=True)
    (folder,) = lake.path.rglob(f"{INDEX}*")
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 0x10
    (folder / name).write_bytes(data)
    fast, exact = matlake.open_index(lake, FEATURE, approximate=True), matlake.open_index(lake, FEATURE)
    assert len([*lake.path.rglob(f"{INDEX}*")]) == 2
    vectors = exact.vectors_of(range(0, 4000, 100))
    assert recall(fast.search(vectors, 10), exact.search(vectors, 10)) >= RECALL - 0.02
    os.utime(folder, (0, 0))


def test_a_search_says_how_many_neighbours_it_finds(lake, monkeypatch) -> None:
    request = SearchRequest(FEATURE, 3, formula=["TiO2", "GaAs"], approximate=True)
    found = search(lake, request)
    assert found.document()["recall"] >= RECALL
    assert "recall" not in search(lake, SearchRequest(FEATURE, 3, formula="TiO2")).document()
    with_condition = SearchRequest(FEATURE, 3, formula="TiO2", where="band_gap_eV > 1", approximate=True)
    assert "recall" not in search(lake, with_condition).document()
    monkeypatch.setattr(index, "PAYS", 1_000_000)
    assert "recall" not in search(lake, request).document()


def test_it_is_of_one_layer_and_needs_its_extra(lake, monkeypatch) -> None:
    matlake.embed(lake, f"{ENCODER}@16")
    with pytest.raises(LakeError, match="is of one layer"):
        matlake.open_index(lake, f"{ENCODER}@11+16", approximate=True)
    monkeypatch.setattr("matlake.extras.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match="an approximate search needs faiss") as caught:
        matlake.open_index(lake, FEATURE, approximate=True)
    assert "matlake[index]" in caught.value.hint
    assert approximate.PAYS == 100_000
