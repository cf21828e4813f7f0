"""Vectors as a search reads them, in a sidecar that any process can map into its memory.

Decoding Parquet takes ten times as long as looking at its vectors. So what was decoded once is kept, as a *segment*: a
folder with the contents of some parts of one layer, their vectors and their squared norms, as plain numbers. A segment
names its parts by their digests and holds nothing but what is in them, so it cannot be stale: a part that the table no
longer names is passed over, and one that no segment holds is read from the table. It can be deleted at any time.

A segment is written under another name and renamed. Nothing is synced: every block has a checksum, and a segment that
a power loss or a disk has changed is dropped and written again.
"""

import errno
import json
import mmap
import os
import shutil
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matlake.platforms import rename
from matlake.store.searching.k_nearest import squares_of
from matlake.store.tables.parts import LivePart

BLOCK_BYTES: Final = 32 << 20
"""Bytes of vectors that are looked at together."""

SEARCH_FOLDER: Final = "search"
"""Folder of the segments, among what is unfinished in a lake, or in the cache."""

VERSION: Final = 1
SEGMENT: Final = "segment-"
INDEX: Final = "index-"
UNFINISHED: Final = ".unfinished-"
CARD: Final = "segment.json"
_VECTORS, _WORDS, _SQUARES = "vectors.f32", "hashes.u64", "squares.f32"

_damaged: Final[set[Path]] = set()
"""Segments that this process has found damaged, which it may not be able to remove."""


class DamagedSegmentError(Exception):
    """A segment does not match its checksums. It is not used again: what it held is read from the table."""


class Block(NamedTuple):
    """Some rows of a layer.

    Attributes:
        start: Number of the first.
        words: Their contents, uint64 [b, 2].
        vectors: float32 [b, d].
        squares: Squared norms, float32 [b].
    """

    start: int
    words: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    squares: NDArray[np.float32]


