"""Reading files that may be compressed, up to a limit: a bomb ends in one clear error."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from matlake.errors import SourceError, StructureError
from matlake.materials.structure_files.text import MAX_BYTES

LARGEST_RATIO: Final = 200
"""Texts of crystals shrink to a fifth or a tenth; a file that grows by more than this is a bomb."""

_ALWAYS_ALLOWED: Final = 64 << 20
COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst")
"""Endings of files that are compressed with gzip, bzip2, xz or Zstandard."""

COMPRESSED_FORM: Final = r"(?:\.(?:gz|bz2|xz|zst))?"
"""One of them or none, as a regular expression."""

_LARGEST_DICTIONARY: Final = 256 << 20


def _open_zstd(path: Path) -> BinaryIO:
    import pyarrow as pa

    return cast("BinaryIO", pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))


_OPENERS: Final[dict[bytes, Callable[[Path], Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x28\xb5\x2f\xfd": _open_zstd,
}
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
    """Open a file, plain or compressed with gzip, bzip2, xz or Zstandard, as its first bytes show.

    Raises:
        SourceError: While it is read: it is damaged, or expands to more than a text would.
    """
    opener = _opener(path)
    if opener is None:
        return path.open("rb")
    return io.BufferedReader(_Counted(opener(path), Allowance(path)), buffer_size=1 << 20)


def _opener(path: Path) -> Callable[[Path], Any] | None:
    with path.open("rb") as file:
        start = file.read(max(map(len, _OPENERS)))
    return next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)


def is_compressed(path: Path) -> bool:
    """Tell by its first bytes whether a file is compressed."""
    return _opener(path) is not None


def plain_name(path: Path | str) -> str:
    """Return the name of a file in lower case, without the ending of its compression."""
    name = path.rpartition("/")[2] if isinstance(path, str) else path.name
    name = name.lower()
    ending = next((ending for ending in COMPRESSED if name.endswith(ending)), "")
    return name.removesuffix(ending)


def unpack(data: bytes) -> bytes:
    """Unpack a small file, plain or compressed, at most ``MAX_BYTES`` and one more.

    Raises:
        StructureError: It is damaged.
    """
    most = MAX_BYTES + 1
    try:
        if data.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(data, most)
        if data.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(data, most)
        if data.startswith(b"\xfd7zXZ"):
            return lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY).decompress(data, most)
        if data.startswith(b"\x28\xb5\x2f\xfd"):
            import pyarrow as pa

            with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
                return bytes(stream.read(most))
    except _DAMAGED as error:
        raise StructureError(f"a damaged compressed file: {error}") from error
    return data
