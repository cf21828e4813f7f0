"""Published files arrive whole: ``.part``, resumed by Range where the server has it, checksum, rename.

A file of the cache has a note beside it, ``.NAME.json``, of where it came from and by what its server tells versions
apart, so that a file that is still the same is not sent again.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Final, Self

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from matlake.errors import SourceError
from matlake.files import fsync_folder, naming, sha256_of, write_whole
from matlake.locks import LOCKED, FileLock
from matlake.platforms import rename, sync
from matlake.progress import Progress
from matlake.store.sources.http import RUN_AGAIN, AnswerError, Client, shown
from matlake.store.sources.published import RemoteFile

_CACHE_VARIABLE: Final = "MATLAKE_CACHE"
_NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})
_CHUNK: Final = 1 << 20
_ATTEMPTS, _PAUSE_S = 5, 1.0
_TENTHS: Final = 10
_PAGE: Final = (b"<!doctype html", b"<html")


def cache_folder(source: str) -> Path:
    """Return where the files of a source are kept: ``$MATLAKE_CACHE``, else ``~/.cache/matlake``."""
    root = os.environ.get(_CACHE_VARIABLE)
    return (Path(root) if root else Path.home() / ".cache" / "matlake") / source


def fetch(client: Client, file: RemoteFile, folder: Path, progress: Progress) -> Path:
    """Return a file of the cache, downloaded where it is not there or another one is published.

    An interrupted download goes on where the server allows it. Nothing but the whole file ever has its name.

    Args:
        client: Asks the server.
        file: What to download.
        folder: Where to.
        progress: Receives how far it is.

    Raises:
        SourceError: The server cannot be reached or refuses, sends a web page, cuts off again and again, or sends
            something that has not the published checksum; or the cache cannot be written to.
        OSError: The disk is full.
    """
    with _written(folder), _alone(folder, progress):
        return _fetched(client, file, folder / file.name, progress)


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """Make a folder, and say of one that cannot be made or written to what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if error.errno not in _NOT_WRITABLE:
            raise
        hint = f"set {_CACHE_VARIABLE} to a folder that can be written to"
        raise SourceError(f"the cache {folder} cannot be written to: {error.strerror}", hint) from error


@contextmanager
def _alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Wait until no other process downloads into a folder, and keep others waiting."""
    held = FileLock.take(folder / LOCKED, wait=False)
    if held is None:
        progress.note(f"waiting for another process that downloads to {folder}")
        held = FileLock.take(folder / LOCKED, wait=True)
    with held or nullcontext():
        yield


def _fetched(client: Client, file: RemoteFile, path: Path, progress: Progress) -> Path:
    known = _Note.read(path) if path.is_file() else None
    if path.is_file() and file.checksum:
        if (known and known.checksum == file.checksum) or verified(path, file.checksum):
            return path
        known = None  # another file is published
    part = path.with_name(f".{path.name}.part")
    try:
        note = _download(client, file, part, known, progress)
    except AnswerError:
        raise
    except SourceError as error:
        if known is None or known.url != file.url:
            raise
        progress.note(f"{error}; the copy in the cache is used")
        return path
    if note is None:
        return path
    _verify(part, file)
    note = replace(note, sha256=sha256_of(part))
    rename(part, path)
    note.write(path)
    _beside(part).unlink(missing_ok=True)
    fsync_folder(path.parent)
    return path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, from the note beside it where there is one."""
    note = _Note.read(path)
    return (note.sha256 if note else "") or sha256_of(path)


def forget(path: Path) -> None:
    """Remove a file of the cache, so that it is downloaded again."""
    for one in (_beside(path), path):
        one.unlink(missing_ok=True)


def verified(path: Path, checksum: str) -> bool:
    """Tell whether a file has a checksum, ``sha256:…`` or ``md5:…``."""
    kind, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == expected.lower()


