"""Near-duplicates are all pairs within a distance, and diverse selections are those of farthest-point sampling."""

import numpy as np
import pytest
from samples import ENCODER, GAPS

import matlake
from matlake.errors import LakeError
from matlake.store.searching import dedupe as dedupe_module
from matlake.store.searching.dedupe import DedupeRequest, dedupe
from matlake.store.searching.diverse import DiverseRequest, diverse

FEATURE = f"{ENCODER}@11"


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> matlake.Lake:
    lake = matlake.open_lake(tmp_path_factory.mktemp("dedupe") / "lake", create=True)
    matlake.import_table(lake, GAPS, "gaps")
    matlake.embed(lake, FEATURE, where="hash(material_id) % 8 = 0")
    return lake


def distances(lake: matlake.Lake, where: str) -> tuple[list[str], np.ndarray]:
    """All distances in float64, of materials in order."""
    rows = lake.query(
        f'SELECT material_id, vector FROM embed."{FEATURE}" JOIN materials USING (dataset, material_id) '
        f"WHERE {where} ORDER BY dataset, material_id"
    )
    vectors = np.array(rows["vector"].to_pylist(), dtype=np.float32).astype(np.float64)
    return rows["material_id"].to_pylist(), np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=2))


@pytest.mark.parametrize("where", ["true", "band_gap_eV > 1"])
@pytest.mark.parametrize("distance", [0.0, 0.3, 1.5])
def test_near_duplicates_are_those_of_all_pairs(lake, monkeypatch, where: str, distance: float) -> None:
    monkeypatch.setattr(dedupe_module, "_POINTS", 50)
    monkeypatch.setattr(dedupe_module, "_LARGEST", 70)
    names, apart = distances(lake, where)
    near = apart <= distance
    found = dedupe(lake, DedupeRequest(FEATURE, distance, where=where))
    assert found.materials == len(names)
    assert found.pairs == (near.sum() - len(names)) // 2
    stays: dict[int, list[int]] = {}  # greedily, in order
    for row in range(len(names)):
        first = next((one for one in stays if near[one, row]), row)
        stays.setdefault(first, []).append(row)
    expected = [[names[row] for row in group] for group in stays.values() if len(group) > 1]
    assert [[one.material_id for one in group] for group in found.groups] == expected
    places = {name: row for row, name in enumerate(names)}
    for group in found.groups:
        measured = [apart[places[group[0].material_id], places[one.material_id]] for one in group]
        assert [one.distance for one in group] == pytest.approx(measured, abs=1e-9)


def test_equal_compositions_are_duplicates_at_any_distance(tmp_path, write_table) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(lake, write_table(formula=["TiO2", "SiO2", "Ti2O4", "NaCl"]), "a")
    matlake.import_table(lake, write_table(formula=["TiO2", "KCl"]), "b")
    matlake.embed(lake, "fractions")
    found = lake.dedupe("fractions", distance=0, progress=False)
    assert [[one.material_id for one in group] for group in found.groups] == [["a-0", "a-2", "b-0"]]
    assert found.document()["redundant"] == 2
    assert found.pairs == 3
    assert found.to_arrow().num_rows == 3
    assert dedupe(lake, DedupeRequest("fractions", dataset="b")).groups == []
    with pytest.raises(LakeError, match="-1 is not a distance"):
        dedupe(lake, DedupeRequest("fractions", -1))
    with pytest.raises(LakeError, match="no dataset 'c'"):
        dedupe(lake, DedupeRequest("fractions", dataset="c"))


@pytest.mark.parametrize("where", ["true", "band_gap_eV > 1"])
def test_each_of_a_diverse_selection_is_farthest_from_those_before(lake, where: str) -> None:
    names, apart = distances(lake, where)
    found = diverse(lake, DiverseRequest(FEATURE, 12, where=where))
    assert found == diverse(lake, DiverseRequest(FEATURE, 12, where=where))
    places = [names.index(one.material_id) for one in found.materials]
    assert len(set(places)) == 12
    for number in range(1, 12):
        nearest = apart[places[:number]].min(axis=0)
        assert found.materials[number].distance == pytest.approx(nearest.max(), rel=1e-5)
        assert nearest[places[number]] == pytest.approx(nearest.max(), rel=1e-5)
    assert found.covered == pytest.approx(apart[places].min(axis=0).max(), rel=1e-5)


def test_a_selection_ends_where_all_others_are_equal_to_one_of_it(tmp_path, write_table) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(lake, write_table(formula=["TiO2", "SiO2", "Ti2O4", "NaCl"]), "a")
    matlake.embed(lake, "fractions")
    found = lake.diverse("fractions", 10, progress=False)
    assert sorted(one.material_id for one in found.materials) == ["a-0", "a-1", "a-3"]
    assert found.covered == 0.0
    assert lake.diverse("fractions", 3, where="false", progress=False).materials == []
    with pytest.raises(LakeError, match="0 materials are wanted"):
        lake.diverse("fractions", 0, progress=False)
