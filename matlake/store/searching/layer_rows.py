"""The rows of one layer in a lake: those that segments hold, and those that are read from the table's parts."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.arrow_columns import list_numbers
from matlake.encoders.card import EncoderCard, Layer
from matlake.store.lake import Lake
from matlake.store.searching.content_words import ContentSet, hash_words, words_as_text
from matlake.store.searching.stored_rows import (
    SEARCH_FOLDER,
    Block,
    Rows,
    Segment,
    SegmentWriter,
    block_of,
    check_room,
    in_memory,
    open_segments,
    segment_part,
)
from matlake.store.snapshots import snapshot_or_warn
from matlake.store.storage.copies import cache_folder
from matlake.store.storage.parquet import open_parquet
from matlake.store.tables import delta
from matlake.store.tables.parts import LivePart, split_damaged, warn_of
from matlake.store.views import embedding_partition

_WORTH_STORING: Final = 64 << 20
"""Vectors of fewer bytes are decoded in a quarter of a second: they are read from the table every time."""

_SEGMENT_BYTES: Final = 512 << 20
_DECODED: Final = 8 << 20
"""Bytes of vectors that are decoded at once."""

Item = TypeVar("Item")


@dataclass
class LayerRows:
    """The rows of a layer, numbered from 0: first those of segments and of memory, then those of parts.

    Attributes:
        card: The encoder.
        layer: The layer.
        roots: Folders for segments, the first of which takes new ones.
        stored: Rows that can be read in any order.
        parts: Parts that none of them holds.
    """

    card: EncoderCard
    layer: Layer
    roots: Sequence[Path]
    stored: list[Rows]
    parts: list[LivePart] = field(default_factory=list)

    def blocks(self) -> Iterator[tuple[Block, NDArray[np.bool_] | None]]:
        """Yield all rows in blocks, and which of them are live, None for all.

        What is read from parts is kept in segments, where that is worth it and there is room.

        Raises:
            DamagedSegmentError: A segment does not match its checksums.
            pa.ArrowException: A part cannot be read.
        """
        start = 0
        for rows in self.stored:
            for block in rows.blocks():
                live = None if rows.live is None else rows.live[block.start : block.start + len(block.words)]
                yield block._replace(start=start + block.start), live
            start += len(rows)
        for block in _ahead(self._from_parts()):
            yield block._replace(start=start + block.start), None

    def vectors_of(self, words: NDArray[np.uint64]) -> NDArray[np.float32]:
        """Return the vectors of some contents [m, 2], float32 [m, d]; NaN for those that the layer does not have."""
        import pyarrow.compute as pc

        wanted, texts = ContentSet(words), pa.array(words_as_text(words), pa.string())
        found = np.full((len(words), self.layer.dim), np.nan, dtype=np.float32)
        for rows in self.stored:
            for start in range(0, len(rows), rows.block_rows):
                block = slice(start, start + rows.block_rows)
                places = wanted.places(rows.words[block])
                live = True if rows.live is None else rows.live[block]
                if len(hits := np.flatnonzero((places >= 0) & live)):
                    found[places[hits]] = rows.take(start + hits)
        for part in self.parts:
            with open_parquet(part.path) as file:
                for group in range(file.num_row_groups):
                    hashes = file.read_row_group(group, columns=["content_hash"])["content_hash"]
                    hits = np.flatnonzero(pc.is_in(hashes, texts).to_numpy())
                    if len(hits):
                        column = file.read_row_group(group, columns=["vector"])["vector"].combine_chunks()
                        places = wanted.places(hash_words(hashes.take(pa.array(hits))))
                        found[places] = _matrix(column.take(pa.array(hits)), self.layer.dim)
        return found[wanted.places(words)]

    def hold(self) -> None:
        """Make all rows such that they can be read in any order: store the parts, or read them into memory.

        Raises:
            DamagedSegmentError: A segment does not match its checksums.
            pa.ArrowException: A part cannot be read.
        """
        if self.parts and self._is_worth_storing():
            for _ in self._from_parts():
                pass
            live = {segment_part(part): part.rows for part in self.parts}
            segments = open_segments(self.roots, self.layer.dim, live, release=False)
            self.stored += segments
            found = {name for segment in segments for name in segment.used}
            self.parts = [part for part in self.parts if segment_part(part) not in found]
        if self.parts:
            blocks = (block for part in self.parts for block in _read(part, self.layer.dim))
            held = in_memory(blocks, self.layer.dim)
            held.used = frozenset(segment_part(part) for part in self.parts)
            self.stored.append(held)
            self.parts = []
        for rows in self.stored:
            if isinstance(rows, Segment):
                rows.compare()

    def _is_worth_storing(self) -> bool:
        return 4 * self.layer.dim * sum(part.rows for part in self.parts) >= _WORTH_STORING

    def _from_parts(self) -> Iterator[Block]:
        """Yield the rows of the parts, numbered from 0, and write them to segments on the side."""
        start, store = 0, self._is_worth_storing()
        for parts in _grouped(self.parts, self.layer.dim):
            with _writing(self.roots if store else (), self.layer.dim, parts) as write:
                for part in parts:
                    for block in _read(part, self.layer.dim):
                        write(block)
                        yield block._replace(start=start)
                        start += len(block.words)


def open_rows(lake: Lake, card: EncoderCard, layer: Layer, *, release: bool = False) -> LayerRows:
    """Find the rows of a layer, without reading any vector.

    Parts that are about to be read are compared with their digests first.

    Args:
        lake: The lake.
        card: The encoder.
        layer: Its layer.
        release: Let go of what was read from segments, for a single pass over them.
    """
    table = snapshot_or_warn(lake, lake.embeddings)
    parts = delta.sound_parts(table, embedding_partition(card, layer.name), verify=lake.verify)
    roots = segment_roots(lake, card, layer)
    segments = open_segments(roots, layer.dim, {segment_part(part): part.rows for part in parts}, release=release)
    held = {name for segment in segments for name in segment.used}
    sound, damaged = split_damaged((part for part in parts if segment_part(part) not in held), verify=True)
    warn_of(damaged)
    return LayerRows(card, layer, roots, [*segments], sound)


def segment_roots(lake: Lake, card: EncoderCard, layer: Layer) -> list[Path]:
    """Return the folders that may hold segments of a layer: in the lake if it can be written to, and in the cache."""
    inside = Path(SEARCH_FOLDER, f"{card.name}-{card.sha256[:16]}", layer.name)
    roots = [lake.unfinished / inside, cache_folder() / inside]
    return roots[1:] if isinstance(lake.path, Path) and not os.access(lake.path, os.W_OK) else roots


def _grouped(parts: Iterable[LivePart], dim: int) -> Iterator[list[LivePart]]:
    """Yield parts in groups for a segment each."""
    group: list[LivePart] = []
    for part in parts:
        group.append(part)
        if 4 * dim * sum(one.rows for one in group) >= _SEGMENT_BYTES:
            yield group
            group = []
    if group:
        yield group


@contextmanager
def _writing(roots: Sequence[Path], dim: int, parts: Sequence[LivePart]) -> Iterator["_Write"]:
    """Give a function that stores rows of some parts; one that does nothing where there is no place for them."""
    writer = _begin(roots, dim, parts)
    write = _Write(writer)
    try:
        yield write
        write.finish()
    finally:
        write.abandon()


class _Write:
    """Writes to a segment until that fails: a search does not need it."""

    def __init__(self, writer: SegmentWriter | None) -> None:
        self._writer = writer

    def __call__(self, block: Block) -> None:
        if self._writer is not None:
            try:
                self._writer.add(block)
            except OSError:
                self.abandon()

    def finish(self) -> None:
        if self._writer is not None:
            with suppress(OSError):
                self._writer.finish()
                self._writer = None

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None


def _begin(roots: Sequence[Path], dim: int, parts: Sequence[LivePart]) -> SegmentWriter | None:
    """Begin a segment in the first folder that has room."""
    size = (4 * dim + 20) * sum(part.rows for part in parts)
    for root in roots:
        try:
            root.mkdir(parents=True, exist_ok=True)
            check_room(root, size)
            return SegmentWriter(root, dim, {segment_part(part): part.rows for part in parts})
        except OSError:
            continue
    return None


def _read(part: LivePart, dim: int) -> Iterator[Block]:
    """Yield the rows of a part in blocks.

    Raises:
        pa.ArrowException: It cannot be read.
    """
    start = 0
    with open_parquet(part.path) as file:
        for batch in file.iter_batches(max(1, _DECODED // (4 * dim)), columns=["content_hash", "vector"]):
            yield block_of(start, hash_words(batch.column("content_hash")), _matrix(batch.column("vector"), dim))
            start += len(batch)


def _matrix(vectors: pa.Array, dim: int) -> NDArray[np.float32]:
    """Return a column of vectors as float32 [n, dim].

    Raises:
        pa.ArrowInvalid: One has another length.
    """
    values: NDArray[np.float32] = list_numbers(vectors)
    if len(values) != len(vectors) * dim:
        raise pa.ArrowInvalid(f"a vector does not have {dim} numbers")
    return values.reshape(-1, dim)


def _ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield what an iterator yields, the next one being made meanwhile."""
    nothing = object()
    with ThreadPoolExecutor(1, "matlake-search") as thread:
        try:
            waiting = thread.submit(next, items, nothing)
            while (item := waiting.result()) is not nothing:
                waiting = thread.submit(next, items, nothing)
                yield item  # type: ignore[misc] # what is not the mark is an item
        finally:
            waiting.exception()  # a generator cannot be closed while it runs
            items.close()  # type: ignore[attr-defined] # the items are those of a generator
