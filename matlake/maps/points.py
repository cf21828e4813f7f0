"""The materials of a map: their vectors, the property that colours them, and those that have no vector."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.errors import Hint, LakeError
from matlake.maps.request import MapRequest, check_enough
from matlake.sequences import closest
from matlake.store.damage import read_what_is_sound
from matlake.store.lake import Lake
from matlake.store.property_columns import INTEGER, TEXT
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import identifier, literal
from matlake.store.searching.content_rows import ContentRows
from matlake.store.searching.index import Index, open_index
from matlake.store.sql import connect, not_a_predicate
from matlake.store.views import property_columns

NAMED: Final = 1000
"""Materials without a vector that a report names at most; it counts all."""

_OF_ALL: Final = {"dataset": TEXT, "formula": TEXT, "nelements": INTEGER, "nsites": INTEGER}
"""Columns that every dataset has and that can colour a map, too."""


@dataclass(frozen=True)
class WithoutVector:
    """A material that the map leaves out.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        reason: Why it has no vector.
    """

    dataset: str
    material_id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Points:
    """The n materials of a map.

    Attributes:
        feature: The layer, by its full name.
        datasets: Names of datasets.
        home: int64 [n], which of them each material is of.
        table: ``dataset``, ``material_id``, ``formula``, and ``value`` of the property, null where there is none.
        property: Name of the property as the lake spells it; None where there is none.
        kind: Its type as DuckDB writes it; empty where there is none.
        has_crystal: bool [n].
        rows: The vectors of contents.
        contents: int64 [n], which of the rows each material has.
        selected: Number of materials that datasets and predicate select.
        embedded: Number of those that have a vector, of which the n are drawn.
        without_vector: The first ``NAMED`` of those that have none.
    """

    feature: str
    datasets: tuple[str, ...]
    home: NDArray[np.int64]
    table: pa.Table
    property: str | None
    kind: str
    has_crystal: NDArray[np.bool_]
    rows: ContentRows
    contents: NDArray[np.int64]
    selected: int
    embedded: int
    without_vector: tuple[WithoutVector, ...]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.contents)

    def without(self, left_out: NDArray[np.bool_], named: Sequence[WithoutVector]) -> "Points":
        """Leave some materials out, bool [n], as without a vector."""
        keep = ~left_out
        return replace(
            self,
            home=self.home[keep],
            table=self.table.filter(pa.array(keep)).combine_chunks(),
            has_crystal=self.has_crystal[keep],
            contents=self.contents[keep],
            embedded=self.embedded - int(left_out.sum()),
            without_vector=(*self.without_vector, *named)[:NAMED],
        )


def read_points(lake: Lake, request: MapRequest) -> Points:
    """Read the materials of a map.

    Raises:
        EncoderError: No such encoder or layer.
        LakeError: Nothing is embedded with it, no dataset has the property, or there are fewer than three materials.
        QueryError: ``where`` is not a predicate over ``materials``.
    """
    index = open_index(lake, request.feature)
    name, kind = _find_property(lake, request)
    found = read_what_is_sound(lake, lambda: _select(lake, request, index, name))
    embedded = pc.is_valid(found["place"]).to_numpy()
    missing = found.filter(pa.array(~embedded))
    there = found.filter(pa.array(embedded)).combine_chunks()
    if found.num_rows and not there.num_rows:
        raise _nothing_embedded(request, index)
    left_out = f": {missing.num_rows:,} have no vector" if missing.num_rows else ""
    check_enough(there.num_rows, left_out)
    if there.num_rows > request.max_points:
        chosen = np.random.default_rng(request.seed).choice(there.num_rows, request.max_points, replace=False)
        there = there.take(pa.array(np.sort(chosen))).combine_chunks()
    home = pc.index_in(there["dataset"], pa.array(request.datasets, pa.string())).to_numpy()
    return Points(
        feature=index.feature,
        datasets=tuple(request.datasets),
        home=home.astype(np.int64),
        table=there.select(["dataset", "material_id", "formula", "value"]),
        property=name,
        kind=kind,
        has_crystal=there["has_crystal"].to_numpy(),
        rows=index.rows,
        contents=index.contents[there["place"].to_numpy()],
        selected=found.num_rows,
        embedded=int(embedded.sum()),
        without_vector=_reasons(lake, index, missing.slice(0, NAMED)),
    )


def _find_property(lake: Lake, request: MapRequest) -> tuple[str | None, str]:
    """Return name and type of the property that colours the map.

    Raises:
        LakeError: No dataset of the map has it.
    """
    if request.color is None:
        return None, ""
    columns = property_columns(lake)
    known = {name for dataset in request.datasets for name in columns.datasets.get(dataset, {})}
    kinds = {name: columns.common[name.lower()] for name in sorted(known)} | _OF_ALL
    same = [name for name in kinds if name == request.color] or [
        name for name in kinds if name.lower() == request.color.lower()
    ]
    if not same:
        where = f"dataset {request.datasets[0]!r} has" if len(request.datasets) == 1 else "the datasets have"
        listed = ", ".join(sorted(known)) or "none"
        raise LakeError(
            f"{where} no property {request.color!r}", f"{closest(request.color, kinds)}properties: {listed}"
        )
    return same[0], kinds[same[0]]


def _select(lake: Lake, request: MapRequest, index: Index, name: str | None) -> pa.Table:
    """Return all selected materials, in order of dataset and id: keys, value, place in the index, crystal or not.

    Raises:
        QueryError: ``where`` is not a predicate over ``materials``.
    """
    places = index.materials.select(["dataset", "material_id"]).append_column(
        "place", pa.array(np.arange(len(index.contents)))
    )
    with connect(lake, {"materials", "searchable"}) as connection:
        conditions = [f"dataset IN ({', '.join(map(literal, request.datasets))})"]
        if request.where is not None:
            _check(connection, request.where)
            conditions.append(f"({request.where}\n)")
        connection.register("places", places)
        value = "NULL" if name is None else identifier(name)
        statement = (
            f"SELECT chosen.*, places.place FROM (SELECT dataset, material_id, formula, {value} AS value, "
            f"crystal_hash IS NOT NULL AS has_crystal FROM internal.searchable AS materials "
            f"WHERE {' AND '.join(conditions)}) AS chosen LEFT JOIN places USING (dataset, material_id) "
            "ORDER BY dataset, material_id"
        )
        try:
            return connection.sql(statement).to_arrow_table()
        except (duckdb.InvalidInputException, duckdb.DataError) as error:
            raise not_a_predicate(request.where, error) from error


def _check(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    try:
        check_predicate(connection, where)
        connection.sql(f"SELECT 1 FROM materials WHERE ({where}\n) LIMIT 0")
    except duckdb.Error as error:
        raise not_a_predicate(where, error) from error


def _nothing_embedded(request: MapRequest, index: Index) -> LakeError:
    """Return the error for datasets of which nothing is embedded, though other datasets are."""
    one = len(request.datasets) == 1
    what = f"dataset {request.datasets[0]!r}" if one else f"the datasets {', '.join(request.datasets)}"
    feature = index.feature
    if index.card.is_external:
        hint = Hint(
            f"import its vectors: lake.import_embeddings(table, encoder={index.card.name!r}, dataset=…)",
            cli=f"import its vectors: `matlake import-embeddings FILE --encoder {index.card.name} --dataset NAME`",
        )
    else:
        name = request.datasets[0]
        hint = Hint(
            f"embed first: lake.embed({feature!r}, dataset={name!r})",
            cli=f"run `matlake embed --encoder {feature} --dataset {name}`",
        )
    selected = "nothing of" if request.where is None else "nothing that is selected of"
    return LakeError(f"{selected} {what} is embedded with {feature}", hint)


def _reasons(lake: Lake, index: Index, missing: pa.Table) -> tuple[WithoutVector, ...]:
    """Say why materials have no vector: the encoder does not take them, they have no crystal, or are not embedded."""
    if not missing.num_rows:
        return ()
    known: dict[tuple[Any, ...], str] = {}
    names = ", ".join(map(literal, set(missing["dataset"].to_pylist())))
    failed = lake.query(
        f"SELECT dataset, material_id, reason FROM failures WHERE encoder = {literal(index.card.name)} "
        f"AND stage = 'embed' AND dataset IN ({names})"
    )
    for dataset, material_id, reason in zip(*(column.to_pylist() for column in failed.columns), strict=True):
        known[dataset, material_id] = reason
    crystals = index.card.input is InputKind.CRYSTAL
    return tuple(
        WithoutVector(
            row["dataset"],
            row["material_id"],
            known.get((row["dataset"], row["material_id"]))
            or ("no crystal structure" if crystals and not row["has_crystal"] else "not embedded"),
        )
        for row in missing.to_pylist()
    )


def without_reasons(found: Sequence[WithoutVector]) -> dict[str, list[str]]:
    """Return the ids of materials without a vector by the reason, in their order."""
    by_reason: dict[str, list[str]] = {}
    for one in found:
        by_reason.setdefault(one.reason, []).append(one.material_id)
    return by_reason
