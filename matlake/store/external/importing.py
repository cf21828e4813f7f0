"""Import of vectors that another program made: each belongs to a material, which is its id and its content.

Ids are looked at first, all of them; then vectors stream past and become parts that no commit names yet. Whatever is
wrong with any of them, nothing of it is in the lake. The card comes before the commit: one without vectors says nothing
that the next import could not change.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard, InputKind
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import Hint, LakeError, SourceError
from matlake.interrupts import hold
from matlake.progress import SILENT, Progress
from matlake.reports import Report
from matlake.store.content_keys import CONTENT_KEYS
from matlake.store.damage import reads_what_is_sound
from matlake.store.embedding.targets import KEY
from matlake.store.embedding.targets import VECTOR as VECTOR_COLUMN
from matlake.store.encoder_folders import one_writer
from matlake.store.external.card import (
    About,
    check_layer_name,
    described,
    draw_identity,
    find_external,
    new_card,
    present_card,
    save_card,
    with_layer,
)
from matlake.store.external.choosing import VectorColumns, choose_ids, choose_vectors
from matlake.store.external.stored import StoredVectors, digests_of
from matlake.store.external.tables import VECTOR, VectorTable, open_vector_table
from matlake.store.external.vectors import id_texts, read_vectors
from matlake.store.lake import Lake
from matlake.store.limits import small_memory
from matlake.store.quoting import dataset_rows
from matlake.store.snapshots import snapshot_or_warn
from matlake.store.sql import connect
from matlake.store.tables import writing
from matlake.store.tables.appender import Appender
from matlake.store.views import embedding_partition

_PART_BYTES: Final = 256 << 20
"""Bytes of the vectors of a part."""

_ROWS: Final = pa.schema([(KEY, pa.string()), (VECTOR_COLUMN, pa.list_(pa.float32()))])
_ROW_HASH: Final = CONTENT_KEYS[InputKind.EXTERNAL]


@dataclass(frozen=True, repr=False)
class VectorReport(Report):
    """What an import of vectors did.

    Attributes:
        encoder: The external encoder.
        layer: Its layer.
        dim: Numbers of a vector.
        sha256: What identifies the encoder; heads are bound to it.
        dataset: The dataset.
        rows: Vectors that were given.
        imported: Vectors added.
        skipped: Vectors that were there already.
        without_vector: Materials of the dataset that have no vector of this layer now.
        seconds: Wall time.
    """

    encoder: str
    layer: str
    dim: int
    sha256: str
    dataset: str
    rows: int
    imported: int
    skipped: int
    without_vector: int
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Return the text for people."""
        there = f", {self.skipped:,} were there already" if self.skipped else ""
        what = f"{self.imported:,} vectors of {self.dim:,} numbers as {self.encoder}@{self.layer}"
        return [
            f"imported {what} in {self.seconds:.1f} s{there}",
            f"{self.without_vector:,} materials of {self.dataset} have none",
        ]


@dataclass(frozen=True)
class _Given:
    """What is imported.

    Attributes:
        table: The table.
        ids: Its column of ids.
        columns: Its columns of vectors.
        keys: string [n], what each row's vector belongs to.
        others: string, the keys of materials of the dataset that have no row.
    """

    table: VectorTable
    ids: str
    columns: VectorColumns
    keys: pa.Array
    others: pa.Array


def import_embeddings(
    lake: Lake,
    what: Any,
    *,
    encoder: str,
    dataset: str,
    id_column: str | None = None,
    vector_column: str | None = None,
    layer: str | None = None,
    about: About = About(),  # noqa: B008 - it is frozen
    progress: Progress = SILENT,
) -> VectorReport:
    """Import vectors that another program made, as those of an external encoder.

    All of them are imported, or none. The same vector of the same material is skipped when it comes again; another one
    is refused, as vectors of an encoder never change: heads and searches would not know.

    Args:
        lake: The lake.
        what: See ``open_vector_table``.
        encoder: Name of the external encoder; a new one begins with its first vectors.
        dataset: The dataset whose materials the ids are of.
        id_column: Column of ids; by default one by a usual name, such as ``material_id``.
        vector_column: Column of vectors, or ``PREFIX*`` for a column for each number; see ``choose_vectors``.
        layer: Name of the layer; by default ``vector``, or the first one that the encoder has.
        about: What is said about the encoder, on its card.
        progress: Receives the number of rows done.

    Raises:
        SourceError: The table cannot be read or is empty, a column is not there or holds something else, an id is
            missing, twice, or not one of the dataset, or a vector is missing, not finite, or of another length.
        EncoderError: The name is that of another kind of encoder, or vectors of the layer have another length.
        LakeError: There is no such dataset, or a material has another vector of this layer already.
    """
    started = time.monotonic()
    lake.check_writable()
    lake.check_there()
    lake.check_dataset(dataset)
    known = find_external(lake, encoder)
    layer = layer or (VECTOR if known is None else known.default_layer)
    check_layer_name(layer)
    given = _look(lake, open_vector_table(what), dataset, id_column, vector_column, LayerRef(encoder, layer))
    sha256 = draw_identity(encoder, layer) if known is None else known.sha256
    candidate = known or new_card(encoder, layer, 0, sha256, about)
    appender = Appender(
        lake.embeddings, embedding_partition(candidate, layer), KEY, (VECTOR_COLUMN,), verify=lake.verify
    )
    parts: list[writing.Part] = []
    with ExitStack() as alone:  # from the card to the commit: no card without these vectors, no vectors of another card
        try:
            writer = _Writer(appender, given, StoredVectors(known, layer, appender.files), progress)
            writer.write(parts)
            hold()
            alone.enter_context(one_writer(lake, encoder))
            _claim(lake, known, new_card(encoder, layer, writer.dim, sha256, about), about)
        except BaseException:
            writing.discard(appender.root, parts)
            raise
        added = appender.append(parts) if parts else 0  # what fails here may have been recorded: the parts stay
    if added != writer.added:
        raise LakeError(
            f"another process imported vectors of {encoder}@{layer} at the same time, {writer.added - added:,} of them "
            "for the same materials",
            "run the same again: it compares them",
        )
    return VectorReport(
        encoder=encoder,
        layer=layer,
        dim=writer.dim,
        sha256=sha256,
        dataset=dataset,
        rows=len(given.keys),
        imported=added,
        skipped=len(given.keys) - added,
        without_vector=len(given.others) - writer.stored.count(given.others),
        seconds=round(time.monotonic() - started, 3),
    )


