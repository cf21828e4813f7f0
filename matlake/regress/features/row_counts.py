"""How much each row counts: weights, or standard uncertainties of the target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import Hint, TrainingError
from matlake.regress.features.labels import RowIds, Unusable
from matlake.regress.targets.expressions import Columns, Target, find_target
from matlake.store.quoting import identifier

_WEIGHT: Final = "row weight"
_UNCERTAINTY: Final = "row uncertainty"

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class RowCounts:
    """What says how much each row counts.

    Attributes:
        weights: Column or SQL expression of weights; None where all rows count alike.
        uncertainty: Column or SQL expression of standard uncertainties of the target, in its unit; None for none.
    """

    weights: str | None = None
    uncertainty: str | None = None

    def __post_init__(self) -> None:
        """Refuse both at once: they would say the same twice."""
        if self.weights is not None and self.uncertainty is not None:
            raise TrainingError("weights and uncertainties of the rows are both given", "give one of them")

    @property
    def text(self) -> str:
        """What they are, for people; empty where all rows count alike."""
        if self.weights is not None:
            return f"rows are weighted by {self.weights}"
        return "" if self.uncertainty is None else f"rows are weighted by their uncertainty {self.uncertainty}"

    @property
    def names(self) -> list[str]:
        """Columns of the selection that hold them."""
        return [
            name for name, given in ((_WEIGHT, self.weights), (_UNCERTAINTY, self.uncertainty)) if given is not None
        ]

    def find(self, connection: duckdb.DuckDBPyConnection, columns: Columns) -> list[Target]:
        """Return what they are, in the order of ``names``.

        Raises:
            TrainingError: One is neither a column nor an expression of one row.
        """
        given = [text for text in (self.weights, self.uncertainty) if text is not None]
        return [find_target(connection, text, columns, scaled=False) for text in given]

    def select(self, found: Sequence[Target]) -> list[str]:
        """Return what selects those that were found, in SQL."""
        return [f"{one.sql} AS {identifier(name)}" for one, name in zip(found, self.names, strict=True)]

    def read(self, keys: pa.Table) -> tuple[_Values | None, _Values | None, list[Unusable]]:
        """Return weights and uncertainties float64 [n], and the rows in which they are null.

        Raises:
            TrainingError: Some are negative or not finite, or all weights are zero.
        """
        read: dict[str, _Values] = {}
        unusable: list[Unusable] = []
        for name in self.names:
            column = keys[name]
            null = column.is_null().to_numpy()
            values = np.where(null, 0.0, column.to_numpy().astype(np.float64))
            _check(values, null, name.removeprefix("row "), RowIds.of(keys))
            read[name] = values
            unusable += [(int(row), name.removeprefix("row "), "null") for row in np.flatnonzero(null)]
        return read.get(_WEIGHT), read.get(_UNCERTAINTY), unusable


ALIKE: Final = RowCounts()
"""All rows count alike."""


def _check(values: _Values, null: NDArray[np.bool_], what: str, ids: RowIds) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0.0)))
    if len(bad):
        first = int(bad[0])
        raise TrainingError(
            f"the {what} is negative or not finite in {len(bad):,} rows, first in {ids.material_ids[first]} of "
            f"{ids.datasets[first]} ({values[first]:g})",
            Hint(
                "correct them, or leave these rows out with where", cli="correct them, or leave them out with --where"
            ),
        )
    if what == "weight" and not values.any():
        all_null = len(values) > 0 and bool(null.all())
        raise TrainingError(f"the weight is {'null' if all_null else 'zero'} in all rows", "give some rows a weight")


def normalised(weights: _Values, rows: NDArray[np.intp]) -> _Values:
    """Return weights float64 [n] with mean 1 over some rows: only their ratios mean something."""
    shares: _Values = weights / weights[rows].mean()
    return shares


def counted_sql(sql: str) -> str:
    """Return a query of training rows without those in which what they count by is null: they were left out."""
    named = [name for name in map(identifier, (_WEIGHT, _UNCERTAINTY)) if f" AS {name}" in sql]
    if not named:
        return sql
    return f"SELECT * FROM ({sql}) AS c WHERE {' AND '.join(f'c.{name} IS NOT NULL' for name in named)}"
