"""What stores refuse, in one line each with what to do; and that nothing is taken for damage where a store fails."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from object_store import Fault, ObjectStore, closed_port, expired, read_only, slow_down

import matlake
from matlake.cli.failures import explain
from matlake.errors import LakeError, MissingExtraError, StorageError
from matlake.store.storage import remote_path
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta

pytest.importorskip("obstore", reason="needs the extra cloud")


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again once, after answers that do not come within a fraction of a second."""
    monkeypatch.setattr(remote_path, "RETRIES", 1)
    monkeypatch.setattr(remote_path, "REQUEST_SECONDS", 0.4)


@pytest.fixture
def lake(bucket: str, write_table: Callable[..., Path]) -> matlake.Lake:
    """A lake of three materials."""
    opened = matlake.open_lake(f"{bucket}/a lake", create=True)
    matlake.import_table(opened, write_table(formula=["GaN", "ZnO", "Si"], gap_eV=[3.4, 3.3, 1.1]), "gaps")
    return opened


def count(lake: matlake.Lake) -> list[dict[str, int]]:
    return lake.query("SELECT count(*) AS n FROM materials").to_pylist()


def refused(lake: matlake.Lake | str) -> StorageError:
    """Return what a lake is refused with, once it is opened anew and once it is open."""
    with pytest.raises(StorageError) as opening:
        matlake.open_lake(lake if isinstance(lake, str) else lake.path)
    if not isinstance(lake, str):
        with pytest.raises(StorageError) as reading:  # no warning, which would be an error: nothing is damaged
            count(lake)
        assert str(reading.value) == str(opening.value) or "within" in str(reading.value)
    assert "\n" not in str(opening.value)
    assert opening.value.hint
    return opening.value


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (expired(), "the credentials for s3://{bucket} have expired"),
        (
            Fault("error", times=None, status=403, code="InvalidAccessKeyId"),
            "does not accept the credentials for s3://{bucket}",
        ),
        (Fault("error", times=None, status=403, code="AccessDenied"), "the credentials may not read s3://{bucket}"),
        (
            Fault("error", times=None, status=404, code="NoSuchBucket"),
            "there is no bucket s3://{bucket} at http://127.0.0.1",
        ),
        (slow_down(None), "asks for fewer requests, and still did within"),
        (Fault("error", times=None), "answered within 0."),
        (Fault("no answer", times=None), "did not answer within"),
    ],
    ids=lambda one: f"{one.kind} {one.code}" if isinstance(one, Fault) else "",
)
def test_a_store_that_fails_is_named_with_what_to_do(
    lake: matlake.Lake, object_store: ObjectStore, fault: Fault, said: str
) -> None:
    assert isinstance(lake.path, RemotePath)
    with object_store.failing(fault):
        error = refused(lake)
    assert said.format(bucket=lake.path.bucket.removeprefix("s3://")) in str(error)
    assert count(lake) == [{"n": 3}]


def test_what_passes_is_tried_again(
    lake: matlake.Lake, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_path, "RETRIES", 4)
    remote_path._open_store.cache_clear()
    faults = (
        slow_down(2),
        Fault("cut", ("GET",), after=4),
        Fault("error", after=8),
        Fault("no answer", ("GET",), after=12),
    )
    with object_store.failing(*faults):
        assert count(matlake.open_lake(lake.path)) == [{"n": 3}]
    assert [fault.happened for fault in faults] == [2, 1, 1, 1]


def test_a_store_that_fails_while_a_query_runs_is_named(lake: matlake.Lake, object_store: ObjectStore) -> None:
    with lake.connect() as connection:
        fault = Fault("error", ("GET",), key="*.parquet", times=None, status=400, code="ExpiredToken")
        with object_store.failing(fault), pytest.raises(StorageError, match="have expired"):
            delta.read_rows(lake.dataset("gaps"))
        with object_store.failing(fault), pytest.raises(StorageError, match="have expired"):
            lake.query("SELECT sum(gap_eV) FROM materials")
        assert connection.execute("SELECT count(*) FROM materials").fetchall() == [(3,)]


