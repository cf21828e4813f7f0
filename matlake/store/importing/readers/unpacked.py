"""Files that must be whole on disk to be read, taken out of an archive or of a compressed file for as long as needed.

They get names of ours in a temporary folder, so that a path in an archive has nowhere to escape to. The limit of what
they expand to is the same as for files that are read as streams.
"""

import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final

from matlake.errors import SourceError
from matlake.store.importing.readers.source import Batch, Source
from matlake.store.importing.readers.streams import COMPRESSED, Allowance, open_bytes

_CHUNK: Final = 1 << 20


class _Folder:
    """A temporary folder that is gone with the last who holds it, and at the end of the process."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="matlake-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def open_member(path: Path, member: str, opened: Callable[[Path], Source]) -> Source:
    """Open a file in a zip archive.

    Args:
        path: The archive.
        member: Name of the file.
        opened: Opens it.

    Raises:
        SourceError: It is damaged or encrypted, or expands to more than texts would; or see ``opened``.
    """

    def unpack(target: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
                _copy(stream, target, Allowance(path))
        except KeyError as error:
            raise SourceError(f"{path} holds no file {member!r}", "name one as it stands in the archive") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of this machine: a full disk
            raise SourceError(f"{member} in {path} is damaged or encrypted: {error}", "unpack it yourself") from error

    return _open(unpack, PurePosixPath(member).name, f"{path}::{member}", opened)


def open_unpacked(path: Path, opened: Callable[[Path], Source]) -> Source:
    """Open a compressed file of a format that cannot be read as a stream.

    Args:
        path: The file.
        opened: Opens it when it is unpacked.

    Raises:
        SourceError: It is damaged, or expands to more than texts would; or see ``opened``.
    """
    ending = next(ending for ending in COMPRESSED if path.name.lower().endswith(ending))

    def unpack(target: Path) -> None:
        with open_bytes(path) as stream, target.open("wb") as file:
            shutil.copyfileobj(stream, file, _CHUNK)

    return _open(unpack, path.name[: -len(ending)], str(path), opened)


def _copy(stream: IO[bytes], target: Path, allowance: Allowance) -> None:
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            allowance.spend(len(chunk))
            file.write(chunk)


def _open(unpack: Callable[[Path], None], name: str, shown: str, opened: Callable[[Path], Source]) -> Source:
    folder = _Folder()
    target = folder.path / name
    try:
        unpack(target)
        with _named(target, shown):
            source = opened(target)
    except BaseException:
        folder.remove()
        raise
    notes = [note.replace(str(target), shown) for note in source.notes]
    return replace(source, name=shown, batches=partial(_batches, folder, target, shown, source), notes=notes)


def _batches(folder: _Folder, target: Path, shown: str, source: Source) -> Iterator[Batch]:  # noqa: ARG001 - kept alive
    with _named(target, shown):
        yield from source.batches()


@contextmanager
def _named(target: Path, shown: str) -> Iterator[None]:
    """Let errors name the archive, not the file in the temporary folder."""
    try:
        yield
    except SourceError as error:
        renamed = type(error)(str(error).replace(str(target), shown), error.hint)
        raise renamed from error
