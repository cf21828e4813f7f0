"""Check, repair and compact a lake in a bucket."""

import pyarrow.parquet as pq
import pytest
from object_store import Fault, ObjectStore
from samples import GAPS

import matlake
from matlake.errors import StorageError
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta
from matlake.store.tables.parts import LivePart

pytest.importorskip("obstore", reason="needs the extra cloud")

ENCODER, ROWS = "fractions", 40
VECTORS = f"SELECT count(*) AS n FROM embed.{ENCODER}"


@pytest.fixture
def lake(bucket: str) -> matlake.Lake:
    """A lake with a dataset of two halves, embedded one after the other."""
    opened = matlake.open_lake(f"{bucket}/lake", create=True)
    table = pq.read_table(GAPS)
    for number in range(2):
        opened.add(table.slice(number * ROWS, ROWS), f"half_{number}", progress=False)
        opened.embed(ENCODER, progress=False)
    return opened


def live(root: RemotePath) -> list[LivePart]:
    table = delta.open_table(root)
    assert table is not None
    return delta.live_parts(table)


def count(lake: matlake.Lake, statement: str = VECTORS) -> int:
    (row,) = lake.query(statement).to_pylist()
    return int(row["n"])


def flip(path: RemotePath) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def test_damaged_parts_are_named_and_their_rows_made_again(lake: matlake.Lake) -> None:
    whole, parts = count(lake), live(lake.embeddings)
    flip(parts[0].path)
    report = lake.check(progress=False)
    assert [(problem.path, problem.problem) for problem in report.damaged] == [
        (parts[0].path, "does not match its digest")
    ]
    assert lake.check(repair=True, progress=False).sound
    assert count(lake) < whole
    lake.embed(ENCODER, progress=False)
    assert count(lake) == whole
    assert lake.check(progress=False).sound


def test_a_part_of_a_dataset_that_is_gone_costs_its_own_rows(lake: matlake.Lake) -> None:
    (part,) = live(lake.dataset("half_0"))
    part.path.unlink()
    with pytest.warns(matlake.errors.DamageWarning, match="is missing"):
        assert count(lake, "SELECT count(*) AS n FROM materials") == ROWS
    (problem,) = lake.check(progress=False).damaged
    assert problem.path == part.path
    assert "import the dataset half_0 again" in problem.remedy


def test_a_log_that_cannot_be_read_is_set_right(lake: matlake.Lake) -> None:
    log = lake.embeddings / "_delta_log"
    last = max(path for path in log.iterdir() if path.suffix == ".json")
    last.write_bytes(b"{")
    assert [problem.path for problem in lake.check(progress=False).damaged] == [lake.embeddings]
    report = lake.check(repair=True, progress=False)
    assert any("is what it was before that commit" in line for line in report.repaired)
    lake.embed(ENCODER, progress=False)
    assert count(lake) == count(lake, "SELECT count(*) AS n FROM materials")
    (log / f"{0:020}.json").write_bytes(b"{")
    lake.check(repair=True, progress=False)
    assert live(lake.embeddings) == []
    assert any((lake.path / "damaged").iterdir())
    lake.embed(ENCODER, progress=False)
    assert count(lake) == count(lake, "SELECT count(*) AS n FROM materials")


def test_a_store_that_fails_is_no_damage_to_repair(lake: matlake.Lake, object_store: ObjectStore) -> None:
    assert isinstance(lake.path, RemotePath)
    before = object_store.keys(lake.path.bucket.removeprefix("s3://"))
    denied = Fault("error", ("GET",), key="*/embeddings/*", times=None, status=403, code="AccessDenied")
    with object_store.failing(denied), pytest.raises(StorageError, match="may not read"):
        lake.check(repair=True, progress=False)
    assert object_store.keys(lake.path.bucket.removeprefix("s3://")) == before


def test_small_parts_are_merged_and_what_nobody_reads_is_removed(lake: matlake.Lake, object_store: ObjectStore) -> None:
    assert isinstance(lake.path, RemotePath)
    whole = count(lake)
    assert len(live(lake.embeddings)) == 2
    denied = Fault("error", ("POST", "DELETE"), times=None, after=2, status=403, code="AccessDenied")
    with object_store.failing(denied), pytest.raises(StorageError):
        lake.datasets.delete("half_1")
    report = lake.compact(retention_hours=0, progress=False)
    assert (report.merged, report.written) == (2, 1)
    assert len(live(lake.embeddings)) == 1
    assert count(lake) == count(lake, "SELECT count(*) AS n FROM materials") < whole
    assert not [key for key in object_store.keys(lake.path.bucket.removeprefix("s3://")) if "half_1" in key]
    vectors = [key for key in object_store.keys(lake.path.bucket.removeprefix("s3://")) if "/embeddings/enc" in key]
    assert vectors == [live(lake.embeddings)[0].path.key]
    assert lake.check(progress=False).sound
