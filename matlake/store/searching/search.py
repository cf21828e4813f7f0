"""A search for materials of the lake, formulas, structures, or a table of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.card import JOINED_BY
from matlake.encoders.encoder import open_encoder
from matlake.errors import LakeError, QueryError
from matlake.reports import TableReport
from matlake.sequences import as_list
from matlake.store.column_names import MATERIAL_COLUMNS
from matlake.store.damage import reads_what_is_sound, verify_parts
from matlake.store.lake import Lake
from matlake.store.quoting import identifier
from matlake.store.searching.index import find_layers, not_embedded, open_index
from matlake.store.searching.indexed import IndexedLayers
from matlake.store.searching.layer_rows import open_rows
from matlake.store.searching.neighbour import Neighbour
from matlake.store.searching.queries import Query, formula_queries, stored_queries, structure_queries, table_queries
from matlake.store.searching.streamed import StreamedLayer
from matlake.store.sql import connect
from matlake.text_tables import Column, Line, TextTable

ALL_COLUMNS: Final = "all"
DISTINCT: Final = {"formula": "composition_hash", "structure": "crystal_hash"}
"""What may be alike in one neighbour only, and the column that says so; null is like nothing."""

_VIEWS: Final = frozenset({"searchable", "compositions", "materials"})
"""The views that a search reads; a predicate may name others."""

_Layers: TypeAlias = StreamedLayer | IndexedLayers

_MORE: Final = 4
"""So many times more neighbours are looked at, as long as too many of them are alike."""


@dataclass(frozen=True)
class SearchRequest:
    """What to search for; exactly one of ``material_id``, ``formula``, ``structure`` and ``table`` is given.

    Attributes:
        feature: ``NAME`` or ``NAME@LAYER``; ``NAME@LAYER+LAYER`` or ``NAME@all`` for several, see ``Index``.
        k: Neighbours wanted.
        material_id: Id of a material of the lake, which is not a neighbour of itself; or several ids.
        formula: A chemical formula, or a composition as ``as_composition`` takes it; or several.
        structure: A file that holds a structure; else whatever ``as_crystal`` takes; or several.
        dataset: Only neighbours of this dataset. Where several datasets hold the id, it also says which one is meant.
        where: Only neighbours that this SQL predicate over ``materials`` selects.
        table: A table of formulas or structures, or files of structures, by its path, or a DataFrame; each row is a
            query.
        columns: Property columns of the neighbours that are wanted; ``all`` for all of them.
        distinct: Of neighbours with the same ``formula`` (fractions of the elements), or of those with the same
            ``structure`` (species, lattice and positions as they were imported), the nearest alone.
        approximate: Look in an index that misses up to one neighbour in a hundred: for thousands of queries.
    """

    feature: str
    k: int = 10
    material_id: Any = None
    formula: Any = None
    structure: Any = None
    dataset: str | None = None
    where: str | None = None
    table: Any = None
    columns: Sequence[str] = ()
    distinct: str | None = None
    approximate: bool = False

    @property
    def is_of_one(self) -> bool:
        """Whether it is for one material, not a list or a table of them."""
        given = next((one for one in (self.material_id, self.formula, self.structure) if one is not None), ())
        return self.table is None and not isinstance(given, list | tuple)


@dataclass(frozen=True)
class Found:
    """What a search for one of several materials has found.

    Attributes:
        input: What was searched for.
        neighbours: Nearest first.
        error: Why there are none; None if it could be searched for.
    """

    input: str | None
    neighbours: list[Neighbour]
    error: str | None = None


@dataclass(frozen=True, repr=False)
class SearchResult(TableReport):
    """The nearest materials.

    Attributes:
        feature: ``NAME@LAYER``, or ``NAME@LAYER+LAYER``.
        results: For each of what was searched for, in its order.
        recall: Share of neighbours that an approximate index was measured to find; None where all are found.
        is_of_one: Whether one material was searched for, not a list or a table.
    """

    feature: str
    results: list[Found]
    recall: float | None = None
    is_of_one: bool = True

    @property
    def neighbours(self) -> list[Neighbour]:
        """The nearest materials, nearest first; of several searches those of one after those of another."""
        return [neighbour for found in self.results for neighbour in found.neighbours]

    @property
    def failed(self) -> int:
        """Number of those that could not be searched for."""
        return sum(found.error is not None for found in self.results)

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract; for a list or a table, one with ``results``."""
        recall = {} if self.recall is None else {"recall": self.recall}
        if self.is_of_one:
            neighbours = [neighbour.document() for neighbour in self.neighbours]
            return {"encoder": self.feature, "neighbours": neighbours, **recall}
        results = [
            {"input": found.input, "neighbours": [neighbour.document() for neighbour in found.neighbours]}
            | ({} if found.error is None else {"error": found.error})
            for found in self.results
        ]
        return {"encoder": self.feature, "results": results, "failed": self.failed, **recall}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        if self.is_of_one:
            return [f"{len(self.neighbours):,} nearest by {self.feature}", _table(self.neighbours)]
        lines: list[Line] = [f"nearest by {self.feature}"]
        for found in self.results:
            lines += ["", f"{found.input}{'' if found.error is None else f': {found.error}'}"]
            lines += [_table(found.neighbours)] if found.error is None else []
        return lines

    def to_arrow(self) -> pa.Table:
        """Return the neighbours: ``dataset``, ``material_id``, ``formula``, ``distance``, then the property columns.

        For a list or a table, ``input`` comes first.
        """
        table = _to_arrow(self.neighbours)
        if self.is_of_one:
            return table
        inputs = [found.input for found in self.results for _ in found.neighbours]
        return table.add_column(0, "input", pa.array(inputs, pa.string()))


