"""Tests of downloads against a server that misbehaves: what has a file's name is the whole file, or nothing."""

import errno
import gzip
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from web_server import Answers, Asked, Reply, Waits, WebServer, web_server

from matlake.errors import SourceError
from matlake.progress import SILENT, Progress
from matlake.store.sources import downloads
from matlake.store.sources.downloads import digest, fetch
from matlake.store.sources.published import RemoteFile

CONTENT = gzip.compress(json.dumps({"index": list(range(20_000))}).encode(), mtime=0)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server(lambda _: Reply(CONTENT)) as running:
        yield running


def in_order(*answers: Answers) -> Answers:
    """Answer with one after the other."""
    left = iter(answers)

    def answer(asked: Asked) -> Reply:
        return next(left)(asked)

    return answer


def published(content: bytes, etag: str = '"v1"', *, ranges: bool = True, cut: int | None = None) -> Answers:
    """Answer as servers of files do: by Range where they can, with 304 for what is still the same."""

    def answer(asked: Asked) -> Reply:
        headers = {"ETag": etag, "Content-Type": "application/octet-stream"} if etag else {}
        if etag and asked.headers.get("if-none-match") == etag:
            return Reply(b"", 304, headers)
        if ranges and "range" in asked.headers and asked.headers.get("if-range") == etag:
            start = int(asked.headers["range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return Reply(b"", 416, headers)
            return Reply(content[start:], 206, headers, cut=cut)
        return Reply(content, 200, headers, cut=cut)

    return answer


class Downloading:
    """Fetches one file into a folder, and keeps the notes."""

    def __init__(self, server: WebServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.notes: list[str] = []
        self.waits = Waits()
        server.asked.clear()

    def __call__(self, checksum: str = "") -> Path:
        file = RemoteFile(f"{self.server.url}/data.json.gz", "data.json.gz", checksum)
        client = self.waits.client(interval_s=0, clock=lambda: 0.0)
        return fetch(client, file, self.folder, Progress(self.notes.append))

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def download(server: WebServer, tmp_path: Path) -> Downloading:
    return Downloading(server, tmp_path)


def test_a_file_arrives_whole_and_says_how_far_it_is(download: Downloading) -> None:
    download.server.answers = published(CONTENT)
    path = download(SHA256)
    assert path.read_bytes() == CONTENT
    assert digest(path) == SHA256.removeprefix("sha256:")
    assert download.left() == [".data.json.gz.json", "data.json.gz"]
    assert download.notes[0].startswith("downloading data.json.gz, ")
    assert download.server.asked[0].headers["accept-encoding"] == "identity"


def test_a_file_with_a_published_checksum_is_not_asked_for_again(download: Downloading) -> None:
    download.server.answers = published(CONTENT)
    download(SHA256)
    download(SHA256)
    assert len(download.server.asked) == 1


def test_a_copy_put_into_the_cache_by_hand_is_taken_if_its_checksum_is_right(download: Downloading) -> None:
    download.server.answers = published(CONTENT)
    (download.folder / "data.json.gz").write_bytes(CONTENT)
    assert download(SHA256).read_bytes() == CONTENT
    assert not download.server.asked
    (download.folder / "data.json.gz").write_bytes(b"another file")
    assert download(SHA256).read_bytes() == CONTENT


def test_a_file_without_checksum_is_sent_only_if_it_changed(download: Downloading) -> None:
    download.server.answers = published(CONTENT)
    download()
    assert download().read_bytes() == CONTENT
    assert [asked.headers.get("if-none-match") for asked in download.server.asked] == [None, '"v1"']
    download.server.answers = published(b"other", '"v2"')
    assert download().read_bytes() == b"other"


def test_a_download_that_is_cut_off_goes_on_by_range(download: Downloading) -> None:
    whole, half = published(CONTENT), published(CONTENT, cut=len(CONTENT) // 2)
    download.server.answers = in_order(half, whole)
    assert download(SHA256).read_bytes() == CONTENT
    assert download.server.asked[1].headers["range"] == f"bytes={len(CONTENT) // 2}-"


def test_a_download_that_is_redirected_goes_on_by_range_too(download: Downloading) -> None:
    pieces = in_order(published(CONTENT, cut=1000), published(CONTENT))
    away = Reply(b"", 302, {"Location": f"{download.server.url}/signed?expires=soon"})
    download.server.answers = lambda asked: pieces(asked) if asked.path == "/signed" else away
    assert download(SHA256).read_bytes() == CONTENT
    assert [asked.headers.get("range") for asked in download.server.asked] == [None, None, *["bytes=1000-"] * 2]


def test_the_next_run_goes_on_where_this_one_was_cut_off(download: Downloading) -> None:
    download.server.answers = published(CONTENT, cut=1000)
    with pytest.raises(SourceError, match=r"cuts data\.json\.gz off again and again") as caught:
        download(SHA256)
    assert "import it again later" in caught.value.hint
    assert download.waits.seconds == [1.0, 2.0, 4.0]
    assert not (download.folder / "data.json.gz").exists()
    download.server.asked.clear()
    download.server.answers = published(CONTENT)
    assert download(SHA256).read_bytes() == CONTENT
    assert download.server.asked[0].headers["range"] == "bytes=5000-"


def test_a_server_without_range_sends_all_of_it_anew(download: Downloading) -> None:
    download.server.answers = in_order(published(CONTENT, ranges=False, cut=1000), published(CONTENT, ranges=False))
    assert download(SHA256).read_bytes() == CONTENT


def test_pieces_of_two_versions_are_not_put_together(download: Downloading) -> None:
    download.server.answers = in_order(published(CONTENT, cut=1000), published(b"other" * 1000, '"v2"'))
    assert download().read_bytes() == b"other" * 1000


def test_a_server_without_tags_is_not_asked_for_pieces(download: Downloading) -> None:
    download.server.answers = in_order(published(CONTENT, "", cut=1000), published(CONTENT, ""))
    assert download().read_bytes() == CONTENT
    assert "range" not in download.server.asked[1].headers


def test_a_part_longer_than_the_file_is_thrown_away(download: Downloading) -> None:
    download.server.answers = published(CONTENT, cut=3000)
    with pytest.raises(SourceError):
        download()
    download.server.answers = published(b"short")
    assert download().read_bytes() == b"short"


def test_two_imports_at_once_download_once(download: Downloading) -> None:
    download.server.answers = published(CONTENT)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(download, SHA256) for _ in range(2)]
    assert [one.result().read_bytes() for one in found] == [CONTENT, CONTENT]
    assert len(download.server.asked) == 1


def test_a_wrong_checksum_leaves_nothing_behind(download: Downloading) -> None:
    download.server.answers = published(b"something else")
    with pytest.raises(SourceError, match="does not have the published checksum sha256:") as caught:
        download(SHA256)
    assert "import again" in caught.value.hint
    assert download.left() == []


def test_an_md5_is_a_checksum_too(download: Downloading) -> None:
    download.server.answers = published(CONTENT)
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert download(f"md5:{md5}").read_bytes() == CONTENT


def test_a_web_page_instead_of_a_file_is_refused(download: Downloading) -> None:
    download.server.answers = published(b"\n <!DOCTYPE html><html><body>Please accept cookies")
    with pytest.raises(SourceError, match=r"sends a web page instead of data\.json\.gz"):
        download()
    assert download.left() == []


def test_an_answer_that_promises_a_file_for_later_is_none(download: Downloading) -> None:
    download.server.answers = lambda _: Reply(b"", 202)
    with pytest.raises(SourceError, match=r"sends status 202 instead of data\.json\.gz"):
        download()
    assert download.left() == []


def test_a_missing_file_is_one_line(download: Downloading) -> None:
    download.server.answers = lambda _: Reply(b"", 404)
    with pytest.raises(SourceError, match="answers 404"):
        download()


def test_without_network_the_copy_in_the_cache_is_used(tmp_path: Path) -> None:
    with web_server(published(CONTENT)) as gone:
        download = Downloading(gone, tmp_path)
        download()
    assert download().read_bytes() == CONTENT
    assert download.notes[-1].endswith("; the copy in the cache is used")


def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    file = RemoteFile("http://127.0.0.1:9/data.json.gz", "data.json.gz")
    with pytest.raises(SourceError, match=r"127\.0\.0\.1.*reached|answer"):
        fetch(Waits().client(interval_s=0), file, tmp_path, SILENT)


def test_a_full_disk_names_the_file_and_the_next_run_goes_on(
    download: Downloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    download.server.answers = published(CONTENT)
    save = downloads._save

    def full(*arguments: Any) -> None:
        arguments[2].write(arguments[0][:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "_save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        download(SHA256)
    assert "data.json.gz" in str(caught.value.filename)
    assert not (download.folder / "data.json.gz").exists()
    monkeypatch.setattr(downloads, "_save", save)
    assert download(SHA256).read_bytes() == CONTENT
    assert download.server.asked[-1].headers["range"] == "bytes=1000-"
