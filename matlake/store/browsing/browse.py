"""The datasets of a lake as a form shows them: columns with units and ranges, rows, one material."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from matlake.errors import REPAIR, LakeError, QueryError
from matlake.materials.structure_files.poscar_writer import poscar_text
from matlake.materials.units import quantity_of, unit_of
from matlake.store.browsing.conditions import Condition, Kind, Order, RowQuery
from matlake.store.column_names import GEOMETRY_COLUMNS
from matlake.store.lake import Lake
from matlake.store.quoting import identifier
from matlake.store.views import readable_datasets, view_names

_KEYS: Final = ("dataset", "material_id", "formula", "elements", "nelements", "nsites")
_QUANTITIES: Final = {"material_id": "id", "nelements": "number of elements", "nsites": "number of sites"}
"""What columns that are no properties hold, for people."""

_LISTED: Final = 100
"""Items of a list and more: such lists, as vectors are, are shortened."""

_SHOWN_ITEMS: Final = 4

_EXACT: Final = 2**53
"""Whole numbers up to this size are doubles."""


@dataclass(frozen=True)
class QueryLimits:
    """What one query may cost.

    Attributes:
        memory: Bytes.
        seconds: Of each statement.
    """

    memory: int
    seconds: float

    def options(self) -> dict[str, Any]:
        """Return them as options of ``Lake.query``."""
        return {"memory_limit": f"{self.memory >> 20}MiB", "max_seconds": self.seconds}


@dataclass(frozen=True)
class BrowsedColumn:
    """A column of a dataset.

    Attributes:
        name: Its name.
        kind: What it holds.
        quantity: What that is, for people.
        unit: Its unit; empty where its name states none.
        missing: Materials without a value; None where counting took too long.
        minimum: Smallest finite value of a number; None for others.
        maximum: Largest one.
    """

    name: str
    kind: Kind
    quantity: str
    unit: str
    missing: int | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Rows:
    """Rows of a table, ready for JSON.

    Attributes:
        columns: Names of its columns.
        rows: A list of values for each row.
        sql: The statement whose rows they are.
        total: Number of rows without the limit; None where it was not counted.
        truncated: Whether rows were left out, because they are too many or too large.
    """

    columns: list[str]
    rows: list[list[Any]]
    sql: str
    total: int | None = None
    truncated: bool = False

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return dict(vars(self))


@dataclass(frozen=True)
class BrowsedMaterial:
    """One material of a dataset.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        formula: Its formula.
        values: Its other columns.
        structure: Its crystal as the text of a POSCAR; None for a composition.
    """

    dataset: str
    material_id: str
    formula: str
    values: dict[str, Any] = field(default_factory=dict)
    structure: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document, each value with the quantity and the unit that its column names."""
        listed = [
            {"name": name, "quantity": _quantity(name), "unit": unit_of(name), "value": value}
            for name, value in self.values.items()
        ]
        return {**vars(self), "values": listed}


def dataset_kinds(lake: Lake, dataset: str) -> tuple[str, dict[str, Kind]]:
    """Return the view of a dataset, and its columns with their kinds; those of crystals are left out.

    Raises:
        LakeError: There is no such dataset.
    """
    lake.check_dataset(dataset)
    found = {one.name: one for one in readable_datasets(lake)}
    if dataset not in found:
        raise LakeError(f"dataset {dataset!r} cannot be read", REPAIR)
    types = found[dataset].kinds
    kinds = {
        "material_id": Kind.TEXT,
        "formula": Kind.TEXT,
        "elements": Kind.WORDS,
        "nelements": Kind.NUMBER,
        "nsites": Kind.NUMBER,
    }
    kinds |= {name: _KINDS.get(types.get(name, ""), Kind.OTHER) for name in found[dataset].properties}
    return view_names(list(found))[dataset], kinds


_KINDS: Final[Mapping[str, Kind]] = {
    "BIGINT": Kind.NUMBER,
    "DOUBLE": Kind.NUMBER,
    "BOOLEAN": Kind.TRUTH,
    "VARCHAR": Kind.TEXT,
    "TIMESTAMP": Kind.TIME,
}


