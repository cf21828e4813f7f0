"""An index of a lake: vectors and materials at hand, to search many times."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.card import JOINED_BY, EncoderCard, Layer
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import LakeError, embed_first
from matlake.materials.ragged import ranges
from matlake.store.content_keys import CONTENT_KEYS
from matlake.store.damage import reads_what_is_sound, verify_parts
from matlake.store.lake import Lake
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import identifier
from matlake.store.searching.approximate import PAYS, Approximate, open_approximate
from matlake.store.searching.content_rows import ContentRows, JoinedLayers, OneLayer
from matlake.store.searching.content_words import ContentSet, hash_words
from matlake.store.searching.k_nearest import KNearest
from matlake.store.searching.layer_rows import open_rows
from matlake.store.searching.neighbour import Neighbour
from matlake.store.searching.stored_rows import DamagedSegmentError
from matlake.store.snapshots import snapshot_or_warn
from matlake.store.sql import not_a_predicate
from matlake.store.views import embedding_partition

Stamp = tuple[tuple[str, ...], tuple[tuple[str, str, int], ...]]
"""What an index was made from: the files of its embeddings; name, table id and version of each dataset."""

_PLACE: Final = "place in the index"
_SPARSE: Final = 0.3
"""Where fewer of a block's rows count than this, they are copied together."""


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """Embeddings in memory, with the materials that have them. Safe to use from several threads.

    They are of one layer, or of several side by side, with equal weight (``JoinedLayers``). Those of large layers
    are mapped from a file, which the operating system may drop from memory and read again.

    Attributes:
        lake: The lake.
        card: The encoder.
        layers: Names of the layers.
        stamp: What it was made from.
        rows: The vectors of n contents.
        materials: ``dataset``, ``material_id``, ``formula`` of m materials, in order of dataset and id.
        contents: int64 [m], which of the rows each material has.
        approximate: Finds nearly all neighbours in less time where no rows are selected; None where all are found.
    """

    lake: Lake
    card: EncoderCard
    layers: tuple[str, ...]
    stamp: Stamp
    rows: ContentRows
    materials: pa.Table
    contents: NDArray[np.int64]
    _connection: duckdb.DuckDBPyConnection
    approximate: Approximate | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _made: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the materials by their content."""
        self._made["by content"] = np.argsort(self.contents, kind="stable")
        self._made["sorted"] = self.contents[self._made["by content"]]
        held = np.zeros(len(self.rows), dtype=bool)
        held[self.contents] = True
        self._made["counted"] = None if held.all() else held

    def __repr__(self) -> str:
        """Say in a line what it holds."""
        n, materials = len(np.unique(self.contents)), len(self.contents)
        return f"<index of {self.feature}: {n:,} vectors of {self.rows.dim:,} numbers, for {materials:,} materials>"

    @property
    def feature(self) -> str:
        """``NAME@LAYER``, or ``NAME@LAYER+LAYER``."""
        return str(LayerRef(self.card.name, JOINED_BY.join(self.layers)))

    @property
    def recall(self) -> float | None:
        """Share of the ten nearest that an approximate index was measured to find; None where all are found."""
        return None if self.approximate is None else self.approximate.recall

    def is_current(self) -> bool:
        """Say whether the lake still holds what this was made from."""
        return self.stamp == _stamp(self.lake, self.card, self.layers)

    def find(self, material_id: str, dataset: str | None = None) -> NDArray[np.int64]:
        """Return the places of the materials of that id, in all datasets or in one; none where none is embedded."""
        import pyarrow.compute as pc  # one search by a formula does without

        same = pc.equal(self.materials["material_id"], material_id)
        if dataset is not None:
            same = pc.and_(same, pc.equal(self.materials["dataset"], dataset))
        return np.flatnonzero(same.to_numpy())

    def vectors_of(self, places: NDArray[np.int64] | Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors of some materials, float32 [p, d], scaled where there are several layers."""
        return self.rows.take(self.contents[np.asarray(places, dtype=np.int64)])

    def select(self, dataset: str | None = None, where: str | None = None) -> NDArray[np.bool_]:
        """Say which materials a dataset or a predicate selects, as the lake was when this was made.

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
            import pyarrow.compute as pc

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
        scaled = vectors if self.rows.scale is None else vectors * self.rows.scale
        found = self.nearest(scaled, k, among=among, exclude=exclude)
        return [self.neighbours(places, distances) for places, distances in found]

    def nearest(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        among: NDArray[np.bool_] | None = None,
        exclude: Sequence[Iterable[int]] | None = None,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return places and distances of what ``search`` returns, for vectors [q, d] scaled as the rows are."""
        left_out = [np.fromiter(places, dtype=np.int64) for places in exclude or [()] * len(vectors)]
        most = max((len(places) for places in left_out), default=0)
        counted = self._made["counted"]
        if among is not None:
            counted = np.zeros(len(self.rows), dtype=bool)
            counted[self.contents[among]] = True
        # an excluded material can hide no more than one content: so many more are looked at
        points = np.ascontiguousarray(vectors, dtype=np.float32)
        nearest = KNearest(points, k + most)
        if self.approximate is not None and among is None:
            self.approximate.search(nearest, self.rows)
            if not nearest.is_full:  # more are wanted than the clusters nearby hold
                nearest = KNearest(points, k + most)
        if not nearest.is_full:
            self._scan(nearest, counted)
        return [
            self._materials(rows, distances, k, among, places)
            for (rows, distances), places in zip(nearest.result(), left_out, strict=True)
        ]

    def neighbours(self, places: NDArray[np.int64], distances: NDArray[np.float64]) -> list[Neighbour]:
        """Return materials at some distances as neighbours."""
        named = self.materials.take(pa.array(places)).to_pylist()
        return [Neighbour(**row, distance=float(d)) for row, d in zip(named, distances, strict=True)]

    def _scan(self, nearest: KNearest, counted: NDArray[np.bool_] | None) -> None:
        """Show all rows that count to what looks for the nearest."""
        for start, vectors, squares in self.rows.blocks():
            some = None if counted is None else counted[start : start + len(vectors)]
            if some is None or np.count_nonzero(some) >= _SPARSE * len(vectors):
                nearest.add(np.arange(start, start + len(vectors)), vectors, squares, some)
            elif len(rows := np.flatnonzero(some)):
                nearest.add(start + rows, vectors[rows], squares[rows])

    def _materials(
        self,
        rows: NDArray[np.int64],
        distances: NDArray[np.float64],
        k: int,
        among: NDArray[np.bool_] | None,
        left_out: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Go from contents to the k nearest of the materials that have them."""
        contents = self._made["sorted"]
        starts, ends = (np.searchsorted(contents, rows, side) for side in ("left", "right"))
        offsets = np.stack([starts, ends], axis=1).ravel()
        inside, sizes = ranges(offsets, 2 * np.arange(len(rows)))
        places, lengths = self._made["by content"][inside], np.repeat(distances, np.diff(sizes))
        counted = ~np.isin(places, left_out)
        if among is not None:
            counted &= among[places]
        places, lengths = places[counted], lengths[counted]
        first = np.lexsort((places, lengths))[:k]
        return places[first], lengths[first]

    def _matching(self, where: str) -> NDArray[np.int64]:
        with self._lock:
            if "table" not in self._made:
                self._made["table"] = self._place_materials()
        with self._connection.cursor() as connection:
            try:
                check_predicate(connection, where)
                statement = f"SELECT {identifier(_PLACE)} AS place FROM {self._made['table']} AS materials"
                found: NDArray[np.int64] = connection.sql(f"{statement} WHERE ({where}\n)").fetchnumpy()["place"]
            except duckdb.Error as error:
                raise not_a_predicate(where, error) from error
        return found

    def _place_materials(self) -> str:
        """Copy ``materials`` into memory, with their places, so that a predicate is answered in milliseconds."""
        places = self.materials.select(["dataset", "material_id"]).append_column(
            _PLACE, pa.array(np.arange(len(self.contents)))
        )
        self._connection.register("places", places)
        self._connection.execute(
            "CREATE TABLE internal.placed AS SELECT * FROM materials JOIN places USING (dataset, material_id)"
        )
        self._connection.unregister("places")
        return "internal.placed"


@reads_what_is_sound
def open_index(lake: Lake, feature: str, *, approximate: bool = False) -> Index:
    """Load the embeddings of one layer or several, with the materials that have all of them.

    Args:
        lake: The lake.
        feature: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``.
        approximate: Look in an index that misses up to one neighbour in a hundred, and is much faster. It is made, and
            kept, where there are enough vectors for that to be worth it; with fewer, none is missed.

    Raises:
        EncoderError: No such encoder or layer.
        LakeError: Nothing is embedded with it, or an approximate index is wanted of several layers.
        MissingExtraError: An approximate index is wanted, and faiss is not installed.
    """
    card, layers = find_layers(lake, feature)
    if approximate and len(layers) > 1:
        raise LakeError("an approximate index is of one layer", f"name one of {card.name}, or search exactly")
    names = tuple(layer.name for layer in layers)
    stamp = _stamp(lake, card, names)  # before reading: what is written meanwhile makes the index old, not wrong
    verify_parts(lake, lake.dataset_names(), [])
    connection = lake.connect()
    found = connection.sql(
        f"SELECT dataset, material_id, formula, {CONTENT_KEYS[card.input]} AS content FROM internal.compositions "
        f"WHERE {CONTENT_KEYS[card.input]} IS NOT NULL ORDER BY dataset, material_id"
    ).to_arrow_table()
    wanted = hash_words(found["content"])
    rows = _open_rows(lake, card, layers, wanted)
    live = np.arange(len(rows)) if rows.live is None else np.flatnonzero(rows.live)
    places = ContentSet(rows.words[live]).places(wanted)
    embedded = places >= 0
    if not embedded.any():
        raise not_embedded(LayerRef(card.name, JOINED_BY.join(names)))
    contents = live[places[embedded]]
    clusters = None
    if approximate and isinstance(rows, OneLayer) and len(held := np.unique(contents)) >= PAYS:
        clusters = open_approximate(rows.roots, rows, held)
    return Index(
        lake=lake,
        card=card,
        layers=names,
        stamp=stamp,
        rows=rows,
        materials=found.drop_columns(["content"]).filter(pa.array(embedded)).combine_chunks(),
        contents=contents,
        approximate=clusters,
        _connection=connection,
    )


def find_layers(lake: Lake, feature: str) -> tuple[EncoderCard, list[Layer]]:
    """Return the encoder and the layers that a feature names.

    Raises:
        EncoderError: No such encoder or layer.
    """
    wanted = LayerRef.parse(feature)
    card = lake.find_encoder(wanted.encoder).card
    return card, list(card.named_layers(wanted.layer))


def not_embedded(ref: LayerRef) -> LakeError:
    """Return the error for a layer that nothing is embedded with."""
    return LakeError(f"nothing is embedded with {ref}", embed_first(str(ref)))


def _open_rows(lake: Lake, card: EncoderCard, layers: Sequence[Layer], held: NDArray[np.uint64]) -> ContentRows:
    """Return the rows of one layer, or of several.

    Raises:
        LakeError: Nothing is embedded with a layer, or all its parts are damaged.
    """
    try:
        opened = []
        for layer in layers:
            rows = open_rows(lake, card, layer)
            if not rows.stored and not rows.parts:
                raise not_embedded(card.ref(layer.name))
            opened.append(OneLayer(rows))
    except DamagedSegmentError:  # it is not used again
        return _open_rows(lake, card, layers, held)
    return opened[0] if len(opened) == 1 else JoinedLayers(opened, ContentSet(held))


def _stamp(lake: Lake, card: EncoderCard, layers: Sequence[str]) -> Stamp:
    embeddings = snapshot_or_warn(lake, lake.embeddings)
    files: list[str] = []
    if embeddings:
        wanted = [embedding_partition(card, layer) for layer in layers]
        files += [str(part.path) for part in embeddings.parts if part.partition in wanted]
    datasets = [(name, snapshot_or_warn(lake, lake.dataset(name))) for name in lake.dataset_names()]
    return tuple(files), tuple((name, table.id, table.version) for name, table in datasets if table is not None)
