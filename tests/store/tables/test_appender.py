"""Appending beside other writers: several parts at once, and no key twice."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from matlake.store.storage.parquet import read_table
from matlake.store.tables import delta, writing
from matlake.store.tables.appender import Appender
from matlake.store.tables.log_entries import read_entry

PARTITION = {"encoder": "fractions+"}
OTHER = {"encoder": "other"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    schema = pa.schema([("content_hash", pa.string()), ("encoder", pa.string())])
    delta.create_table(tmp_path / "table", schema, ["encoder"])
    return tmp_path / "table"


@pytest.fixture
def part(root: Path) -> Callable[..., writing.Part]:
    def make(*keys: str, partition: dict[str, str] = PARTITION) -> writing.Part:
        return writing.write_part(root, pa.table({"content_hash": list(keys)}), partition)

    return make


def keys(root: Path, partition: dict[str, str] = PARTITION) -> list[str]:
    table = delta.open_table(root)
    assert table is not None
    files = delta.live_files(table, partition)
    return sorted(key for file in files for key in read_table(file)["content_hash"].to_pylist())


def test_several_parts_are_one_commit(root: Path, part: Callable[..., writing.Part]) -> None:
    appender = Appender(root, PARTITION, "content_hash")
    assert appender.append([part("a", "b"), part("c")]) == 3
    assert [len([1 for action in read_entry(root, 1) if "add" in action])] == [2]
    assert appender.append([part("d")]) == 1
    assert appender.append([]) == 0
    assert keys(root) == ["a", "b", "c", "d"]


def test_what_others_have_added_is_left_out(root: Path, part: Callable[..., writing.Part]) -> None:
    one, two = Appender(root, PARTITION, "content_hash"), Appender(root, PARTITION, "content_hash")
    elsewhere = Appender(root, OTHER, "content_hash")
    one.append([part("a", "b"), part("c")])
    elsewhere.append([part("x", partition=OTHER)])
    assert two.append([part("b", "x"), part("a", "c"), part("y")]) == 2
    assert keys(root) == ["a", "b", "c", "x", "y"]
    assert sorted(two.foreign_keys().to_pylist()) == ["a", "b", "c"]
    assert one.append([part("z", "x")]) == 1
    assert keys(root, OTHER) == ["x"]


def test_what_others_add_is_read_from_the_log_whatever_the_size_of_the_table(
    root: Path, part: Callable[..., writing.Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Appender(root, PARTITION, "content_hash"), Appender(root, PARTITION, "content_hash")
    monkeypatch.setattr(delta, "live_files", None)
    for number in range(3):
        one.append([part(f"a{number}")])
        two.append([part(f"b{number}")])
    assert sorted(one.foreign_keys().to_pylist()) == ["b0", "b1", "b2"]


def test_an_old_snapshot_is_read_anew(
    root: Path, part: Callable[..., writing.Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Appender(root, PARTITION, "content_hash"), Appender(root, PARTITION, "content_hash")
    one.append([part("a")])
    (root / "_delta_log" / f"{1:020}.json").rename(root / "_delta_log" / "hidden")
    assert not len(two.foreign_keys())
    (root / "_delta_log" / "hidden").rename(root / "_delta_log" / f"{1:020}.json")
    monkeypatch.setattr("matlake.store.tables.appender._TRUSTED_SECONDS", -1.0)
    assert two.foreign_keys().to_pylist() == ["a"]