def _claim(lake: Lake, known: EncoderCard | None, new: EncoderCard, about: About) -> None:
    """Write the card, unless the lake has it as it should be.

    Args:
        lake: The lake.
        known: The card as it was when the import began; None where there was none.
        new: That of an encoder with these vectors alone.
        about: What is said about the encoder.

    Raises:
        LakeError: Another process has made the encoder meanwhile, or deleted it.
        EncoderError: See ``with_layer``.
    """
    present = present_card(lake, new.name)
    if (present and present.sha256) != (known and known.sha256):
        done = "deleted" if present is None else "made"
        raise LakeError(f"another process {done} encoder {new.name} at the same time", "run the same again")
    if present is None or not _has_vectors(lake, present):
        card = new
    else:
        card = described(with_layer(present, new.default_layer, new.layers[0].dim), about)
    if card != present:
        save_card(lake, card)


def _has_vectors(lake: Lake, card: EncoderCard) -> bool:
    """Say whether some layer of an external encoder has vectors: without any, its card binds nobody."""
    table = snapshot_or_warn(lake, lake.embeddings)
    return any(part.partition["encoder_sha256"] == card.sha256 for part in (table.parts if table else ()))


@reads_what_is_sound
def _look(
    lake: Lake,
    table: VectorTable,
    dataset: str,
    id_column: str | None,
    vector_column: str | None,
    ref: LayerRef,
) -> _Given:
    """Find out which material each row of the table is of.

    Raises:
        SourceError: An id is missing, twice, or not one of the dataset; or a column is not there.
    """
    ids = choose_ids(table, id_column)
    columns = choose_vectors(table, ids, vector_column, ref)
    texts = _ids(table, ids)
    if not len(texts):
        raise SourceError(f"{table.name} has no rows", "nothing was imported")
    if texts.null_count:
        row = pc.index(pc.is_null(texts), value=True).as_py()
        raise SourceError(f"row {row:,} of {table.name} has no id", "give each vector the id of its material")
    with connect(lake, frozenset({"compositions"}), memory=small_memory()) as connection:
        connection.register("given", pa.table({"id": texts, "row": pa.array(np.arange(len(texts)))}))
        rows = f"(FROM {dataset_rows(dataset)} WHERE import_error IS NULL)"
        _refuse_ids(connection, table.name, dataset, rows)
        keys = connection.sql(
            f"SELECT r.{_ROW_HASH} AS key FROM given AS g JOIN {rows} AS r ON g.id = r.material_id ORDER BY g.row"
        ).to_arrow_table()["key"]
        others = connection.sql(
            f"SELECT {_ROW_HASH} AS key FROM {rows} AS r ANTI JOIN given AS g ON g.id = r.material_id"
        ).to_arrow_table()["key"]
    return _Given(table, ids, columns, _one(keys), _one(others))


def _ids(table: VectorTable, column: str) -> pa.ChunkedArray:
    """Return the ids of a table, string [n]; null where there is none."""
    try:
        return pa.chunked_array([id_texts(block[column]) for block in table.read([column])], pa.string())
    except pa.ArrowException as error:
        raise SourceError(
            f"column {column!r} of {table.name} holds no ids: {error}", "ids are text or whole numbers"
        ) from error


def _one(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.string()), *column.chunks])


