"""Tables in a bucket that are deleted and moved: readers find all of one, or none."""

from collections.abc import Callable

import pyarrow as pa
import pytest
from object_store import Fault, ObjectStore

from matlake.errors import StorageError
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta, writing
from matlake.store.tables.appender import Appender
from matlake.store.tables.bucket_tables import delete_table, move_table, tables_below

pytest.importorskip("obstore", reason="needs the extra cloud")

SCHEMA = pa.schema([("p", pa.string()), ("key", pa.string())])
KEYS = ["a", "b"]


def make_table(root: RemotePath, *, checkpoint: bool) -> None:
    delta.create_table(root, SCHEMA, ["p"])
    appender = Appender(root, {"p": "x"}, "key")
    for key in KEYS:
        appender.append([writing.write_part(root, pa.table({"key": [key]}), {"p": "x"})])
    if checkpoint:
        table = delta.open_table(root)
        assert table is not None
        table.create_checkpoint()


def rows(root: RemotePath) -> list[str]:
    """The rows that a reader finds, who first looks whether there is a table."""
    if root.name not in tables_below(root.parent):
        return []
    return sorted(delta.read_rows(root)["key"].to_pylist())


def until_done(object_store: ObjectStore, act: Callable[[], None], look: Callable[[], None]) -> int:
    """Stop an act at its first, second, … change until it is done; look at what is there each time."""
    for changes in range(100):
        fault = Fault("error", ("PUT", "POST", "DELETE"), times=None, after=changes, status=403, code="AccessDenied")
        with object_store.failing(fault):
            try:
                act()
            except StorageError:
                look()
            else:
                return changes
    raise AssertionError("it never ends")


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_deletion_that_is_stopped_leaves_a_whole_table_or_none(
    bucket: str, object_store: ObjectStore, checkpoint: bool
) -> None:
    root = lake_path(f"{bucket}/lake/datasets/gaps")
    assert isinstance(root, RemotePath)
    make_table(root, checkpoint=checkpoint)
    found = []
    until_done(object_store, lambda: delete_table(root), lambda: found.append(rows(root)))
    assert found[0] == KEYS
    assert found[-1] == []
    assert all(one in ([], KEYS) for one in found)
    assert object_store.keys(bucket.removeprefix("s3://")) == []


def test_a_table_that_is_moved_is_whole_somewhere_at_any_time(bucket: str, object_store: ObjectStore) -> None:
    root, target = (lake_path(f"{bucket}/lake/datasets/{name}") for name in ("gaps", "other"))
    assert isinstance(root, RemotePath)
    assert isinstance(target, RemotePath)
    make_table(root, checkpoint=True)
    found = []

    def move() -> None:
        if rows(root):
            move_table(root, target)

    until_done(object_store, move, lambda: found.append((rows(root), rows(target))))
    assert found[0] == (KEYS, [])
    assert all(one in ((KEYS, []), (KEYS, KEYS), ([], KEYS)) for one in found)
    assert (rows(root), rows(target)) == ([], KEYS)


def test_what_a_stopped_deletion_has_left_does_not_become_part_of_a_new_table(
    bucket: str, object_store: ObjectStore
) -> None:
    root = lake_path(f"{bucket}/lake/datasets/gaps")
    assert isinstance(root, RemotePath)
    make_table(root, checkpoint=True)
    denied = Fault("error", ("POST", "DELETE"), times=None, after=2, status=403, code="AccessDenied")
    with object_store.failing(denied), pytest.raises(StorageError):
        delete_table(root)
    assert len(object_store.keys(bucket.removeprefix("s3://"))) > len(KEYS)
    assert rows(root) == []
    schema = pa.schema([("key", pa.string())])
    delta.replace_all(root, schema, [writing.write_part(root, pa.table({"key": ["new"]}), {})], {})
    assert rows(root) == ["new"]
