"""Logs of tables, cut anywhere and with any byte changed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from faults.contents import contents_of, differences
from faults.striking import repair
from samples import GAPS

import matlake
from matlake.store.tables.log_entries import EMPTY, paths_of, problem_of

ENCODER = "fractions"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """A lake with a dataset that was imported twice, and vectors in two commits and a compaction."""
    folder = tmp_path_factory.mktemp("logs")
    lake = matlake.open_lake(folder / "lake", create=True)
    for rows in (60, 90):
        pq.write_table(pq.read_table(GAPS).slice(0, rows), folder / "a.parquet")
        matlake.import_table(lake, folder / "a.parquet", "a")
        matlake.embed(lake, ENCODER)
    matlake.compact(lake)
    return lake


def entries(root: Path) -> list[Path]:
    return sorted((root / "_delta_log").glob("*.json"))


def what_counts(entry: bytes) -> list[Any]:
    """What readers take from an entry."""
    actions = [json.loads(line) for line in entry.splitlines()]
    names = ("path", "size", "partitionValues", "stats")
    added = [[action["add"][name] for name in names] for action in actions if "add" in action]
    return [*added, paths_of(entry, "remove")]


def test_an_entry_that_is_cut_anywhere_is_found(whole: matlake.Lake) -> None:
    for entry in (entries(whole.dataset("a"))[-1], *entries(whole.embeddings)[1:]):
        content = entry.read_bytes()
        assert problem_of(content) is None
        assert problem_of(b"") == EMPTY
        assert not [size for size in range(len(content)) if problem_of(content[:size]) is None]


def test_a_changed_byte_is_found_or_changes_nothing_that_is_read(whole: matlake.Lake) -> None:
    found = 0
    for entry in (entries(whole.dataset("a"))[-1], entries(whole.embeddings)[-1]):
        content = entry.read_bytes()
        known = {path for one in entries(entry.parents[1]) for path in paths_of(one.read_bytes(), "add")}
        for place in range(0, len(content), 3):
            changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            if problem_of(changed) or not known.issuperset(paths_of(changed, "remove")):
                found += 1
            else:
                assert what_counts(changed) == what_counts(content), changed[max(0, place - 40) : place + 40]
    assert found > 300


@pytest.mark.parametrize("table", ["datasets/a", "embeddings"])
def test_a_last_entry_that_is_cut_between_two_actions_costs_its_commit(
    whole: matlake.Lake, tmp_path: Path, table: str
) -> None:
    """It can be read: the part that came is added, and those in whose place it came are not removed."""
    lake = matlake.open_lake(shutil.copytree(whole.path, tmp_path / "lake"))
    entry = entries(lake.path / table)[-1]
    content = entry.read_bytes()
    entry.write_bytes(content[: content.index(b'{"remove"')])
    (problem,) = matlake.check(lake).damaged
    assert "is cut short" in str(problem)
    repair(lake.path)
    assert matlake.check(lake).sound
    if table == "datasets/a":
        assert len(lake.query("FROM a")) == 60
        matlake.import_table(lake, whole.path.parent / "a.parquet", "a")
    matlake.embed(lake, ENCODER)
    assert not differences(contents_of(lake.path), contents_of(whole.path))


def test_an_emptied_entry_before_a_compaction_has_its_table_made_again(whole: matlake.Lake, tmp_path: Path) -> None:
    """What the compaction removed would be there twice if readers passed over the entry."""
    lake = matlake.open_lake(shutil.copytree(whole.path, tmp_path / "lake"))
    entries(lake.embeddings)[1].write_bytes(b"")
    assert any("moved to" in text for text in repair(lake.path))
    matlake.embed(lake, ENCODER)
    assert not differences(contents_of(lake.path), contents_of(whole.path))
