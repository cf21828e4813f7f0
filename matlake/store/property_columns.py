"""The one type that a property has in ``materials``, whatever types it has in the datasets.

Datasets keep the types that they were imported with. Where these differ, numbers take precedence: text that is a number
is read as one, other text is null in ``materials``, and stays as it is in the dataset's own view.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matlake.store.quoting import identifier

if TYPE_CHECKING:
    import duckdb
    from deltalake import Schema

INTEGER, REAL, TRUTH, TEXT, TIME = "BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP"
_KINDS: Final = {
    **dict.fromkeys(("long", "integer", "short", "byte"), INTEGER),
    **dict.fromkeys(("double", "float"), REAL),
    **dict.fromkeys(("timestamp", "timestamp_ntz", "date"), TIME),
    "boolean": TRUTH,
    "string": TEXT,
}
_NUMBER: Final = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"

Kinds = Mapping[str, str]
"""Column -> its type as DuckDB writes it."""


@dataclass(frozen=True)
class PropertyColumns:
    """The types of the properties of some datasets.

    Attributes:
        datasets: Dataset -> its properties with their types.
        common: Property in lower case -> its type in ``materials``.
    """

    datasets: Mapping[str, Kinds]
    common: Kinds

    @classmethod
    def of(cls, datasets: Mapping[str, Kinds]) -> "PropertyColumns":
        """Find the common types.

        Args:
            datasets: Dataset -> its properties with their types.
        """
        found: dict[str, set[str]] = {}
        for kinds in datasets.values():
            for name, kind in kinds.items():
                found.setdefault(name.lower(), set()).add(kind)
        return cls(datasets, {name: _common(kinds) for name, kinds in found.items()})

    def replacements(self, dataset: str) -> str:
        """Return the clause that gives a dataset's properties their common types, after ``*`` and ``EXCLUDE``."""
        casts = [
            f"{_as(identifier(name), kind, self.common[name.lower()])} AS {identifier(name)}"
            for name, kind in self.datasets.get(dataset, {}).items()
            if kind != self.common[name.lower()]
        ]
        return f"REPLACE ({', '.join(casts)})" if casts else ""

    def may_lose(self, dataset: str) -> list[tuple[str, str]]:
        """Return the properties of a dataset whose values ``lost`` counts, with their common types."""
        return [
            (name, self.common[name.lower()])
            for name, kind in self.datasets.get(dataset, {}).items()
            if kind in (TEXT, TIME) and self.common[name.lower()] in (INTEGER, REAL)
        ]

    def lost(self, connection: "duckdb.DuckDBPyConnection", dataset: str, rows: str) -> dict[str, int]:
        """Count the values of a dataset that are null in ``materials`` because they are not numbers.

        Args:
            connection: Holds the views of the lake.
            dataset: The dataset.
            rows: Its view, as SQL names it.

        Returns:
            Property -> number of its values; those that lose none are left out.
        """
        some = self.may_lose(dataset)
        if not some:
            return {}
        counts = ", ".join(
            f"count({identifier(name)}) - count({_as(identifier(name), self.datasets[dataset][name], common)})"
            for name, common in some
        )
        row = connection.execute(f"SELECT {counts} FROM {rows}").fetchall()[0]
        return {name: int(count) for (name, _), count in zip(some, row, strict=True) if count}


def property_kinds(schema: "Schema", others: Collection[str]) -> dict[str, str]:
    """Return the properties of a dataset with their types.

    Args:
        schema: The columns of the dataset.
        others: Columns that are no properties.
    """
    fields = {field.name: getattr(field.type, "type", "") for field in schema.fields}
    return {name: _KINDS[kind] for name, kind in fields.items() if name not in others and kind in _KINDS}


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if REAL in kinds or (INTEGER in kinds and kinds - {INTEGER, TRUTH}):
        return REAL
    return INTEGER if INTEGER in kinds else TEXT


def _as(column: str, kind: str, common: str) -> str:
    if kind == common:
        return column
    if kind == TEXT:
        number = f"TRY_CAST(regexp_extract(trim({column}), '^{_NUMBER}$') AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    if kind == TIME and common != TEXT:
        return "NULL::DOUBLE"
    return f"{column}::{common}"