@reads_what_is_sound
def search(lake: Lake, request: SearchRequest) -> SearchResult:
    """Find the materials of a lake whose embeddings are nearest.

    The vectors of materials of the lake are read from it; those of anything else are made on the spot. All of them are
    compared with the lake's vectors in one pass, in memory that does not grow with their number. ``open_index`` is for
    programs that search many times.

    In a list or a table, one that cannot be searched for does not stop the others.

    Raises:
        EncoderError: No such encoder or layer, or it needs a crystal and is given a formula.
        LakeError: Not exactly one kind of query is given; fewer than one neighbour is wanted; nothing is embedded;
            there is no such material, dataset or embedding.
        QueryError: ``where`` is not a predicate over ``materials``, or there is no such column.
        FormulaError: The formula cannot be read, or holds an element that the encoder does not take.
        SourceError: The file cannot be read, or does not hold exactly one structure.
        StructureError: The structure is not valid, or holds an element that the encoder does not take.
        MissingExtraError: ONNX Runtime is not installed; or faiss, for an approximate index.
    """
    given = (request.material_id, request.formula, request.structure, request.table)
    if sum(each is not None for each in given) != 1:
        raise LakeError("a search is for an id, a formula, a structure or a table", "give exactly one of the four")
    if request.k < 1:
        raise LakeError(f"{request.k} neighbours are wanted", "ask for 1 or more")
    if request.distinct is not None and request.distinct not in DISTINCT:
        raise LakeError(f"neighbours cannot be distinct by {request.distinct!r}", f"known: {', '.join(DISTINCT)}")
    lake.check_there()
    if request.dataset is not None:
        lake.check_dataset(request.dataset)
    with _open(lake, request) as (layers, connection):
        columns = _property_columns(connection, request.columns)
        results = []
        for query, neighbours in _answer(layers, connection, request):
            if query.error is not None and request.is_of_one:
                raise query.error
            results.append(Found(query.name, neighbours, None if query.error is None else str(query.error)))
        described = _with_properties(connection, [found.neighbours for found in results], columns)
        recall = layers.recall if request.dataset is None and request.where is None else None
        complete = [replace(found, neighbours=near) for found, near in zip(results, described, strict=True)]
        return SearchResult(layers.feature, complete, recall, request.is_of_one)


@contextmanager
def _open(
    lake: Lake, request: SearchRequest
) -> Iterator[tuple[StreamedLayer | IndexedLayers, duckdb.DuckDBPyConnection]]:
    """Open what is searched, and a connection to look things up in."""
    card, layers = find_layers(lake, request.feature)
    with connect(lake, _VIEWS if request.where is None else None) as connection:
        if len(layers) > 1 or request.approximate:
            yield IndexedLayers(lake, open_index(lake, request.feature, approximate=request.approximate)), connection
            return
        verify_parts(lake, lake.dataset_names(), [])
        rows = open_rows(lake, card, layers[0])
        if not rows.stored and not rows.parts:
            raise not_embedded(card.ref(layers[0].name))
        yield StreamedLayer(lake, card, layers[0], connection), connection


def _queries(layers: _Layers, request: SearchRequest) -> Iterator[Query]:
    if request.material_id is not None:
        ids = [str(one) for one in as_list(request.material_id)]
        return stored_queries(layers, ids, request.dataset)
    name, _, layer = layers.feature.partition("@")
    names = layer.split(JOINED_BY)
    encoder = open_encoder(layers.lake.find_encoder(name).folder, layers=names)
    given = request.structure if request.formula is None else request.formula
    given = [given] if request.is_of_one else given
    if request.table is not None:
        queries = table_queries(encoder, names, request.table)
    elif request.formula is not None:
        queries = formula_queries(encoder, names, given)
    else:
        queries = structure_queries(encoder, names, given)
    scale = layers.scale
    if scale is None:
        return queries
    return (query if query.vector is None else replace(query, vector=query.vector * scale) for query in queries)


