"""An object in a bucket as a file to read from."""

import io
from collections.abc import Sequence
from typing import Any, Final, Self

from matlake.store.storage.remote_path import RemotePath

END_BYTES: Final = 128 << 10
"""What is read of an object to begin with: there a Parquet file says what is where. A small one is all end."""


class ObjectFile(io.RawIOBase):
    """An object of which some bytes are here already; each read of others is a request.

    Args:
        path: The object.
        size: Its size in bytes.
        pieces: Start and content of what is here.
    """

    def __init__(self, path: RemotePath, size: int, pieces: Sequence[tuple[int, Any]]) -> None:
        """Begin at its start."""
        self._path, self._size, self._pieces, self._place = path, size, pieces, 0

    @classmethod
    def of(cls, path: RemotePath) -> Self:
        """Open an object by reading its end."""
        end, size = path.read_end(END_BYTES)
        return cls(path, size, [(size - len(end), end)])

    def readable(self) -> bool:
        """Say that it is."""
        return True

    def seekable(self) -> bool:
        """Say that it is."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def size(self) -> int:
        """Return the size in bytes."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """Return the bytes that follow."""
        left = max(0, self._size - self._place)
        length = left if size is None or size < 0 else min(size, left)
        start, self._place = self._place, self._place + length
        for begin, content in self._pieces:
            if begin <= start and self._place <= begin + len(content):
                return bytes(memoryview(content)[start - begin : self._place - begin])
        return self._path.read_range(start, length) if length else b""