@dataclass(frozen=True)
class _Note:
    """Where a file came from.

    Attributes:
        url: Its address.
        etag: The server's tag of its version; ``""`` for none.
        last_modified: The server's date of it, likewise.
        checksum: What was published and found to be right, likewise.
        sha256: Of the file; ``""`` while it is not whole.
    """

    url: str
    etag: str = ""
    last_modified: str = ""
    checksum: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, file: RemoteFile, answer: BaseHTTPResponse) -> Self:
        headers = answer.headers
        return cls(file.url, headers.get("ETag", ""), headers.get("Last-Modified", ""), file.checksum)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the note beside a file; None where there is none that can be read."""
        try:
            return cls(**json.loads(_beside(path).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        write_whole(_beside(path), json.dumps(asdict(self)).encode())

    @property
    def version(self) -> str:
        """What two pieces of one version have in common; ``""`` where the server says nothing to rely on."""
        return self.last_modified if self.etag.startswith("W/") else self.etag or self.last_modified

    def unless_the_same(self) -> dict[str, str]:
        """Return the headers that ask for a file only if it is another one."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": "" if self.etag else self.last_modified}
        return {name: value for name, value in named.items() if value}


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name.removeprefix('.')}.json")


def _download(client: Client, file: RemoteFile, part: Path, known: _Note | None, progress: Progress) -> _Note | None:
    """Download a file as a part, in as many pieces as it takes; return its note, None where nothing is new."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            return _piece(client, file, part, known, progress)
        except HTTPError as error:
            if not left:
                raise SourceError(f"{shown(file.url)} cuts {file.name} off again and again", RUN_AGAIN) from error
            client.interval_s = max(2 * client.interval_s, _PAUSE_S)
    raise AssertionError


def _piece(client: Client, file: RemoteFile, part: Path, known: _Note | None, progress: Progress) -> _Note | None:
    """Download the file, or what a part lacks; return its note, None where the copy of the cache is still the same.

    Raises:
        HTTPError: The answer was cut off.
    """
    begun = _Note.read(part)
    headers = {"Accept-Encoding": "identity"}
    got = 0
    if begun is not None and begun.url == file.url and begun.version and part.is_file():
        got = part.stat().st_size
    if got and begun is not None:
        headers |= {"Range": f"bytes={got}-", "If-Range": begun.version}
    elif known is not None and known.url == file.url:
        headers |= known.unless_the_same()
    try:
        with client.opened(file.url, headers) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED:
                return None
            note = _Note.of(file, answer)
            received = got if answer.status == HTTPStatus.PARTIAL_CONTENT else 0
            first = answer.read1(_CHUNK, decode_content=False)
            if not received and (answer.status != HTTPStatus.OK or _is_page(first)):
                sent = "a web page" if answer.status == HTTPStatus.OK else f"status {answer.status}"
                raise SourceError(
                    f"{shown(file.url)} sends {sent} instead of {file.name}",
                    "try again later, or download the file in a browser and name that",
                )
            with naming(part), part.open("ab" if received else "wb") as target:
                note.write(part)
                _save(first, answer, target, file, received, progress)
                target.flush()
                sync(target.fileno())
            return note
    except AnswerError as error:
        if error.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not got:
            raise
    part.unlink()  # it is longer than the file: of another version
    return _piece(client, file, part, known, progress)


def _is_page(start: bytes) -> bool:
    return start.lstrip()[: len(_PAGE[0])].lower().startswith(_PAGE)


def _save(
    chunk: bytes, answer: BaseHTTPResponse, target: BinaryIO, file: RemoteFile, got: int, progress: Progress
) -> None:
    length = int(answer.headers.get("Content-Length") or 0)
    total = got + length
    noted = got * _TENTHS // total if length else 0
    progress.note(f"downloading {file.name}{f', {total / 1e6:,.1f} MB' if length else ''}")
    while chunk:
        target.write(chunk)
        got += len(chunk)
        if length and noted < (tenths := got * _TENTHS // total) < _TENTHS:
            noted = tenths
            progress.note(f"{file.name}: {tenths * _TENTHS} %")
        chunk = answer.read1(_CHUNK, decode_content=False)


def _verify(part: Path, file: RemoteFile) -> None:
    if file.checksum and not verified(part, file.checksum):
        forget(part)
        raise SourceError(
            f"{file.name} from {shown(file.url)} does not have the published checksum {file.checksum}; it was removed",
            "import again to download it anew; if that fails, the file at this address is no longer the published one",
        )