def _answer(
    layers: _Layers, connection: duckdb.DuckDBPyConnection, request: SearchRequest
) -> list[tuple[Query, list[Neighbour]]]:
    """Return the queries with their neighbours, none for those with an error."""
    queries = list(_queries(layers, request))
    vectors = [query.vector for query in queries if query.vector is not None]
    if not vectors:
        return [(query, []) for query in queries]
    exclude = [query.exclude for query in queries if query.vector is not None]
    k = request.k if request.distinct is None else _MORE * request.k
    while True:
        found = layers.search(np.stack(vectors), k, dataset=request.dataset, where=request.where, exclude=exclude)
        if request.distinct is None:
            break
        first = _distinct(connection, found, DISTINCT[request.distinct], request.k)
        if all(len(some) == request.k or len(near) < k for some, near in zip(first, found, strict=True)):
            found = first
            break
        k *= _MORE
    answers = iter(found)
    return [(query, [] if query.vector is None else next(answers)) for query in queries]


def _distinct(
    connection: duckdb.DuckDBPyConnection, found: list[list[Neighbour]], column: str, k: int
) -> list[list[Neighbour]]:
    """Return for each query the first k neighbours that are not like a nearer one in a column."""
    values = iter(_look_up(connection, found, "internal.compositions", [column])[column])
    first = []
    for neighbours in found:
        kept: dict[object, Neighbour] = {}
        for neighbour in neighbours:
            value = next(values)
            kept.setdefault((neighbour.dataset, neighbour.material_id) if value is None else value, neighbour)
        first.append(list(kept.values())[:k])
    return first


def _property_columns(connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> list[str]:
    """Return the property columns that are wanted.

    Raises:
        QueryError: There is no such column.
    """
    known = [name for name, *_ in connection.execute("DESCRIBE materials").fetchall() if name not in MATERIAL_COLUMNS]
    if {*wanted} == {ALL_COLUMNS}:
        return known
    for name in wanted:
        if name not in known:
            raise QueryError(f"there is no property column {name!r}", f"there are: {', '.join(known) or 'none'}")
    return list(dict.fromkeys(wanted))


def _with_properties(
    connection: duckdb.DuckDBPyConnection, found: list[list[Neighbour]], columns: list[str]
) -> list[list[Neighbour]]:
    if not columns:
        return found
    table = _look_up(connection, found, "materials", columns)
    rows = iter(zip(*(table[name] for name in columns), strict=True))
    return [
        [replace(one, properties=dict(zip(columns, next(rows), strict=True))) for one in neighbours]
        for neighbours in found
    ]


def _look_up(
    connection: duckdb.DuckDBPyConnection, found: list[list[Neighbour]], view: str, columns: Sequence[str]
) -> dict[str, list[Any]]:
    """Return columns of all neighbours, one query's after another's."""
    every = [neighbour for neighbours in found for neighbour in neighbours]
    names = pa.table(
        {
            "dataset": pa.array([one.dataset for one in every], pa.string()),
            "material_id": pa.array([one.material_id for one in every], pa.string()),
            "number in the list": pa.array(range(len(every)), pa.int64()),
        }
    )
    connection.register("neighbours", names)
    shown = ", ".join(f"m.{identifier(name)}" for name in columns)
    table = connection.sql(
        f"SELECT {shown} FROM neighbours AS n LEFT JOIN {view} AS m USING (dataset, material_id) "
        'ORDER BY n."number in the list"'
    ).to_arrow_table()
    connection.unregister("neighbours")
    return {name: table[name].to_pylist() for name in columns}


def _table(neighbours: list[Neighbour]) -> TextTable:
    properties = list(neighbours[0].properties) if neighbours else []
    rows = [
        (n.distance, n.formula, f"{n.dataset}/{n.material_id}", *(_shown(n.properties[name]) for name in properties))
        for n in neighbours
    ]
    columns = (Column("distance", "right", ".4g"), Column("formula"), Column("material"))
    return TextTable((*columns, *(Column(name) for name in properties)), rows)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)


def _to_arrow(neighbours: list[Neighbour]) -> pa.Table:
    columns = {name: [getattr(one, name) for one in neighbours] for name in ("dataset", "material_id", "formula")}
    distances: NDArray[np.float64] = np.array([one.distance for one in neighbours], dtype=np.float64)
    table = pa.table(
        {name: pa.array(values, pa.string()) for name, values in columns.items()} | {"distance": distances}
    )
    for name in neighbours[0].properties if neighbours else ():
        table = table.append_column(name, pa.array([one.properties[name] for one in neighbours]))
    return table
