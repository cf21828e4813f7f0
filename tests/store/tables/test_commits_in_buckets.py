"""Commits to tables in a bucket: by conditional puts, whose answers may get lost."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest
from object_store import Fault, ObjectStore, read_only, slow_down

from matlake.errors import CommitUnknownError, StorageError
from matlake.store.storage import remote_path
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta, writing
from matlake.store.tables.appender import Appender

pytest.importorskip("obstore", reason="needs the extra cloud")

SCHEMA = pa.schema([("p", pa.string()), ("key", pa.string())])
PARTITION = {"p": "x"}
ENTRIES = "*/_delta_log/*.json"
WRITERS, COMMITS = 4, 8
WRITER = """
import sys
import pyarrow as pa
from matlake.store.tables import writing
from matlake.store.tables.appender import Appender
from matlake.store.storage.parquet import read_table
from matlake.store.storage.places import lake_path

appender = Appender(lake_path(sys.argv[1]), {"p": "x"}, "key")
there = {key for file in appender.files for key in read_table(file)["key"].to_pylist()}
for number in range(int(sys.argv[3])):
    keys = [f"{sys.argv[2]}-{number}-{row}" for row in range(5)] + sorted({f"all-{number}"} - there)
    appender.append([writing.write_part(appender.root, pa.table({"key": keys}), appender.partition)])
"""


@pytest.fixture
def root(bucket: str, monkeypatch: pytest.MonkeyPatch) -> RemotePath:
    """An empty table, at an address that has to be encoded; what fails is tried again twice."""
    monkeypatch.setattr(remote_path, "RETRIES", 2)
    root = lake_path(f"{bucket}/my lake/é+table")
    assert isinstance(root, RemotePath)
    delta.create_table(root, SCHEMA, ["p"])
    return root


def append(root: RemotePath, *keys: str) -> int:
    appender = Appender(root, PARTITION, "key")
    return appender.append([writing.write_part(root, pa.table({"key": keys}), PARTITION)])


def version(root: RemotePath) -> int:
    table = delta.open_table(root)
    assert table is not None
    return table.version()


def keys(root: RemotePath) -> list[str]:
    return sorted(delta.read_rows(root)["key"].to_pylist())


def test_a_lost_answer_to_an_append_neither_doubles_nor_loses_rows(root: RemotePath, object_store: ObjectStore) -> None:
    other = Appender(root, PARTITION, "key")
    lost = Fault("lost answer", ("PUT",), key=ENTRIES)
    with object_store.failing(lost):
        assert append(root, "a", "b") == 2
    assert lost.happened == 1
    assert other.append([writing.write_part(root, pa.table({"key": ["b", "c"]}), PARTITION)]) == 1
    assert (keys(root), version(root)) == (["a", "b", "c"], 2)


def test_an_append_whose_answers_are_all_lost_is_found_in_the_log(root: RemotePath, object_store: ObjectStore) -> None:
    with object_store.failing(
        Fault("lost answer", ("PUT",), key=ENTRIES), Fault("error", ("PUT",), key=ENTRIES, times=None)
    ):
        assert append(root, "a", "b") == 2
    assert (keys(root), version(root)) == (["a", "b"], 1)


def test_a_lost_answer_to_an_import_is_found_in_the_log(root: RemotePath, object_store: ObjectStore) -> None:
    imported = root.parent / "imported"
    for number in range(2):
        part = writing.write_part(imported, pa.table({"key": [f"{number}"]}), {})
        with object_store.failing(Fault("lost answer", ("PUT",), key=ENTRIES)):
            delta.replace_all(imported, pa.schema([("key", pa.string())]), [part], {})
        assert keys(imported) == [f"{number}"]


def test_a_lost_answer_to_the_creation_of_a_table(root: RemotePath, object_store: ObjectStore) -> None:
    other = root.parent / "other"
    with object_store.failing(Fault("lost answer", ("PUT",), key=ENTRIES)):
        delta.create_table(other, SCHEMA, ["p"])
    delta.create_table(other, SCHEMA, ["p"])
    assert version(other) == 0


def test_a_commit_that_cannot_be_looked_for_is_unknown_and_run_again_exact(
    root: RemotePath, object_store: ObjectStore
) -> None:
    again = Appender(root, PARTITION, "key")
    for gone_through in (False, True):
        entry = f"*/_delta_log/{version(root) + 1:020}.json"
        first = Fault("lost answer" if gone_through else "error", ("PUT",), key=entry)
        after = Fault("error", key=entry, times=None)
        appender = Appender(root, PARTITION, "key")
        part = writing.write_part(root, pa.table({"key": [f"{gone_through}"]}), PARTITION)
        appender.foreign_keys()
        with object_store.failing(first, after), pytest.raises(CommitUnknownError, match="not known whether") as error:
            delta.commit(root, appender.table, [part], "append", "x", "run again")
        assert "\n" not in str(error.value)
        again.append([writing.write_part(root, pa.table({"key": [f"a {gone_through}", f"{gone_through}"]}), PARTITION)])
    assert keys(root) == ["False", "True", "a False", "a True"]


def test_a_commit_that_is_refused_is_known_to_be_none(root: RemotePath, object_store: ObjectStore) -> None:
    appender = Appender(root, PARTITION, "key")
    part = writing.write_part(root, pa.table({"key": ["a"]}), PARTITION)
    with object_store.failing(read_only()), pytest.raises(StorageError, match="may not write to"):
        appender.append([part])
    assert appender.append([part]) == 1
    assert keys(root) == ["a"]


def test_a_part_arrives_whole_through_cuts_and_slow_downs(
    root: RemotePath, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_path, "_UPLOAD_BYTES", 5 << 20)
    many = pa.table({"key": pa.array([os.urandom(16).hex() for _ in range(300_000)])})
    faults = (
        Fault("cut", ("PUT",), query=("partNumber",)),
        Fault("lost answer", ("PUT",), query=("partNumber",), after=1),
        slow_down(1, methods=("POST",)),
    )
    with object_store.failing(*faults), object_store.recording() as requests:
        appender = Appender(root, PARTITION, "key")
        assert appender.append([writing.write_part(root, many, PARTITION)]) == 300_000
    assert [fault.happened for fault in faults] == [1, 1, 1]
    assert sum(request.status == 200 for request in requests if "partNumber" in request.query) >= 2
    (part,) = delta.sound_parts(delta.read_snapshot(root), verify=True)
    assert part.rows == 300_000


def test_writers_at_once_lose_and_double_nothing(root: RemotePath) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(root), str(number), str(COMMITS)])
        for number in range(WRITERS)
    ]
    assert [writer.wait(120) for writer in writers] == [0] * WRITERS
    own = [f"{writer}-{number}-{row}" for writer in range(WRITERS) for number in range(COMMITS) for row in range(5)]
    assert keys(root) == sorted([*own, *(f"all-{number}" for number in range(COMMITS))])
    assert version(root) == WRITERS * COMMITS
