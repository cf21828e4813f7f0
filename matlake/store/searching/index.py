"""Search in a lake: which materials have the embeddings that are nearest to one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.card import JOINED_BY, EncoderCard, Layer
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import LakeError, embed_first
from matlake.materials.ragged import ranges
from matlake.store import delta
from matlake.store.content_keys import CONTENT_KEYS
from matlake.store.damage import reads_what_is_sound, verify_parts
from matlake.store.lake import Lake
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import identifier
from matlake.store.searching.nearest import nearest_candidates
from matlake.store.sql import not_a_predicate
from matlake.store.views import embedding_partition

_BATCH_BYTES: Final = 16 << 20

Stamp = tuple[tuple[str, ...], tuple[tuple[str, int], ...]]
"""What an index was made from: the files of its embeddings, and the version of each dataset."""


@dataclass(frozen=True)
class Neighbour:
    """A material near to the one searched for.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        formula: Its formula.
        distance: Euclidean, between the embeddings.
    """

    dataset: str
    material_id: str
    formula: str
    distance: float


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """Embeddings held in memory, with the materials that have them. Safe to use from several threads.

    They are of one layer, or of several side by side. Layers differ in scale by their nature, so several are each
    divided by the distance between two materials of the lake in that layer (root mean square) and by the root of their
    number: squared distances are then means over the layers, and 1 is how far apart two materials usually are.

    Attributes:
        lake: The lake.
        card: The encoder.
        layers: Names of the layers.
        stamp: What it was made from.
        hashes: The n contents.
        vectors: float32 [n, d], times ``scale``.
        scale: float32 [d], what the encoder's vectors are multiplied by; None for one layer, which is as it is.
        squares: float64 [n], their squared norms.
        materials: ``dataset``, ``material_id``, ``formula`` of m materials, in order of dataset and id.
        contents: int64 [m], which of the n contents each material is.
        by_content: int64 [m], the materials in order of their content.
        starts: int64 [n + 1]; the materials of content i are ``by_content[starts[i]:starts[i + 1]]``.
    """

    lake: Lake
    card: EncoderCard
    layers: tuple[str, ...]
    stamp: Stamp
    hashes: pa.ChunkedArray
    vectors: NDArray[np.float32]
    scale: NDArray[np.float32] | None
    squares: NDArray[np.float64]
    materials: pa.Table
    contents: NDArray[np.int64]
    by_content: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __repr__(self) -> str:
        """Say in a line what it holds."""
        (n, d), materials = self.vectors.shape, len(self.contents)
        return f"<index of {self.feature}: {n:,} vectors of {d:,} numbers, for {materials:,} materials>"

    @property
    def feature(self) -> str:
        """``NAME@LAYER``, or ``NAME@LAYER+LAYER``."""
        return str(LayerRef(self.card.name, JOINED_BY.join(self.layers)))

    def is_current(self) -> bool:
        """Say whether the lake still holds what this was made from."""
        return self.stamp == _stamp(self.lake, self.card, self.layers)

    def find(self, material_id: str, dataset: str | None = None) -> NDArray[np.int64]:
        """Return the places of the materials of that id, in all datasets or in one; none where none is embedded."""
        same = pc.equal(self.materials["material_id"], material_id)
        if dataset is not None:
            same = pc.and_(same, pc.equal(self.materials["dataset"], dataset))
        return np.flatnonzero(same.to_numpy())

    def select(self, dataset: str | None = None, where: str | None = None) -> NDArray[np.bool_]:
        """Say which materials a dataset or a predicate selects, as the lake is now.

        Args:
            dataset: Name of a dataset.
            where: SQL predicate over ``materials``.

        Returns:
            bool [m].

        Raises:
            LakeError: There is no such dataset.
            QueryError: ``where`` is not a predicate over ``materials``.
        """
        selected = np.ones(len(self.contents), dtype=bool)
        if dataset is not None:
            self.lake.check_dataset(dataset)
            selected = pc.equal(self.materials["dataset"], dataset).to_numpy()
        if where is not None:
            found = np.zeros(len(selected), dtype=bool)
            found[self._matching(where)] = True
            selected = selected & found
        return selected

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        among: NDArray[np.bool_] | None = None,
        exclude: Sequence[Iterable[int]] | None = None,
    ) -> list[list[Neighbour]]:
        """Return the k nearest materials of each vector, nearest first; equally near ones in order of dataset and id.

        Args:
            vectors: float32 [q, d], as the encoder returns them; those of several layers side by side.
            k: Number wanted; fewer are returned where there are fewer.
            among: bool [m], the materials looked at, as ``select`` returns it; None for all.
            exclude: For each vector the places of materials that do not count, as ``find`` returns them.
        """
        scaled = vectors if self.scale is None else vectors * self.scale
        return self.search_scaled(scaled, k, among=among, exclude=exclude)

    def search_scaled(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        among: NDArray[np.bool_] | None = None,
        exclude: Sequence[Iterable[int]] | None = None,
    ) -> list[list[Neighbour]]:
        """Return what ``search`` does for vectors [q, d] that are scaled as those of the index are."""
        left_out = [np.fromiter(places, dtype=np.int64) for places in exclude or [()] * len(vectors)]
        most = max((len(places) for places in left_out), default=0)
        counted = None
        if among is not None:
            counted = np.zeros(len(self.vectors), dtype=bool)
            counted[self.contents[among]] = True
        # an excluded material can hide no more than one content: so many more are looked at
        found = nearest_candidates(vectors, self.vectors, self.squares, k + most, counted)
        return [
            self._materials(rows, distances, k, among, places)
            for (rows, distances), places in zip(found, left_out, strict=True)
        ]

    def _materials(
        self,
        rows: NDArray[np.int64],
        distances: NDArray[np.float64],
        k: int,
        among: NDArray[np.bool_] | None,
        left_out: NDArray[np.int64],
    ) -> list[Neighbour]:
        """Go from contents to the materials that have them."""
        places, offsets = ranges(self.starts, rows)
        places, lengths = self.by_content[places], np.repeat(distances, np.diff(offsets))
        counted = ~np.isin(places, left_out)
        if among is not None:
            counted &= among[places]
        places, lengths = places[counted], lengths[counted]
        nearest = np.lexsort((places, lengths))[:k]
        named = self.materials.take(places[nearest]).to_pylist()
        return [Neighbour(**row, distance=float(d)) for row, d in zip(named, lengths[nearest], strict=True)]

    def _matching(self, where: str) -> NDArray[np.int64]:
        statement = (
            f"SELECT p.place FROM places AS p SEMI JOIN (SELECT dataset, material_id FROM materials WHERE ({where}\n)) "
            "AS m USING (dataset, material_id)"
        )
        places = self.materials.append_column("place", pa.array(np.arange(len(self.contents))))
        with self.lake.connect() as connection:
            connection.register("places", places)
            try:
                check_predicate(connection, where)
                found: NDArray[np.int64] = connection.sql(statement).to_arrow_table()["place"].to_numpy()
            except duckdb.Error as error:
                raise not_a_predicate(where, error) from error
        return found


@reads_what_is_sound
def open_index(lake: Lake, feature: str) -> Index:
    """Read the embeddings of a layer or several, and which materials have all of them.

    Args:
        lake: The lake.
        feature: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``.

    Raises:
        EncoderError: No such encoder or layer.
        LakeError: Nothing is embedded with it.
    """
    wanted = LayerRef.parse(feature)
    card = lake.find_encoder(wanted.encoder).card
    layers = card.named_layers(wanted.layer)
    names = tuple(layer.name for layer in layers)
    stamp = _stamp(lake, card, names)  # before reading: what is written meanwhile makes the index old, not wrong
    verify_parts(lake, lake.dataset_names(), [embedding_partition(card, name) for name in names])
    with lake.connect() as connection:
        hashes, vectors, scale = _read_layers(connection, card, layers)
        connection.register("contents", pa.table({"content_hash": hashes, "content": np.arange(len(vectors))}))
        found = connection.sql(
            f"SELECT c.dataset, c.material_id, m.formula, e.content FROM internal.compositions AS c "
            f"JOIN contents AS e ON c.{CONTENT_KEYS[card.input]} = e.content_hash "
            "JOIN materials AS m USING (dataset, material_id) ORDER BY c.dataset, c.material_id"
        ).to_arrow_table()
    if not found.num_rows:
        raise _not_embedded(LayerRef(card.name, JOINED_BY.join(names)))
    contents = found["content"].to_numpy()
    by_content = np.argsort(contents, kind="stable")
    return Index(
        lake=lake,
        card=card,
        layers=names,
        stamp=stamp,
        hashes=hashes,
        vectors=vectors,
        scale=scale,
        squares=np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64),
        materials=found.drop_columns(["content"]),
        contents=contents,
        by_content=by_content,
        starts=np.searchsorted(contents[by_content], np.arange(len(vectors) + 1)),
    )


def _not_embedded(ref: LayerRef) -> LakeError:
    return LakeError(f"nothing is embedded with {ref}", embed_first(str(ref)))


def _read_layers(
    connection: duckdb.DuckDBPyConnection, card: EncoderCard, layers: Sequence[Layer]
) -> tuple[pa.ChunkedArray, NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the contents that have all of some layers, their vectors float32 [n, d] side by side, and their scale.

    Raises:
        LakeError: Nothing is embedded with a layer, or all its parts are damaged.
    """
    for layer in layers:
        if not _is_readable(connection, card.ref(layer.name)):
            raise _not_embedded(card.ref(layer.name))
    hashes, first = _read_vectors(connection, card, layers[0].name, layers[0].dim)
    if len(layers) == 1:
        return hashes, first, None
    parts, places = [first], [np.arange(len(first))]
    for layer in layers[1:]:
        own, vectors = _read_vectors(connection, card, layer.name, layer.dim)
        found = pc.index_in(hashes, value_set=own.combine_chunks())
        parts.append(vectors)
        places.append(pc.fill_null(found, -1).to_numpy())
    shared = np.logical_and.reduce([place >= 0 for place in places])
    blocks = [vectors[place[shared]] for vectors, place in zip(parts, places, strict=True)]
    scale = np.concatenate([np.full(block.shape[1], _scale(block) / np.sqrt(len(blocks))) for block in blocks])
    joined = np.concatenate(blocks, axis=1)
    joined *= scale.astype(np.float32)
    return hashes.filter(pa.array(shared)), joined, scale.astype(np.float32)


