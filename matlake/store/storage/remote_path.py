"""Objects in a bucket, with the words of ``pathlib``.

obstore reads and writes them: the same Rust library as in delta-rs, so that both take the same environment variables
and try again in the same cases. A put is whole or not there at all, so nothing has to be renamed or synced.
"""

import errno
import fnmatch
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from matlake.errors import StorageError
from matlake.extras import require_extra
from matlake.store.storage.refusals import refusal, was_cut

_Answer = TypeVar("_Answer")

SCHEMES: Final = ("s3", "gs", "az")
"""Of addresses of buckets: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

CONNECT_SECONDS: Final = 5
REQUEST_SECONDS: Final = 60
RETRIES: Final = 8
RETRY_SECONDS: Final = 120
"""A request is tried again for so long; the last attempt may then take ``REQUEST_SECONDS`` more."""

_SHOWN: Final = 200  # characters of what a store answers
_PIECE_BYTES: Final = 8 << 20
_UPLOAD_BYTES: Final = 8 << 20
_UPLOADS: Final = 4
"""Pieces of a file under way at once: on a slow line more of them would not arrive in ``REQUEST_SECONDS``."""

_PREFIXES: Final = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZUR"}
"""How the variables start that each kind of store is set up by; those of the emulator Azurite are among them."""
_ENDPOINTS: Final = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)

_CONDITIONAL: Final = {"s3": {"conditional_put": "etag"}}
_SAFE_COMMITS: Final = {"aws_conditional_put": "etag", "aws_s3_allow_unsafe_rename": "false"}
"""Whatever the environment says: without conditional puts, two writers lose rows."""


@dataclass(frozen=True)
class ObjectStatus:
    """What a store says of an object, under the names of ``os.stat_result``.

    Attributes:
        st_size: Bytes.
        st_mtime: When it was written, in seconds since 1970.
        e_tag: Changes with its content; None where the store gives none.
    """

    st_size: int
    st_mtime: float
    e_tag: str | None


@dataclass(frozen=True, order=True)
class RemotePath:
    """An object in a bucket, or a prefix, which stands for a folder.

    Attributes:
        bucket: Its address, such as ``s3://bucket``.
        key: Of the object, or the prefix without a slash at its end; empty for the whole bucket.
        listed: What a listing has said of the object, where this path comes from one, as with ``os.DirEntry``.
    """

    bucket: str
    key: str
    listed: ObjectStatus | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """Return the address."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    def __truediv__(self, name: str) -> "RemotePath":
        """Return a path below this one."""
        return RemotePath(self.bucket, f"{self.key}/{name}" if self.key else name)

    def joinpath(self, *names: str) -> "RemotePath":
        """Return a path further below this one."""
        path = self
        for name in names:
            path /= name
        return path

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """The ending of the name."""
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> "RemotePath":
        """What this one is directly below."""
        return RemotePath(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "RemotePath":
        """Return the path of another name in the same folder."""
        return self.parent / name

    def as_posix(self) -> str:
        """Return the address."""
        return str(self)

    def as_uri(self) -> str:
        """Return the address, percent-encoded."""
        return f"{self.bucket}/{quote(self.key)}"

    def absolute(self) -> "RemotePath":
        """Return the path itself: addresses are absolute."""
        return self

    def resolve(self) -> "RemotePath":
        """Return the path itself: stores have no links."""
        return self

    def relative_to(self, other: "RemotePath | Path") -> PurePosixPath:
        """Return what follows another path, as ``pathlib`` does."""
        if not self.is_relative_to(other):
            raise ValueError(f"{self} is not below {other}")
        return (
            PurePosixPath(self.key[len(other.key) :].lstrip("/")) if isinstance(other, RemotePath) else PurePosixPath()
        )

    def is_relative_to(self, other: "RemotePath | Path") -> bool:
        """Say whether this path is another one or below it."""
        if not isinstance(other, RemotePath) or other.bucket != self.bucket:
            return False
        return not other.key or self.key == other.key or self.key.startswith(f"{other.key}/")

    def exists(self) -> bool:
        """Say whether there is an object of this key, or below it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Say whether there is an object of this key."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Say whether there are objects below this key."""
        return next(self._listed(1), None) is not None

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: a folder is there as soon as something is below it."""
        del parents, exist_ok

    def iterdir(self) -> Iterator["RemotePath"]:
        """Yield the objects and folders directly below."""
        import obstore

        with asking(self):
            found = again_where_cut(lambda: obstore.list_with_delimiter(self._store, self._prefix))
        keys = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
        yield from (RemotePath(self.bucket, key) for key in sorted(keys))

    def glob(self, pattern: str) -> Iterator["RemotePath"]:
        """Yield the objects and folders below that match a pattern, each part of which matches one level."""
        first, _, rest = pattern.partition("/")
        if not any(character in first for character in "*?["):
            below = self / first
            if rest:
                yield from below.glob(rest)
            elif below.exists():
                yield below
            return
        for found in self.iterdir():
            if fnmatch.fnmatchcase(found.name, first):
                if rest:
                    yield from found.glob(rest)
                else:
                    yield found

    def rglob(self, pattern: str) -> Iterator["RemotePath"]:
        """Yield the objects below, however deep, whose name matches a pattern; their status is known."""
        for path, status in self.objects():
            if fnmatch.fnmatchcase(path.name, pattern):
                yield replace(path, listed=status)

    def objects(self) -> Iterator[tuple["RemotePath", ObjectStatus]]:
        """Yield all objects below, however deep."""
        yield from ((RemotePath(self.bucket, one["path"]), _status(one)) for one in self._listed())

    def stat(self) -> ObjectStatus:
        """Return the size and the age of the object.

        Raises:
            FileNotFoundError: There is none.
        """
        if self.listed is not None:
            return self.listed
        import obstore

        with asking(self):
            try:
                return _status(obstore.head(self._store, self.key))
            except FileNotFoundError:
                raise
            except obstore.exceptions.BaseError:
                obstore.get_range(self._store, self.key, start=0, length=1)  # an answer to HEAD does not say why
                raise

    def read_bytes(self) -> bytes:
        """Return the content of the object."""
        import obstore

        with asking(self):
            return bytes(obstore.get(self._store, self.key).bytes())

    def read_pieces(self) -> Iterator[Any]:
        """Yield the content of the object in buffers of some megabytes."""
        import obstore

        with asking(self):
            yield from obstore.get(self._store, self.key).stream(min_chunk_size=_PIECE_BYTES)

    def read_end(self, length: int) -> tuple[bytes, int]:
        """Return the last bytes of the object, all if it has fewer, and its size."""
        if self.bucket.startswith("az://"):  # which has no ranges that start at the end
            size = self.stat().st_size
            return self.read_range(max(0, size - length), min(size, length)), size
        import obstore

        with asking(self):
            found = obstore.get(self._store, self.key, options={"range": {"suffix": length}})
            return bytes(found.bytes()), found.meta["size"]

    def read_range(self, start: int, length: int) -> bytes:
        """Return some bytes of the object."""
        import obstore

        with asking(self):
            return bytes(obstore.get_range(self._store, self.key, start=start, length=length))

    def read_ranges(self, spans: Sequence[tuple[int, int]]) -> list[Any]:
        """Return pieces of the object, each by its start and length, as buffers: neighbours in one request."""
        if not spans:
            return []
        import obstore

        starts, lengths = zip(*spans, strict=True)
        with asking(self):
            return list(obstore.get_ranges(self._store, self.key, starts=starts, lengths=lengths))

    def write_bytes(self, content: bytes) -> None:
        """Put an object in place of what was there."""
        import obstore

        with asking(self):
            obstore.put(self._store, self.key, content)

    def upload(self, file: Path) -> None:
        """Put the content of a local file, in several requests if it is large."""
        import obstore

        with asking(self):
            obstore.put(self._store, self.key, file, chunk_size=_UPLOAD_BYTES, max_concurrency=_UPLOADS)

    def create(self, content: bytes) -> bool:
        """Put an object unless there is one; return whether it was put."""
        import obstore

        with asking(self):
            try:
                obstore.put(self._store, self.key, content, mode="create")
            except obstore.exceptions.AlreadyExistsError:
                return False
        return True

    def copy_to(self, other: "RemotePath") -> None:
        """Copy the object within the bucket, in the store itself."""
        import obstore

        with asking(self):
            obstore.copy(self._store, self.key, other.key)

    def rename(self, target: "RemotePath") -> "RemotePath":
        """Copy the object, then delete it: stores rename nothing."""
        self.copy_to(target)
        self.unlink(missing_ok=True)
        return target

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Delete the object."""
        import obstore

        if not missing_ok:
            self.stat()
        with suppress(FileNotFoundError), asking(self):  # Azure says that it is not there; the others do not
            obstore.delete(self._store, self.key)

    @property
    def _prefix(self) -> str | None:
        return f"{self.key}/" if self.key else None

    @property
    def _store(self) -> Any:
        return open_store(self.bucket)

    def _listed(self, chunk: int = 1000) -> Iterator[Any]:
        import obstore

        with asking(self):
            page: Any = None
            while page is None or len(page) == chunk:
                last = page[-1]["path"] if page else None
                page = again_where_cut(partial(self._page, obstore.list, last, chunk))
                yield from page

    def _page(self, list_objects: Callable[..., Iterator[Any]], after: str | None, chunk: int) -> Any:
        return next(list_objects(self._store, self._prefix, offset=after, chunk_size=chunk), [])


def again_where_cut(ask: Callable[[], _Answer]) -> _Answer:
    """Ask a store, and ask again where its answer is cut: of listings, obstore and delta-rs do not do so themselves."""
    for _ in range(RETRIES):
        try:
            return ask()
        except Exception as error:  # obstore and delta-rs have no class for it
            if not was_cut(error):
                raise
    return ask()


@contextmanager
def asking(path: RemotePath) -> Iterator[None]:
    """Raise what a store answers as an error of ours; that an object is not there is what it would be of a file.

    Raises:
        FileNotFoundError: There is no such object.
        OSError: The object is not what was expected, such as shorter.
        StorageError: The store does not do what it was asked.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        refused = refusal(error, path.bucket)
        if refused is not None:
            raise refused from error
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "there is no such object", str(path)) from error
        raise OSError(errno.EIO, " ".join(str(error).split())[:_SHOWN], str(path)) from error


def _status(found: Any) -> ObjectStatus:
    return ObjectStatus(found["size"], found["last_modified"].timestamp(), found["e_tag"])


def open_store(bucket: str) -> Any:
    """Return obstore's store of a bucket, set up from the environment as it is now: credentials are renewed there.

    Raises:
        MissingExtraError: obstore is not installed.
        StorageError: The environment says something that obstore does not understand.
    """
    prefix = _PREFIXES[bucket.partition("://")[0]]
    return _open_store(bucket, tuple((name, value) for name, value in os.environ.items() if name.startswith(prefix)))


@lru_cache(maxsize=8)
def _open_store(bucket: str, environment: tuple[tuple[str, str], ...]) -> Any:
    require_extra("cloud", f"a lake at {bucket}")
    for name, value in environment:  # obstore reads it itself, and panics at an endpoint that is no address
        if name in _ENDPOINTS and not _is_endpoint(value):
            raise StorageError(
                f"{bucket} cannot be used: {name} is {value!r}, which is not an address",
                "give one such as http://HOST:PORT, or unset it",
            )
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    bounds: dict[str, Any] = {
        "client_options": {
            "allow_http": True,
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=REQUEST_SECONDS),
        },
        "retry_config": {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        "config": _CONDITIONAL.get(bucket.partition("://")[0]),
    }
    try:
        return from_url(bucket, **bounds)
    except (BaseError, ValueError) as error:
        said = str(error).partition("\n")[0].rpartition("error: ")[2]
        raise StorageError(f"{bucket} cannot be used: {said}", "check the variables of the environment") from error


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and named and not any(character.isspace() for character in text)


def delta_options(root: RemotePath) -> dict[str, str]:
    """Return the settings of delta-rs besides the environment: those of obstore."""
    return {
        "allow_http": "true",
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "timeout": f"{REQUEST_SECONDS}s",
        "max_retries": str(RETRIES),
        "retry_timeout": f"{RETRY_SECONDS}s",
        **(_SAFE_COMMITS if root.bucket.startswith("s3://") else {}),
    }
