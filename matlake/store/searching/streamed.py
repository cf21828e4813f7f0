"""One search in one layer, without an index: vectors stream by, and materials are looked up for the few that are near.

Its memory does not grow with the lake, but for 32 bytes for each content where a predicate or a dataset selects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.arrow_columns import strings
from matlake.encoders.card import EncoderCard, Layer
from matlake.store.content_keys import CONTENT_KEYS
from matlake.store.lake import Lake
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import literal
from matlake.store.searching.content_words import ContentSet, hash_words, words_as_text
from matlake.store.searching.k_nearest import KNearest
from matlake.store.searching.layer_rows import LayerRows, open_rows
from matlake.store.searching.neighbour import Neighbour
from matlake.store.searching.queries import Names
from matlake.store.searching.stored_rows import DamagedSegmentError
from matlake.store.sql import not_a_predicate

_EVERYTHING: Final = "internal.searchable"
_BATCH_ROWS: Final = 65_536

_MORE: Final = 4
"""Where contents that are near turn out to have no material that counts, so many times more are looked at."""


@dataclass(frozen=True)
class StreamedLayer:
    """A layer to search once.

    Attributes:
        lake: The lake.
        card: The encoder.
        layer: The layer.
        connection: A connection to the lake.
    """

    lake: Lake
    card: EncoderCard
    layer: Layer
    connection: duckdb.DuckDBPyConnection

    scale = None
    recall = None

    @property
    def feature(self) -> str:
        """``NAME@LAYER``."""
        return str(self.card.ref(self.layer.name))

    def find(self, material_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return dataset and content of the materials that have some ids; they need not be embedded."""
        content = CONTENT_KEYS[self.card.input]
        self.connection.register("ids", pa.table({"wanted": strings(material_ids)}))
        rows = self.connection.sql(
            f"SELECT material_id, dataset, {content} FROM internal.compositions "
            f"WHERE material_id IN (SELECT wanted FROM ids) AND {content} IS NOT NULL"
        ).fetchall()
        found: dict[str, list[tuple[str, str]]] = {}
        for name, dataset, key in rows:
            found.setdefault(name, []).append((dataset, key))
        return found

    def vectors_of(self, contents: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of contents, float32 [c, d]; NaN for those that are not embedded."""
        words = hash_words(strings(contents))
        while True:
            try:
                return self._rows().vectors_of(words)
            except DamagedSegmentError:  # it is not used again
                continue

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        dataset: str | None = None,
        where: str | None = None,
        exclude: Sequence[Names] = (),
    ) -> list[list[Neighbour]]:
        """Return the k nearest materials of each vector, nearest first; equally near ones in order of dataset and id.

        Args:
            vectors: float32 [q, d], as the encoder returns them.
            k: Number wanted; fewer are returned where there are fewer.
            dataset: Only materials of this dataset.
            where: Only materials that this SQL predicate over ``materials`` selects.
            exclude: For each vector the materials that do not count.

        Raises:
            QueryError: ``where`` is not a predicate over ``materials``.
        """
        left_out = list(exclude) or [frozenset[tuple[str, str]]()] * len(vectors)
        selected = self._selected(dataset, where)
        counted = None if selected is None else self._contents(selected, where)
        wanted = k + max(map(len, left_out), default=0)
        while True:
            found, contents = self._nearest(vectors, wanted, counted)
            named = self._materials(np.concatenate([np.empty((0, 2), np.uint64), *contents]), selected)
            neighbours = [
                _first(rows, distances, named, names, k)
                for rows, (_, distances), names in zip(map(words_as_text, contents), found, left_out, strict=True)
            ]
            if all(
                len(near) == k or len(distances) < wanted
                for near, (_, distances) in zip(neighbours, found, strict=True)
            ):
                return neighbours
            # some contents have no material any more: from now on, those that have one are known beforehand
            counted = counted or self._contents(selected or _EVERYTHING, where)
            wanted *= _MORE

    def _rows(self) -> LayerRows:
        return open_rows(self.lake, self.card, self.layer, release=True)

    def _selected(self, dataset: str | None, where: str | None) -> str | None:
        """Return what stands after FROM for the materials that count; None if all do.

        Raises:
            QueryError: ``where`` is not a predicate over ``materials``.
        """
        conditions = [] if dataset is None else [f"dataset = {literal(dataset)}"]
        if where is not None:
            try:
                check_predicate(self.connection, where)
                self.connection.sql(f"SELECT 1 FROM materials WHERE ({where}\n) LIMIT 0")
            except duckdb.Error as error:
                raise not_a_predicate(where, error) from error
            conditions.append(f"({where}\n)")
        return f"internal.searchable AS materials WHERE {' AND '.join(conditions)}" if conditions else None

    def _contents(self, selected: str, where: str | None) -> ContentSet:
        """Return the contents of materials that count.

        Raises:
            QueryError: A predicate fails for some row.
        """
        content = CONTENT_KEYS[self.card.input]
        statement = f"SELECT {content} FROM (SELECT {content} FROM {selected}) WHERE {content} IS NOT NULL"
        try:
            reader = self.connection.sql(statement).to_arrow_reader(_BATCH_ROWS)
            words = [hash_words(batch.column(0)) for batch in reader]
        except (duckdb.InvalidInputException, duckdb.DataError) as error:
            raise not_a_predicate(where, error) from error
        return ContentSet(np.concatenate([np.empty((0, 2), np.uint64), *words]))

    def _nearest(
        self, vectors: NDArray[np.float32], k: int, counted: ContentSet | None
    ) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.float64]]], list[NDArray[np.uint64]]]:
        """Return rows and distances of the nearest contents of each vector, and these contents."""
        while True:
            nearest = KNearest(np.ascontiguousarray(vectors, dtype=np.float32), k)
            try:
                contents = _scan(self._rows(), nearest, counted)
            except DamagedSegmentError:  # it is not used again
                continue
            found = nearest.result()
            return found, [
                np.array([contents[row] for row in rows.tolist()], np.uint64).reshape(-1, 2) for rows, _ in found
            ]

    def _materials(self, contents: NDArray[np.uint64], selected: str | None) -> dict[str, list[tuple[str, str, str]]]:
        """Return dataset, id and formula of the materials that have some contents, by content."""
        content = CONTENT_KEYS[self.card.input]
        wanted = pa.table({"wanted": strings(words_as_text(contents))})
        self.connection.register("contents", wanted)
        rows = self.connection.sql(
            f"SELECT * FROM (SELECT {content}, dataset, material_id, formula FROM {selected or _EVERYTHING}) "
            f"WHERE {content} IN (SELECT wanted FROM contents)"
        ).fetchall()
        named: dict[str, list[tuple[str, str, str]]] = {}
        for key, *material in rows:
            named.setdefault(key, []).append((material[0], material[1], material[2]))
        return named


def _scan(rows: LayerRows, nearest: KNearest, counted: ContentSet | None) -> dict[int, list[int]]:
    """Show all rows to what looks for the nearest; return the contents of those that were found."""
    contents: dict[int, list[int]] = {}
    for block, live in rows.blocks():
        count, keep = live, None
        if counted is not None and nearest.is_full:
            words = block.words

            def keep(places: NDArray[np.int64], words: NDArray[np.uint64] = words) -> NDArray[np.bool_]:
                return counted.contains(words[places])
        elif counted is not None:
            held = counted.contains(block.words)
            count = held if live is None else held & live
        nearest.add(np.arange(block.start, block.start + len(block.words)), block.vectors, block.squares, count, keep)
        found = nearest.rows
        found = found[found >= block.start]
        contents.update(zip(found.tolist(), block.words[found - block.start].tolist(), strict=True))
    return contents


def _first(
    contents: Sequence[str],
    distances: NDArray[np.float64],
    named: dict[str, list[tuple[str, str, str]]],
    left_out: Names,
    k: int,
) -> list[Neighbour]:
    """Go from the nearest contents to the k nearest materials."""
    near: dict[tuple[str, str], tuple[float, str]] = {}
    for content, distance in zip(contents, distances.tolist(), strict=True):
        for dataset, material_id, formula in named.get(content, ()):
            if (dataset, material_id) not in left_out:
                near.setdefault((dataset, material_id), (distance, formula))
    found = [Neighbour(*name, formula, distance) for name, (distance, formula) in near.items()]
    return sorted(found, key=lambda one: (one.distance, one.dataset, one.material_id))[:k]
