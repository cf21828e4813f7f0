"""How contents become shards: full ones, bounded ones, and those that lack the same layers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import CRYSTAL_ENCODER, ENCODER

from matlake import Lake, open_lake
from matlake.encoders import shard_sizes
from matlake.encoders.card import InputKind
from matlake.store.embedding import shards
from matlake.store.embedding.encoding import by_inputs
from matlake.store.embedding.places import ROW_BITS, Places
from matlake.store.embedding.shards import Cutter, read_contents, split
from matlake.store.embedding.targets import Target, open_targets


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(tmp_path_factory.mktemp("shards") / "lake", create=True)


@pytest.fixture
def targets(lake: Lake) -> list[Target]:
    return open_targets(lake, [f"{CRYSTAL_ENCODER}@pooled", f"{CRYSTAL_ENCODER}@1"], "cpu")


@pytest.fixture
def contents() -> Callable[..., pa.Table]:
    """Make contents of crystals with some numbers of atoms; only these matter here."""

    def make(*atoms: int) -> pa.Table:
        names = [f"{place}-{size}" for place, size in enumerate(atoms)]
        return pa.table({"content_hash": names, "site_atomic_numbers": [[1] * size for size in atoms]})

    return make


def sizes(found: list[shards.Shard]) -> list[list[int]]:
    return [[len(numbers) for numbers in shard.contents["site_atomic_numbers"].to_pylist()] for shard in found]


def test_contents_wait_until_a_shard_is_full(
    targets: list[Target], contents: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(shard_sizes.MOST_CONTENTS, InputKind.CRYSTAL, {"cpu": 3})
    cutter = Cutter(targets)
    assert list(cutter.add(contents(1, 2), np.ones((2, 2), bool))) == []
    assert sizes(list(cutter.add(contents(3, 4, 5, 6), np.ones((4, 2), bool)))) == [[1, 2, 3]]
    assert sizes(list(cutter.rest())) == [[4, 5, 6]]


def test_atoms_bound_a_shard_but_each_holds_a_crystal(
    targets: list[Target], contents: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_sizes, "INPUT_BYTES", {"cpu": 10 * 20 * 12})  # ten atoms with twelve neighbours each
    cutter = Cutter(targets)
    atoms = (4, 6, 1, 30, 2, 8, 5)
    found = [*cutter.add(contents(*atoms), np.ones((len(atoms), 2), bool)), *cutter.rest()]
    assert sizes(found) == [[4, 6], [1], [30], [2, 8], [5]]


def test_contents_that_lack_the_same_layers_go_together(
    targets: list[Target], contents: Callable[..., pa.Table]
) -> None:
    lacks = np.array([[1, 1], [0, 1], [0, 0], [1, 1], [0, 1]], dtype=bool)
    found = {
        tuple(target.layer for target in shard.targets): shard
        for shard in split(contents(1, 2, 3, 4, 5), targets, lacks)
    }
    assert {layers: shard.contents["content_hash"].to_pylist() for layers, shard in found.items()} == {
        ("pooled", "1"): ["0-1", "3-4"],
        ("1",): ["1-2", "4-5"],
    }
    cutter = Cutter(targets)
    assert list(cutter.add(contents(1, 2, 3, 4, 5), lacks)) == []
    assert sorted(len(shard.contents) for shard in cutter.rest()) == [2, 2]


def test_long_vectors_make_small_shards(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(*features: str) -> int:
        table = pa.table({"content_hash": [str(row) for row in range(20_000)], "atomic_numbers": [[8, 22]] * 20_000})
        opened = open_targets(lake, [*features], "cpu")
        return len(next(Cutter(opened).add(table, np.ones((20_000, len(opened)), bool))).contents)

    assert rows(f"{ENCODER}@16") == 16_384
    assert rows(f"{ENCODER}@4") == 8192
    assert rows(f"{ENCODER}@4", f"{ENCODER}@3") == 4096
    monkeypatch.setattr(shard_sizes, "SHARD_BYTES", 0)
    assert rows(f"{ENCODER}@16") == 256


def test_encoders_with_equal_graph_parameters_share_a_shard(lake: Lake, contents: Callable[..., pa.Table]) -> None:
    other = "chgnet-mptrj"
    targets = open_targets(lake, [CRYSTAL_ENCODER, other, f"{CRYSTAL_ENCODER}@pooled"], "cpu")
    parts = list(by_inputs(shards.Shard(tuple(targets), contents(1, 2))))
    names = [[f"{target.model.encoder.card.architecture}@{target.layer}" for target in part.targets] for part in parts]
    assert names == [["cgcnn@1", "cgcnn@pooled"], ["chgnet@4"]]


def test_a_layer_named_twice_is_one_target(lake: Lake) -> None:
    targets = open_targets(lake, [CRYSTAL_ENCODER, f"{CRYSTAL_ENCODER}@1", f"{ENCODER}@2"], "cpu")
    assert [target.layer for target in targets] == ["1", "2"]


def test_only_pending_rows_are_read_and_none_twice(tmp_path: Path, make_places: Callable[..., Places]) -> None:
    rows = pa.table(
        {
            "source_row": pa.array(range(100, 200), pa.int64()),
            "composition_hash": [f"h{row}" for row in range(100)],
            "atomic_numbers": [[row] for row in range(100)],
            "fractions": [[1.0]] * 100,
        }
    )
    pq.write_table(rows, tmp_path / "rows.parquet", row_group_size=30)
    other, own = [(2 << ROW_BITS) + 110], [(3 << ROW_BITS) + row for row in (100, 129, 130, 131, 199)]
    places = make_places([*other, *own])
    assert places.vectors == 6
    found = list(read_contents(tmp_path / "rows.parquet", 3, {InputKind.COMPOSITION: places}))
    assert sorted(len(table) for _, table, _ in found) == [1, 2, 2]
    keys = {
        key: numbers
        for _, table, _ in found
        for key, numbers in zip(*(table[name].to_pylist() for name in ("content_hash", "atomic_numbers")), strict=True)
    }
    assert keys == {"h0": [0], "h29": [29], "h30": [30], "h31": [31], "h99": [99]}
    assert all(lacks.shape == (len(table), 1) for _, table, lacks in found)


def test_places_are_found_whatever_batches_they_came_in(make_places: Callable[..., Places]) -> None:
    rows = [*range(0, 5000, 7)]
    places = make_places([(1 << ROW_BITS) + row for row in rows])
    for first, last in ((0, 10_000), (35, 35), (36, 41), (3500, 4200), (4999, 6000)):
        found = places.between(1, first, last)["source_row"].to_pylist()
        assert found == [row for row in rows if first <= row <= last]
    assert places.between(0, 0, 10_000).num_rows == places.between(2, 0, 10_000).num_rows == 0


@pytest.fixture
def make_places() -> Iterator[Callable[..., Places]]:
    """Make places of contents that lack one target, in batches of 100."""
    made = []

    def make(places: list[int]) -> Places:
        table = pa.table({"place": places, "n_rows": [1] * len(places), "lacks_0": [True] * len(places)})
        made.append(Places(table.to_reader(max_chunksize=100)))
        return made[-1]

    yield make
    for places in made:
        places.close()