def _scale(vectors: NDArray[np.float32]) -> float:
    """Return one over the root mean square distance of two of some vectors [n, d]: √(2 Σⱼ var vⱼ); 1 if all are one."""
    spread = float(np.sqrt(2.0 * vectors.var(axis=0, dtype=np.float64).sum())) if len(vectors) else 0.0
    return 1.0 / spread if spread > 0.0 else 1.0


def _is_readable(connection: duckdb.DuckDBPyConnection, ref: LayerRef) -> bool:
    statement = "SELECT count(*) FROM duckdb_views() WHERE schema_name = 'internal' AND view_name = ?"
    ((count,),) = connection.execute(statement, [str(ref)]).fetchall()
    return bool(count)


def _read_vectors(
    connection: duckdb.DuckDBPyConnection, card: EncoderCard, layer: str, dim: int
) -> tuple[pa.ChunkedArray, NDArray[np.float32]]:
    """Return the contents that some material holds, and their vectors float32 [n, d]."""
    rows = (
        f"internal.{identifier(str(card.ref(layer)))} AS e "
        f"SEMI JOIN internal.compositions AS c ON c.{CONTENT_KEYS[card.input]} = e.content_hash"
    )
    (count,) = connection.execute(f"SELECT count(*) FROM {rows}").fetchall()[0]
    vectors = np.empty((count, dim), dtype=np.float32)
    hashes: list[pa.Array] = []
    reader: Any = connection.sql(f"SELECT e.content_hash, e.vector FROM {rows}").to_arrow_reader(
        max(1, _BATCH_BYTES // (4 * dim))
    )
    start = 0
    for batch in reader:
        vectors[start : start + len(batch)] = batch.column(1).flatten().to_numpy().reshape(-1, dim)
        hashes.append(batch.column(0))
        start += len(batch)
    return pa.chunked_array(hashes, pa.string()), vectors


def _stamp(lake: Lake, card: EncoderCard, layers: Sequence[str]) -> Stamp:
    embeddings = delta.snapshot_or_warn(lake.embeddings)
    files: list[str] = []
    if embeddings:
        wanted = [embedding_partition(card, layer) for layer in layers]
        files += [str(part.path) for part in embeddings.parts if part.partition in wanted]
    datasets = [(name, delta.snapshot_or_warn(lake.dataset(name))) for name in lake.dataset_names()]
    return tuple(files), tuple((name, table.version) for name, table in datasets if table is not None)
