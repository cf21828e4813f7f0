"""Vectors that were decoded are kept beside the lake, are never out of date, and can be lost at any time."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from samples import ENCODER, GAPS

import matlake
from matlake.store.maintenance.leftovers import remove_leftovers
from matlake.store.searching import layer_rows, stored_rows
from matlake.store.searching.layer_rows import open_rows
from matlake.store.searching.search import SearchRequest, search
from matlake.store.searching.stored_rows import SEGMENT, UNFINISHED

FEATURE = f"{ENCODER}@11"
"""128 numbers, most of them 0."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A lake whose vectors are in two parts."""
    folder = tmp_path_factory.mktemp("sidecar")
    lake = matlake.open_lake(folder / "lake", create=True)
    pq.write_table(pq.read_table(GAPS).slice(0, 600), folder / "gaps.parquet")
    matlake.import_table(lake, folder / "gaps.parquet", "gaps")
    matlake.embed(lake, [FEATURE], where="hash(material_id) % 2 = 0")
    matlake.embed(lake, [FEATURE])
    return folder / "lake"


@pytest.fixture
def lake(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> matlake.Lake:
    """A copy of it, all of whose vectors are worth keeping, in small blocks."""
    shutil.copytree(made, tmp_path / "lake")
    monkeypatch.setenv("MATLAKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(layer_rows, "_WORTH_STORING", 1)
    monkeypatch.setattr(stored_rows, "BLOCK_BYTES", 40_000)
    monkeypatch.setattr(layer_rows, "_DECODED", 20_000)
    return matlake.open_lake(tmp_path / "lake")


def segments(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob(f"{SEGMENT}*") if path.is_dir())


def answers(lake: matlake.Lake) -> list[tuple[str, float]]:
    """What a few searches find, some with conditions."""
    requests = [
        SearchRequest(FEATURE, 5, material_id=["gaps-3", "gaps-77"]),
        SearchRequest(FEATURE, 5, formula=["TiO2", "Ba2SiO4"], where="band_gap_eV > 2"),
    ]
    found = [search(lake, request) for request in requests]
    return [(one.material_id, one.distance) for each in found for result in each.results for one in result.neighbours]


def brute_force(lake: matlake.Lake, material_id: str, k: int) -> list[tuple[str, float]]:
    rows = lake.query(f'SELECT material_id, vector FROM embed."{FEATURE}" ORDER BY dataset, material_id')
    names = rows["material_id"].to_pylist()
    vectors = np.array(rows["vector"].to_pylist(), dtype=np.float32).astype(np.float64)
    difference = vectors - vectors[names.index(material_id)]
    distances = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    order = [row for row in np.argsort(distances, kind="stable") if names[row] != material_id]
    return [(names[row], float(distances[row])) for row in order[:k]]


def found(lake: matlake.Lake, material_id: str, k: int = 8) -> list[tuple[str, float]]:
    neighbours = search(lake, SearchRequest(FEATURE, k, material_id=material_id)).neighbours
    return [(one.material_id, one.distance) for one in neighbours]


def test_a_search_finds_the_same_with_and_without_it_as_does_an_index(lake, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(layer_rows, "_WORTH_STORING", 1 << 40)
        plain = answers(lake)
        assert not segments(lake.path)
    assert answers(lake) == plain
    (segment,) = segments(lake.path)
    assert answers(lake) == plain
    assert segments(lake.path) == [segment]
    assert found(lake, "gaps-3") == brute_force(lake, "gaps-3", 8)
    index = matlake.open_index(lake, FEATURE)
    place = index.find("gaps-3")
    (near,) = index.search(index.vectors_of(place), 8, exclude=[place])
    assert [(one.material_id, one.distance) for one in near] == found(lake, "gaps-3")


def test_new_rows_are_found_before_and_after_they_are_kept(lake, write_table, monkeypatch) -> None:
    answers(lake)
    table = write_table(formula=[f"Ti{n}O{n + 1}" for n in range(2, 40)], id=[f"new-{n}" for n in range(2, 40)])
    matlake.import_table(lake, table, "late", id_column="id")
    matlake.embed(lake, [FEATURE])
    with monkeypatch.context() as patch:
        patch.setattr(layer_rows, "_WORTH_STORING", 1 << 40)  # the new part is read from the table
        assert found(lake, "new-7") == brute_force(lake, "new-7", 8)
        assert len(segments(lake.path)) == 1
        assert any(name.startswith("new-") for name, _ in found(lake, "new-7", 40))
    assert found(lake, "new-7") == brute_force(lake, "new-7", 8)
    assert len(segments(lake.path)) == 2


def test_compaction_does_not_make_it_old(lake) -> None:
    before = answers(lake)
    matlake.compact(lake)
    assert answers(lake) == before
    assert found(lake, "gaps-3") == brute_force(lake, "gaps-3", 8)


def test_contents_that_no_material_has_any_more_are_not_found(lake, write_table) -> None:
    near = [name for name, _ in found(lake, "gaps-3", 3)]
    kept = lake.query(f"SELECT material_id, formula FROM materials WHERE material_id NOT IN {tuple(near)}")
    table = write_table(id=kept["material_id"].to_pylist(), formula=kept["formula"].to_pylist())
    matlake.import_table(lake, table, "gaps", id_column="id")
    assert found(lake, "gaps-3") == brute_force(lake, "gaps-3", 8)
    assert not {name for name, _ in found(lake, "gaps-3")} & set(near)
    matlake.compact(lake, drop_unused=True)
    assert found(lake, "gaps-3") == brute_force(lake, "gaps-3", 8)


def flipped(folder: Path) -> None:
    data = bytearray((folder / "vectors.f32").read_bytes())
    data[len(data) // 2] ^= 0x40
    (folder / "vectors.f32").write_bytes(data)


def exchanged(folder: Path) -> None:
    data = bytearray((folder / "hashes.u64").read_bytes())
    data[:16], data[16:32] = data[16:32], data[:16]
    (folder / "hashes.u64").write_bytes(data)


def zeros(folder: Path) -> None:
    """What a power loss leaves of a file that was not synced."""
    (folder / "squares.f32").write_bytes(bytes((folder / "squares.f32").stat().st_size))


def of_another_part(folder: Path) -> None:
    card = json.loads((folder / "segment.json").read_text())
    card["parts"] = {f"{name}x": rows for name, rows in card["parts"].items()}
    (folder / "segment.json").write_text(json.dumps(card))


DAMAGE = {
    "flipped": flipped,
    "exchanged": exchanged,
    "zeros": zeros,
    "of another part": of_another_part,
    "cut": lambda folder: os.truncate(folder / "vectors.f32", 1000),
    "no card": lambda folder: (folder / "segment.json").unlink(),
    "no JSON": lambda folder: (folder / "segment.json").write_text("{"),
    "a list": lambda folder: (folder / "segment.json").write_text("[]"),
    "no vectors": lambda folder: (folder / "vectors.f32").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_not_used(lake, damage: str) -> None:
    before = answers(lake)
    (segment,) = segments(lake.path)
    DAMAGE[damage](segment)
    assert answers(lake) == before
    (segment,) = [folder for folder in segments(lake.path) if folder != segment]
    DAMAGE[damage](segment)
    index = matlake.open_index(lake, FEATURE)
    place = index.find("gaps-3")
    (near,) = index.search(index.vectors_of(place), 8, exclude=[place])
    assert [(one.material_id, one.distance) for one in near] == brute_force(lake, "gaps-3", 8)


def test_a_damaged_one_that_cannot_be_removed_is_passed_over(lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(lake)
    (segment,) = segments(lake.path)
    flipped(segment)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    assert answers(lake) == before
    assert segment.is_dir()


def test_what_a_killed_writer_has_left_is_not_read_and_compact_removes_it(lake) -> None:
    card = lake.find_encoder(ENCODER).card
    rows = open_rows(lake, card, card.layer("11"))
    blocks = rows._from_parts()
    next(blocks)
    (left,) = lake.path.rglob(f"{UNFINISHED}*")
    assert found(lake, "gaps-3") == brute_force(lake, "gaps-3", 8)
    assert left.is_dir()
    os.utime(left, (0, 0))
    matlake.compact(lake)
    assert not left.exists()
    blocks.close()


def test_one_without_parts_of_the_lake_is_removed_by_compact(lake) -> None:
    answers(lake)
    (old,) = segments(lake.path)
    matlake.compact(lake)  # both parts are merged
    answers(lake)
    assert len(segments(lake.path)) == 2
    os.utime(old, (0, 0))
    matlake.compact(lake)
    assert [folder for folder in segments(lake.path) if folder == old] == []
    assert found(lake, "gaps-3") == brute_force(lake, "gaps-3", 8)


def test_of_two_with_the_same_parts_one_is_a_leftover(lake) -> None:
    before = answers(lake)
    (one,) = segments(lake.path)
    shutil.copytree(one, one.with_name(f"{SEGMENT}copy"))
    for folder in segments(lake.path):
        os.utime(folder, (0, 0))
    remove_leftovers(lake, 24)
    assert len(segments(lake.path)) == 1
    assert answers(lake) == before


def test_a_damaged_one_that_cannot_be_removed_is_not_read_again(lake, monkeypatch) -> None:
    expected = answers(lake)
    (one,) = segments(lake.path)
    content = bytearray((one / "vectors.f32").read_bytes())
    content[1000] ^= 255
    (one / "vectors.f32").write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(stored_rows.shutil, "rmtree", lambda *_args, **_settings: None)
        assert answers(lake) == expected
    assert one.is_dir()


def test_of_a_lake_that_is_read_only_it_is_in_the_cache(lake, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(layer_rows.os, "access", lambda *_: False)
    before = answers(lake)
    assert not segments(lake.path)
    assert len(segments(tmp_path / "cache")) == 1
    assert answers(lake) == before


def test_without_any_place_for_it_a_search_goes_without(lake, tmp_path) -> None:
    expected = answers(lake)
    shutil.rmtree(lake.unfinished)
    lake.unfinished.write_text("a file")
    (tmp_path / "cache").write_text("a file")
    assert answers(lake) == expected
    assert len(matlake.open_index(lake, FEATURE).contents) > 100


def test_a_full_disk_does_not_stop_a_search(lake, monkeypatch) -> None:
    expected = answers(lake)
    shutil.rmtree(lake.unfinished)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for place in ("add", "finish"):
        with monkeypatch.context() as patch:
            patch.setattr(stored_rows.SegmentWriter, place, full)
            assert answers(lake) == expected
            assert not segments(lake.path)
            assert not [*lake.path.rglob(f"{UNFINISHED}*")]


def test_several_writers_at_once_agree(lake) -> None:
    results: list[list[tuple[str, float]]] = []
    threads = [threading.Thread(target=lambda: results.append(answers(lake))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [results[0]] * 3
    assert answers(lake) == results[0]


def test_the_memory_of_a_pass_is_given_back(lake) -> None:
    answers(lake)
    card = lake.find_encoder(ENCODER).card
    (segment,) = open_rows(lake, card, card.layer("11"), release=True).stored
    blocks: Iterator[stored_rows.Block] = segment.blocks()
    first = next(blocks)
    copied = first.vectors.copy()
    next(blocks)  # the first was let go of
    assert (first.vectors == copied).all()  # and is read again