@dataclass(eq=False)
class Rows:
    """Rows that can be read in any order: in memory, or mapped from a segment.

    Attributes:
        words: Contents, uint64 [n, 2].
        vectors: float32 [n, d].
        squares: float32 [n].
        parts: Name -> number of rows of the parts that they came from, in order.
        live: bool [n], rows of parts that the table still names; None for all.
        used: Names of these parts.
    """

    words: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    squares: NDArray[np.float32]
    parts: dict[str, int] = field(default_factory=dict)
    live: NDArray[np.bool_] | None = None
    used: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Return the number of rows, live or not."""
        return len(self.words)

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        return rows_of_block(self.vectors.shape[1])

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks, live or not."""
        for start in range(0, len(self), self.block_rows):
            part = slice(start, start + self.block_rows)
            yield Block(start, self.words[part], self.vectors[part], self.squares[part])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows."""
        taken: NDArray[np.float32] = self.vectors[rows]
        return taken


@dataclass(eq=False)
class Segment(Rows):
    """Rows mapped from a segment. A block is compared with its checksum when it is first read.

    Attributes:
        folder: Of the segment.
        checksums: CRC-32 of each block of vectors.
        files: What the three arrays are mapped from.
        release: Let go of a block's memory when the next one is wanted.
    """

    folder: Path = field(default_factory=Path)
    checksums: list[int] = field(default_factory=list)
    files: "tuple[_Mapped, ...]" = ()
    release: bool = False

    def __post_init__(self) -> None:
        """No block was read yet."""
        self._compared = np.zeros(len(self.checksums), dtype=bool)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks.

        Raises:
            DamagedSegmentError: A block does not match its checksum.
        """
        for block in super().blocks():
            self._compare(block.start // self.block_rows)
            yield block
            if self.release:
                self._let_go(block)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows.

        Raises:
            DamagedSegmentError: A block does not match its checksum.
        """
        for block in np.unique(rows // self.block_rows).tolist():
            self._compare(block)
        return super().take(rows)

    def compare(self) -> None:
        """Compare all blocks with their checksums.

        Raises:
            DamagedSegmentError: One does not match.
        """
        for block in range(len(self.checksums)):
            self._compare(block)

    def _compare(self, block: int) -> None:
        if self._compared[block]:
            return
        start = block * self.block_rows
        if zlib.crc32(self.vectors[start : start + self.block_rows].data) != self.checksums[block]:
            _drop(self.folder)
            raise DamagedSegmentError(f"{self.folder} does not match its checksums")
        self._compared[block] = True

    def _let_go(self, block: Block) -> None:
        for file in self.files:
            file.let_go(block.start, len(block.words))


@dataclass(frozen=True)
class _Mapped:
    """A file of rows of numbers, mapped into memory.

    Attributes:
        map: The file.
        array: Its rows.
    """

    map: mmap.mmap
    array: NDArray[Any]

    @classmethod
    def open(cls, path: Path, kind: type, rows: int, width: int) -> "_Mapped":
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        shape = (rows, width) if width else (rows,)
        return cls(mapped, np.frombuffer(mapped, dtype=kind).reshape(shape))

    def let_go(self, start: int, rows: int) -> None:
        """Give the memory of some rows back; the file has them."""
        if not hasattr(self.map, "madvise"):  # as on Windows
            return
        width = self.array.strides[0]
        first = start * width // mmap.PAGESIZE * mmap.PAGESIZE
        self.map.madvise(mmap.MADV_DONTNEED, first, (start + rows) * width - first)


class SegmentWriter:
    """Writes a segment, block by block; it is there when ``finish`` is called, and not before."""

    def __init__(self, root: Path, dim: int, parts: dict[str, int]) -> None:
        """Begin a segment of some parts.

        Args:
            root: Folder of the segments of a layer.
            dim: Numbers of a vector.
            parts: Name -> number of rows, in order.

        Raises:
            OSError: Nothing can be written there.
        """
        self._name, self._root, self._dim, self._parts = uuid.uuid4().hex, root, dim, parts
        self._folder = root / f"{UNFINISHED}{self._name}"
        self._folder.mkdir(parents=True)
        self._files: dict[str, BinaryIO] = {}
        self._sums = {_WORDS: 0, _SQUARES: 0}
        self._checksums: list[int] = []
        self._block, self._in_block, self._rows = 0, 0, 0
        try:
            for name in (_VECTORS, _WORDS, _SQUARES):
                self._files[name] = (self._folder / name).open("wb")
        except BaseException:
            self.abandon()
            raise

    def add(self, block: Block) -> None:
        """Append rows.

        Raises:
            OSError: They cannot be written.
        """
        for name, values in ((_WORDS, block.words), (_SQUARES, block.squares)):
            plain = np.ascontiguousarray(values)
            self._files[name].write(plain.data)
            self._sums[name] = zlib.crc32(plain.data, self._sums[name])
        vectors = np.ascontiguousarray(block.vectors)
        self._files[_VECTORS].write(vectors.data)
        self._rows += len(vectors)
        while len(vectors):
            some = vectors[: rows_of_block(self._dim) - self._in_block]
            self._block = zlib.crc32(some.data, self._block)
            self._in_block += len(some)
            if self._in_block == rows_of_block(self._dim):
                self._end_block()
            vectors = vectors[len(some) :]

    def finish(self) -> None:
        """Give the segment its name, if all rows of its parts were added.

        Raises:
            OSError: It cannot be written.
        """
        if self._rows != sum(self._parts.values()):
            self.abandon()
            return
        if self._in_block:
            self._end_block()
        for file in self._files.values():
            file.close()
        card = {
            "version": VERSION,
            "dim": self._dim,
            "rows": self._rows,
            "block_rows": rows_of_block(self._dim),
            "parts": self._parts,
            "checksums": {_VECTORS: self._checksums, **self._sums},
        }
        (self._folder / CARD).write_text(json.dumps(card), "ascii")
        rename(self._folder, self._root / f"{SEGMENT}{self._name}")

    def abandon(self) -> None:
        """Remove what was written."""
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end_block(self) -> None:
        self._checksums.append(self._block)
        self._block, self._in_block = 0, 0


def check_room(root: Path, size: int) -> None:
    """Raise OSError where what can be made again would take more than a third of the free space."""
    if 3 * size > shutil.disk_usage(root).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(root))


def rows_of_block(dim: int) -> int:
    """Return how many vectors of some numbers are looked at together."""
    return max(1, BLOCK_BYTES // (4 * dim))


def in_memory(blocks: Iterable[Block], dim: int) -> Rows:
    """Return rows that come in blocks as one."""
    found = list(blocks)
    if not found:
        return Rows(np.empty((0, 2), np.uint64), np.empty((0, dim), np.float32), np.empty(0, np.float32))
    return Rows(
        np.concatenate([block.words for block in found]),
        np.concatenate([block.vectors for block in found]),
        np.concatenate([block.squares for block in found]),
    )


def block_of(start: int, words: NDArray[np.uint64], vectors: NDArray[np.float32]) -> Block:
    """Return rows as a block, their squared norms computed."""
    return Block(start, words, vectors, squares_of(vectors))


def open_segments(roots: Sequence[Path], dim: int, live: dict[str, int], *, release: bool) -> list[Segment]:
    """Open the segments that hold live parts, each part in one of them at most.

    Segments that cannot be read, and those in which less than half of the rows would be used, are passed over.

    Args:
        roots: Folders that may hold segments of the layer.
        dim: Numbers of a vector.
        live: Name -> number of rows of the parts of the table.
        release: See ``Segment``.
    """
    cards = {folder: card for root in roots for folder in _folders(root) if (card := _read_card(folder, dim))}
    opened = []
    for folder, used in _chosen({folder: card["parts"] for folder, card in cards.items()}, live).items():
        segment = _map(folder, cards[folder], release=release)
        if segment is None:
            continue
        segment.used = used
        if len(used) < len(segment.parts):
            segment.live = np.repeat([name in used for name in segment.parts], [*segment.parts.values()])
        opened.append(segment)
    return opened


def _chosen(segments: Mapping[Path, Mapping[str, int]], live: Mapping[str, int]) -> dict[Path, frozenset[str]]:
    """Return the segments to read, by the parts that each holds, with the parts to read from each."""
    left, chosen = dict(live), {}

    def used(folder: Path) -> dict[str, int]:
        return {name: rows for name, rows in segments[folder].items() if left.get(name) == rows}

    for folder in sorted(segments, key=lambda folder: (-sum(used(folder).values()), folder.name)):
        found = used(folder)
        rows = sum(found.values())
        if rows and 2 * rows >= sum(segments[folder].values()):
            chosen[folder] = frozenset(found)
            left = {name: rows for name, rows in left.items() if name not in found}
    return chosen


def segment_part(part: LivePart) -> str:
    """Return what a part is called in segments: its digest, since compaction gives its file new names."""
    return part.digest or part.path.name


def unused_segments(root: Path, live: Mapping[str, int]) -> Iterator[Path]:
    """Yield the segments below a folder that no search reads, and those that are not finished.

    Two searches at once may have kept the same parts; a search reads one of the two.

    Args:
        root: The folder.
        live: Name -> number of rows of the parts of the table.
    """
    for layer in sorted(root.glob("*/*")):
        segments = {folder: _parts_of(folder) for folder in layer.glob(f"{SEGMENT}*")}
        yield from sorted(segments.keys() - _chosen(segments, live).keys())
        yield from (folder for folder in sorted(layer.glob(f"{INDEX}*")) if live.keys().isdisjoint(_parts_of(folder)))
        yield from sorted(layer.glob(f"{UNFINISHED}*"))


def _parts_of(folder: Path) -> dict[str, int]:
    """Return the parts that a segment holds, or an index without their rows; none where that cannot be read."""
    try:
        parts = json.loads((folder / CARD).read_bytes())["parts"]
        return (
            {str(name): int(rows) for name, rows in parts.items()}
            if isinstance(parts, dict)
            else dict.fromkeys(parts, 0)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _folders(root: Path) -> list[Path]:
    try:
        found = sorted(folder for folder in root.iterdir() if folder.name.startswith(SEGMENT))
    except OSError:
        return []
    return [folder for folder in found if folder not in _damaged]


def _drop(folder: Path) -> None:
    _damaged.add(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _read_card(folder: Path, dim: int) -> dict[str, Any] | None:
    """Return what a segment says of itself; None where it is damaged, or was made by another version."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_bytes())
        rows, sums = card["rows"], card["checksums"]
        sizes = {_VECTORS: 4 * rows * dim, _WORDS: 16 * rows, _SQUARES: 4 * rows}
        fits = (
            (card["version"], card["dim"], card["block_rows"]) == (VERSION, dim, rows_of_block(dim))
            and sum(card["parts"].values()) == rows
            and len(sums[_VECTORS]) == -(-rows // rows_of_block(dim))
            and all(os.stat(folder / name).st_size == size for name, size in sizes.items())  # noqa: PTH116 - of many
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return card if fits else None


def _map(folder: Path, card: dict[str, Any], *, release: bool) -> Segment | None:
    rows, sums = card["rows"], card["checksums"]
    try:
        vectors = _Mapped.open(folder / _VECTORS, np.float32, rows, card["dim"])
        words = _Mapped.open(folder / _WORDS, np.uint64, rows, 2)
        squares = _Mapped.open(folder / _SQUARES, np.float32, rows, 0)
    except (OSError, ValueError):
        return None
    if zlib.crc32(words.array.data) != sums[_WORDS] or zlib.crc32(squares.array.data) != sums[_SQUARES]:
        _drop(folder)
        return None
    files = (vectors, words, squares)
    if release:
        for file in files[1:]:
            file.let_go(0, rows)
    return Segment(
        words.array,
        vectors.array,
        squares.array,
        card["parts"],
        folder=folder,
        checksums=sums[_VECTORS],
        files=files,
        release=release,
    )
