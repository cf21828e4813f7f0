"""Reading files that may be compressed, up to a limit: a bomb ends in one clear error."""

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Final

from matlake.errors import SourceError, StructureError
from matlake.materials.structure_files.text import MAX_BYTES

LARGEST_RATIO: Final = 200
"""Texts of crystals shrink to a fifth or a tenth; a file that grows by more than this is a bomb."""

_ALWAYS_ALLOWED: Final = 64 << 20
_OPENERS: Final[dict[bytes, Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DAMAGED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Allowance:
    """How many bytes a source may still expand to."""

    def __init__(self, path: Path) -> None:
        """Allow a multiple of the size that the file has on disk."""
        self.path = path
        self.left = max(_ALWAYS_ALLOWED, LARGEST_RATIO * path.stat().st_size)

    def spend(self, count: int) -> None:
        """Take note of bytes that were expanded.

        Raises:
            SourceError: The source is larger than allowed.
        """
        self.left -= count
        if self.left < 0:
            raise SourceError(
                f"{self.path} expands to more than {LARGEST_RATIO} times its size: it looks like a decompression bomb",
                "unpack it yourself if you trust it, and import the folder",
            )


class _Counted(io.RawIOBase):
    """A decompressing stream that stops when the allowance is spent."""

    def __init__(self, stream: BinaryIO, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGED as error:
            raise SourceError(f"{self._allowance.path} is damaged: {error}", "unpack or download it again") from error
        self._allowance.spend(len(data))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def open_bytes(path: Path) -> io.BufferedReader:
    """Open a file, plain or compressed with gzip, bzip2 or xz, as its first bytes show.

    Raises:
        SourceError: While it is read: it is damaged, or expands to more than a text would.
    """
    with path.open("rb") as file:
        start = file.read(max(map(len, _OPENERS)))
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opener is None:
        return path.open("rb")
    return io.BufferedReader(_Counted(opener(path), Allowance(path)), buffer_size=1 << 20)


def gunzip(data: bytes) -> bytes:
    """Unpack a small gzip file, at most ``MAX_BYTES`` and one more.

    Raises:
        StructureError: It is damaged.
    """
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise StructureError(f"a damaged gzip file: {error}") from error