def _refuse_ids(connection: duckdb.DuckDBPyConnection, name: str, dataset: str, rows: str) -> None:
    """Refuse ids that come twice, or that the dataset lacks."""
    twice = connection.execute(
        "SELECT id, min(row), max(row) FROM given GROUP BY id HAVING count(*) > 1 ORDER BY min(row) LIMIT 1"
    ).fetchone()
    if twice:
        raise SourceError(
            f"id {twice[0]!r} stands in {name} twice, in rows {twice[1]:,} and {twice[2]:,}",
            "give each material one vector",
        )
    lacking = connection.execute(
        f"SELECT id, row, count(*) OVER () FROM given AS g ANTI JOIN {rows} AS r ON g.id = r.material_id "
        "ORDER BY row LIMIT 1"
    ).fetchone()
    if lacking:
        more = f", nor are {lacking[2] - 1:,} others" if lacking[2] > 1 else ""
        raise SourceError(
            f"id {lacking[0]!r} in row {lacking[1]:,} of {name} is not among the materials of {dataset}{more}",
            f"leave them out, or name the dataset that they are of; SELECT material_id FROM {dataset} lists its ids",
        )


class _Writer:
    """Reads vectors, compares those that are there already, and writes the others into parts.

    Attributes:
        dim: Numbers of a vector; None before the first was read.
        added: Vectors written.
    """

    def __init__(self, appender: Appender, given: _Given, stored: StoredVectors, progress: Progress) -> None:
        self.stored = stored
        self.added = 0
        self.found: int | None = None
        self._appender, self._given, self._progress = appender, given, progress

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.found or 0

    def write(self, parts: list[writing.Part]) -> None:
        """Write parts, and note them, for who has to discard them.

        Raises:
            SourceError: A vector cannot be used.
            LakeError: A material has another one.
        """
        tables = self._tables()
        first = next(tables, None)
        while first is not None:
            rest = _Piece(first, tables)
            parts.append(
                writing.write_stream(self._appender.root, _ROWS, rest, self._appender.partition, self._appender.vectors)
            )
            first = rest.next

    def _tables(self) -> Iterator[pa.Table]:
        start, names = 0, self._given.columns.names
        for block in self._given.table.read(names):
            vectors, wrong = read_vectors(self._given.columns.of(block), self.found)
            if wrong:
                self._refuse(start, wrong)
            self.found = vectors.shape[1]
            keys = self._given.keys.slice(start, len(vectors))
            start += len(vectors)
            if len(keys) < len(vectors):
                break
            fresh = self._compare(keys, vectors, start - len(vectors))
            if fresh is not None:
                keys, vectors = keys.filter(pa.array(fresh)), vectors[fresh]
            self._progress.track(start, len(self._given.keys))
            if len(keys):
                self.added += len(keys)
                yield _table(keys, vectors)
        if start != len(self._given.keys):
            raise SourceError(
                f"{self._given.table.name} has {len(self._given.keys):,} ids and another number of vectors, or was "
                "changed while it was read",
                "give each id one vector; then run the same again",
            )

    def _refuse(self, start: int, wrong: dict[int, str]) -> None:
        row = min(wrong)
        raise SourceError(
            f"row {start + row:,} of {self._given.table.name}, id {self._id(start + row)!r}, has {wrong[row]}",
            "nothing was imported: each row needs one vector of finite numbers, all of the same length; leave out rows "
            "without one",
        )

    def _compare(self, keys: pa.Array, vectors: NDArray[np.float32], start: int) -> NDArray[np.bool_] | None:
        """Return bool [n], which rows have no vector yet; None where all have none."""
        places = self.stored.places(keys)
        there = np.flatnonzero(places >= 0)
        if not len(there):
            return None
        if self.stored.dim in (None, vectors.shape[1]):
            other = (digests_of(vectors[there]) != self.stored.digests[places[there]]).any(axis=1)
            if other.any():
                row = start + int(there[np.flatnonzero(other)[0]])
                partition = self._appender.partition
                raise LakeError(
                    f"{self._id(row)!r} has another vector of {partition['encoder']}@{partition['layer']} already",
                    Hint(
                        "vectors of an encoder do not change, as heads rest on them: give these another encoder's "
                        "name, or delete the old ones with encoders.delete(…, vectors=True)",
                        cli="vectors of an encoder do not change, as heads rest on them: give these another encoder's "
                        "name, or delete the old ones with `matlake encoders delete --vectors`",
                    ),
                )
        return places < 0

    def _id(self, row: int) -> str:
        """Return the id of a row, for a message."""
        start = 0
        for block in self._given.table.read([self._given.ids]):
            texts = id_texts(block[self._given.ids])
            if row < start + len(texts):
                return str(texts[row - start].as_py())
            start += len(texts)
        return "?"


class _Piece:
    """Tables for one part; what is left of the others begins with ``next``."""

    def __init__(self, first: pa.Table, tables: Iterator[pa.Table]) -> None:
        self.next: pa.Table | None = first
        self._tables = tables

    def __iter__(self) -> Iterator[pa.Table]:
        size = 0
        while self.next is not None and size < _PART_BYTES:
            table = self.next
            size += table.nbytes
            yield table
            self.next = next(self._tables, None)


def _table(keys: pa.Array, vectors: NDArray[np.float32]) -> pa.Table:
    offsets = pa.array(np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32))
    lists = pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
    return pa.Table.from_arrays([keys, lists], schema=_ROWS)