def browse_columns(lake: Lake, dataset: str, limits: QueryLimits) -> list[BrowsedColumn]:
    """Return the columns of a dataset with their ranges; without ranges where those take too long.

    Raises:
        LakeError: There is no such dataset.
    """
    view, kinds = dataset_kinds(lake, dataset)
    parts = []
    for place, (name, kind) in enumerate(kinds.items()):
        value = identifier(name)
        parts.append(f"count(*) - count({value}) AS missing_{place}")
        if kind is Kind.NUMBER:
            finite = f"FILTER (WHERE isfinite({value}::DOUBLE))"
            parts.append(f"min({value}) {finite} AS min_{place}, max({value}) {finite} AS max_{place}")
    found: dict[str, Any] = {}
    with suppress(QueryError):  # a limit: names, kinds and units are known without it
        (found,) = lake.query(f"SELECT {', '.join(parts)} FROM {identifier(view)}", **limits.options()).to_pylist()
    return [
        BrowsedColumn(
            name,
            kind,
            _quantity(name),
            unit_of(name),
            found.get(f"missing_{place}"),
            found.get(f"min_{place}"),
            found.get(f"max_{place}"),
        )
        for place, (name, kind) in enumerate(kinds.items())
    ]


def browse_rows(
    lake: Lake,
    dataset: str,
    limits: QueryLimits,
    *,
    columns: Sequence[str] = (),
    where: Sequence[Condition] = (),
    order: Sequence[Order] = (),
    limit: int = 100,
    offset: int = 0,
    count: bool = True,
    most_bytes: int = 8 << 20,
) -> Rows:
    """Return rows of a dataset.

    Args:
        lake: The lake.
        dataset: Name of the dataset.
        limits: Of the query.
        columns: Columns; by default all.
        where: All of these hold.
        order: Sorted by these.
        limit: Rows at most.
        offset: Rows that are left out before.
        count: Count all rows that fulfil the conditions.
        most_bytes: Size of the values as text, at most.

    Raises:
        LakeError: There is no such dataset.
        QueryError: There is no such column, a condition does not fit, or the query exceeds a limit.
    """
    view, kinds = dataset_kinds(lake, dataset)
    query = RowQuery(view, kinds, tuple(columns) or tuple(kinds), where, order, limit, offset)
    table = lake.query(*query.statement(), **limits.options())
    total = None
    if count:
        full = table.num_rows < limit and (table.num_rows or not offset)  # the last page
        total = offset + table.num_rows if full else lake.query(*query.count(), **limits.options())["rows"][0].as_py()
    return plain_rows(table, query.text(), most_rows=limit, most_bytes=most_bytes, total=total)


def browse_material(lake: Lake, dataset: str, material_id: str, limits: QueryLimits) -> BrowsedMaterial:
    """Return one material.

    Raises:
        LakeError: There is no such dataset or material.
    """
    view, kinds = dataset_kinds(lake, dataset)
    statement = f"SELECT * FROM {identifier(view)} WHERE material_id = $1 LIMIT 1"
    table = lake.query(statement, [material_id], **limits.options())
    if not table.num_rows:
        raise LakeError(
            f"there is no material {material_id[:100]!r} in dataset {dataset!r}", "ids are in the column material_id"
        )
    (row,) = table.to_pylist()
    geometry = [row.get(name) for name in GEOMETRY_COLUMNS]
    structure = None if any(part is None for part in geometry) else poscar_text(row["formula"], *geometry)
    values = {name: _plain(row[name]) for name in kinds if name not in _KEYS and name in row}
    known = {name: _plain(row[name]) for name in ("elements", "nsites") if row.get(name) is not None}
    return BrowsedMaterial(dataset, material_id, row["formula"], known | values, structure)


def plain_rows(table: pa.Table, sql: str, *, most_rows: int, most_bytes: int, total: int | None = None) -> Rows:
    """Return the rows of a result for JSON, the first of them if they are too many or too large."""
    rows: list[list[Any]] = []
    size = 0
    for batch in table.slice(0, most_rows).to_batches(max_chunksize=256):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            row = [_plain(value) for value in values]
            size += sum(len(str(value)) for value in row)
            if size > most_bytes:
                return Rows(table.column_names, rows, sql, total, truncated=True)
            rows.append(row)
    return Rows(table.column_names, rows, sql, total, truncated=table.num_rows > most_rows)


def _quantity(column: str) -> str:
    return _QUANTITIES.get(column) or quantity_of(column)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, exactly: no number that is not finite, none that readers would round.

    Long lists are shortened.
    """
    if isinstance(value, list):
        return [_plain(one) for one in value] if len(value) < _LISTED else _shortened(value)
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if type(value) is tuple:  # an entry of a map
        return [_plain(one) for one in value]
    return _plain_item(value)


def _shortened(values: list[Any]) -> str:
    shown = ", ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in values[:_SHOWN_ITEMS])
    return f"[{shown}, … {len(values):,} in all]"


def _plain_item(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > _EXACT:  # in a browser every number is a double
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