def test_a_command_says_what_the_store_answered_where_duckdb_quotes_it(
    lake: matlake.Lake, object_store: ObjectStore
) -> None:
    fault = Fault("error", ("GET",), key="*.parquet", times=None, status=400, code="ExpiredToken")
    with lake.connect() as connection, object_store.failing(fault):
        for _ in range(3):  # a failure once left a reader behind that waited for ever
            with pytest.raises(duckdb.Error) as error:
                connection.execute("SELECT sum(gap_eV) FROM materials").fetchall()
            message, hint, code = explain(error.value)
            assert message.endswith("have expired")
            assert "AWS_SESSION_TOKEN" in hint
            assert code == 1


def test_nothing_answers_at_the_endpoint(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port()}")
    error = refused(f"{bucket}/lake")
    assert "cannot be reached (within 0." in str(error)
    assert "in 2 attempts" in str(error)
    assert "AWS_ENDPOINT_URL" in error.hint


def test_no_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    error = refused(f"{bucket}/lake")
    assert str(error) == f"there are no credentials for {bucket}"
    assert "AWS_ACCESS_KEY_ID" in error.hint


def test_a_bucket_that_is_not_there(bucket: str) -> None:
    for create in (False, True):
        with pytest.raises(StorageError, match=f"there is no bucket {bucket}-not at http"):
            matlake.open_lake(f"{bucket}-not/lake", create=create)


def test_a_bucket_that_may_be_read_only(
    lake: matlake.Lake, object_store: ObjectStore, write_table: Callable[..., Path]
) -> None:
    with object_store.failing(read_only()):
        assert count(matlake.open_lake(lake.path)) == [{"n": 3}]
        assert matlake.open_lake(lake.path, create=True).show_dataset("gaps").summary.materials == 3
        for write in (
            lambda: matlake.import_table(lake, write_table(formula=["Ge"]), "more"),
            lambda: matlake.embed(lake, "magpie"),
            lambda: lake.delete_dataset("gaps"),
            lambda: lake.rename_dataset("gaps", "other"),
        ):
            with pytest.raises(StorageError, match="the credentials may not write to s3://"):
                write()
    assert lake.dataset_names() == ["gaps"]
    assert count(lake) == [{"n": 3}]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("unconditional", ("PUT",), times=None),
        Fault("error", ("PUT",), times=None, status=501, code="NotImplemented"),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_store_without_conditional_puts_is_refused(bucket: str, object_store: ObjectStore, fault: Fault) -> None:
    with (
        object_store.failing(fault),
        pytest.raises(StorageError, match=f"the store of {bucket} does .*conditional puts"),
    ):
        matlake.open_lake(f"{bucket}/lake", create=True)
    assert object_store.keys(bucket.removeprefix("s3://")) == []


def test_unsafe_commits_cannot_be_asked_for(
    bucket: str, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_S3_ALLOW_UNSAFE_RENAME", "true")
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    with object_store.recording() as requests:
        matlake.open_lake(f"{bucket}/lake", create=True)
    commits = [request for request in requests if request.method == "PUT" and "_delta_log" in request.key]
    assert len(commits) == 2
    assert all(request.key.endswith("/_delta_log/00000000000000000000.json") for request in commits)


def test_rows_that_another_tool_has_marked_as_deleted(lake: matlake.Lake) -> None:
    log = lake.dataset("gaps") / "_delta_log"
    protocol = (
        '{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],'
        '"writerFeatures":["deletionVectors"]}}'
    )
    (log / f"{1:020}.json").write_bytes(protocol.encode())
    with pytest.raises(LakeError, match="holds deletion vectors"):
        delta.open_table(lake.dataset("gaps"))


@pytest.mark.parametrize("address", ["http://bucket/lake", "hdfs://host/lake", "s3://"])
def test_an_address_of_another_kind(address: str) -> None:
    with pytest.raises(LakeError, match="a lake cannot be at") as error:
        lake_path(address)
    assert "s3://BUCKET/PREFIX" in error.value.hint


def test_a_folder_by_its_address(tmp_path: Path) -> None:
    lake = matlake.open_lake(f"file://{tmp_path}/a%20lake", create=True)
    assert lake.path == tmp_path / "a lake"
    assert matlake.open_lake(tmp_path / "a lake").path == lake.path


def test_obstore_is_not_installed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.extras.is_installed", lambda module: module != "obstore")
    with pytest.raises(MissingExtraError, match=r"a lake at s3://.* needs obstore") as error:
        matlake.open_lake(f"{bucket}/lake")
    assert error.value.hint == "pip install 'matlake[cloud]'"
