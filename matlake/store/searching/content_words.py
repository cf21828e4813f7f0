"""Content hashes as numbers: 32 hexadecimal digits are two words of 64 bits."""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_DIGITS: Final = 32
_NIBBLES: Final = np.zeros(256, dtype=np.uint8)
_NIBBLES[[*b"0123456789abcdef"]] = np.arange(16)


def hash_words(hashes: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return content hashes as numbers.

    Args:
        hashes: Strings of 32 hexadecimal digits, none of them null.

    Returns:
        uint64 [n, 2].

    Raises:
        pa.ArrowInvalid: One has another length.
    """
    chunks = hashes.chunks if isinstance(hashes, pa.ChunkedArray) else [hashes]
    return np.concatenate([np.empty((0, 2), dtype=np.uint64), *(_words(chunk) for chunk in chunks if len(chunk))])


def _words(text: pa.Array) -> NDArray[np.uint64]:
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    if text.null_count or (np.diff(offsets) != _DIGITS).any():
        raise pa.ArrowInvalid("a content hash does not have 32 digits")
    digits = np.frombuffer(text.buffers()[2], dtype=np.uint8, count=_DIGITS * len(text), offset=int(offsets[0]))
    nibbles = _NIBBLES[digits]
    octets = (nibbles[0::2] << 4) | nibbles[1::2]
    return octets.view(">u8").astype(np.uint64).reshape(-1, 2)


def words_as_text(words: NDArray[np.uint64]) -> list[str]:
    """Return numbers [n, 2] as content hashes."""
    return [f"{first:016x}{second:016x}" for first, second in words.tolist()]


class ContentSet:
    """A set of contents, to ask which rows are in it. It takes 32 bytes a content."""

    def __init__(self, words: NDArray[np.uint64]) -> None:
        """Sort the contents [n, 2], which may occur several times."""
        self._order = np.argsort(words[:, 0], kind="stable")
        self._first, self._second = words[self._order, 0], words[self._order, 1]

    def contains(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Say which of some contents [m, 2] are in the set, bool [m]."""
        return self.places(words) >= 0

    def places(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return for each of some contents [m, 2] the first of the n that is the same, -1 where none is.

        Contents that share 64 of their bits stand side by side; the others distinguish them.
        """
        at = np.searchsorted(self._first, words[:, 0])
        found = np.full(len(words), -1, dtype=np.int64)
        waiting = np.flatnonzero(at < len(self._first))
        while len(waiting):
            alike = self._first[at[waiting]] == words[waiting, 0]
            same = alike & (self._second[at[waiting]] == words[waiting, 1])
            found[waiting[same]] = self._order[at[waiting[same]]]
            waiting = waiting[alike & ~same]
            at[waiting] += 1
            waiting = waiting[at[waiting] < len(self._first)]
        return found
