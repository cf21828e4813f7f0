"""When a run commits: after some seconds or much has gathered; small parts become one."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from samples import ENCODER

from matlake import Lake, open_lake
from matlake.store.embedding import commits
from matlake.store.embedding.commits import COMMIT_SECONDS, Commits
from matlake.store.embedding.targets import Target, open_targets
from matlake.store.tables import delta, writing


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return open_lake(tmp_path_factory.mktemp("commits") / "lake", create=True)


@pytest.fixture
def target(lake: Lake) -> Target:
    (target,) = open_targets(lake, [f"{ENCODER}@16"], "cpu")
    return target


@pytest.fixture
def make_part(target: Target) -> Callable[[str], writing.Part]:
    def make(key: str) -> writing.Part:
        table = pa.table({"content_hash": [key], "vector": [np.ones(32, np.float32)]})
        return writing.write_part(target.vectors.root, table, target.vectors.partition, ("vector",))

    return make


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_parts_wait_for_seconds_and_small_ones_become_one(
    lake: Lake, target: Target, make_part: Callable[[str], writing.Part]
) -> None:
    clock = Clock()
    waiting = Commits(clock)
    assert not waiting.is_due
    clock.now = 5 * COMMIT_SECONDS
    waiting.add(target, make_part("a"))
    assert not waiting.is_due  # time counts from the first part on
    waiting.add(target, make_part("b"))
    clock.now += COMMIT_SECONDS - 0.1
    assert not waiting.is_due
    clock.now += 0.1
    assert waiting.is_due
    assert waiting.make() == 2
    assert not waiting.is_due
    assert waiting.make() == 0
    table = delta.open_table(lake.embeddings)
    assert table is not None
    assert [part.rows for part in delta.live_parts(table)] == [2]
    assert len(list(lake.embeddings.rglob("*.parquet"))) == 1  # those that were merged are gone


def test_much_is_committed_at_once(
    target: Target, make_part: Callable[[str], writing.Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Commits(Clock())
    part = make_part("c")
    monkeypatch.setattr(commits, "COMMIT_BYTES", 2 * part.size)
    waiting.add(target, part)
    assert not waiting.is_due
    waiting.add(target, make_part("d"))
    assert waiting.is_due
    waiting.discard()
    assert not (target.vectors.root / part.path).exists()


def test_failures_wait_as_well(lake: Lake, target: Target) -> None:
    waiting = Commits(Clock())
    for key in "xyz":
        waiting.reject(target.model, pa.chunked_array([[key]]), pa.array(["no input"]))
    assert waiting.make() == 0
    table = delta.open_table(lake.failures_table)
    assert table is not None
    assert [part.rows for part in delta.live_parts(table)] == [3]
