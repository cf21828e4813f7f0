from pathlib import Path

import pytest

from matlake.errors import LakeError, StorageError
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import RemotePath, open_store


def test_addresses_are_read_as_url_schemes_are() -> None:
    assert lake_path("s3://lakes/") == lake_path("S3://lakes") == RemotePath("s3://lakes", "")
    assert lake_path("s3://lakes//a b/ü/") == RemotePath("s3://lakes", "a b/ü")
    assert lake_path("FILE:///lakes/a%20b#1") == lake_path("file://localhost/lakes/a b#1") == Path("/lakes/a b#1")
    assert lake_path("lake") == Path("lake")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s3://",
        "s3:///lake",
        "s3:/lakes/gaps",
        Path("s3://lakes/gaps"),
        "s3a://lakes",
        "s3://user:secret@lakes/gaps",
        "s3://lakes/a/../b",
        "s3://lakes/./a",
        "s3://lakes/a%20b",
        "s3://lakes/a\nb",
        "file://folder/lake",
        "https://example.org/lake",
    ],
)
def test_what_names_no_place_of_a_lake_is_refused(text: str | Path) -> None:
    with pytest.raises(LakeError, match="a lake cannot be at"):
        lake_path(text)


@pytest.mark.parametrize("endpoint", ["", "minio:9000", "minio", "http://", "http://minio:99999", "http://a b"])
def test_an_endpoint_that_is_no_address_is_named(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match=f"AWS_ENDPOINT_URL is '{endpoint}', which is not an address"):
        open_store("s3://lakes")


def test_half_a_key_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    with pytest.raises(StorageError, match=r"^s3://lakes cannot be used: Missing SecretAccessKey(\n|$)"):
        open_store("s3://lakes")
