"""The files in a folder, in a zip or in a tar archive, one after the other.

Nothing is unpacked to disk, so that a path in an archive has nowhere to escape to; it is only a name. Links are not
followed: in archives they are left out, in folders they are read where they lead to a file inside the folder.
"""

import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from matlake.errors import SourceError, StructureError
from matlake.materials.structure_files.text import MAX_BYTES, check_length
from matlake.store.importing.readers.streams import Allowance, open_bytes

MAX_FILES: Final = 1_000_000

_SYMLINK_BITS: Final = 16  # a zip keeps the mode of a Unix file in the upper half of its attributes
_ENCRYPTED: Final = 0x1
_LARGEST_HEADER: Final = 1 << 20
_IN_MEMORY: Final = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True)
class File:
    """A file in a container.

    Attributes:
        name: Its path from there, with ``/``.
        content: What is in it, or why it cannot be read; empty where only names were asked for.
    """

    name: str
    content: bytes | StructureError = b""


def shortest_ids(names: Sequence[str], *shorten: Callable[[str], str]) -> dict[str, str]:
    """Give each file the shortest of its names that no other file has; its path, if there is none.

    Args:
        names: Paths of the files.
        shorten: From a path to a shorter name, the shortest last.
    """
    ids = {name: name for name in names}
    for shortened in shorten:
        short = {name: shortened(name) for name in names}
        counts = Counter(short.values())
        ids = {name: short[name] if counts[short[name]] == 1 else ids[name] for name in names}
    return ids


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive by its name."""
    return path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"))


def files(path: Path, wanted: Callable[[str], bool], *, content: bool) -> Iterator[File]:
    """Yield the files of a folder or archive, or the file itself, by the order of their names or places.

    Args:
        path: Folder, archive or file.
        wanted: Given a name, tells whether to read the file.
        content: Whether to read what is in them.

    Raises:
        SourceError: There are too many, the archive is damaged, or it expands to more than texts would.
    """
    if path.is_dir():
        found = _folder(path, wanted, content)
    elif not is_archive(path):
        found = iter([File(path.name, _content(path) if content else b"")])
    elif path.name.lower().endswith(".zip"):
        found = _zip(path, wanted, content)
    else:
        found = _tar(path, wanted, content)
    for number, file in enumerate(found):
        if number >= MAX_FILES:
            raise SourceError(f"{path} holds more than {MAX_FILES:,} files", "import it in several parts")
        yield file


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part not in (".", "..") for part in name.split("/"))


def _folder(root: Path, wanted: Callable[[str], bool], content: bool) -> Iterator[File]:
    inside = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if _hidden(relative) or not wanted(relative):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                yield File(relative, StructureError("a link to a file outside of the folder"))
            else:
                yield File(relative, _content(path) if content else b"")


def _content(path: Path) -> bytes | StructureError:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return StructureError("not a regular file")
        check_length(state.st_size)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except StructureError as error:
        return error
    except OSError as error:
        return StructureError(f"cannot be read: {error.strerror}")


def _zip(path: Path, wanted: Callable[[str], bool], content: bool) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path} is not a valid zip archive, or is damaged: {error}") from error
    allowance = Allowance(path)
    with archive:
        for member in archive.infolist():
            link = stat.S_ISLNK(member.external_attr >> _SYMLINK_BITS)
            if member.is_dir() or link or _hidden(member.filename) or not wanted(member.filename):
                continue
            file = File(member.filename, _zipped(archive, member) if content else b"")
            allowance.spend(len(file.content) if isinstance(file.content, bytes) else 0)
            yield file


def _zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | StructureError:
    try:
        if member.flag_bits & _ENCRYPTED:
            return StructureError("encrypted")
        check_length(member.file_size)
        with archive.open(member) as file:
            return file.read(MAX_BYTES + 1)
    except StructureError as error:
        return error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        return StructureError(f"damaged in the archive: {error}")


class _Member(tarfile.TarInfo):
    """A header that is not read into memory when its long name or its attributes are out of all proportion."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _IN_MEMORY and member.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {member.size / 1e6:,.0f} MB")
        return member


def _tar(path: Path, wanted: Callable[[str], bool], content: bool) -> Iterator[File]:
    try:
        with open_bytes(path) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                vars(archive)["members"].clear()  # else it remembers all of them
                if member.isreg() and not _hidden(member.name) and wanted(member.name):
                    yield File(member.name, _tarred(archive, member) if content else b"")
            while rest := stream.read(1 << 20):
                if any(rest):  # tarfile takes a header that it cannot read for the end
                    raise SourceError(f"{path} is damaged: there is more after the last file that can be read")
    except (tarfile.TarError, EOFError, OSError, UnicodeError) as error:
        raise SourceError(f"{path} is not a valid tar archive, or is damaged: {error}") from error


def _tarred(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | StructureError:
    try:
        check_length(member.size)
    except StructureError as error:
        return error
    file = archive.extractfile(member)
    return (file or io.BytesIO()).read(MAX_BYTES + 1)
