"""What a query returns, as pandas, polars, Arrow or numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.reports import SHOWN_ROWS, TableReport, missing_package
from matlake.store.sql_output import result_table
from matlake.text_tables import Line


@dataclass(frozen=True, repr=False, eq=False)
class QueryResult(TableReport):
    """The rows of a query.

    Attributes:
        table: As an Arrow table.
    """

    table: pa.Table

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def df(self) -> Any:
        """Return a pandas DataFrame."""
        return self.to_pandas()

    def pl(self) -> Any:
        """Return a polars DataFrame.

        Raises:
            MissingExtraError: polars is not installed.
        """
        try:
            import polars as pl
        except ModuleNotFoundError as error:
            raise missing_package("polars", error) from error
        return pl.from_arrow(self.table)

    def arrow(self) -> pa.Table:
        """Return the Arrow table."""
        return self.table

    def to_arrow(self) -> pa.Table:
        """Return the Arrow table."""
        return self.table

    def numpy(self) -> dict[str, NDArray[Any]]:
        """Return the columns as arrays, by name.

        Returns:
            Vectors of equal length as [n, d] in their own type, float32 for embeddings, rows of NaN where there is
            none; other lists and text as objects; numbers as [n], with NaN where one is missing.
        """
        return {name: _array(column) for name, column in zip(self.table.column_names, self.table.columns, strict=True)}

    def lines(self) -> Sequence[Line]:
        """Return the rows for people."""
        return [result_table(self.table), self._size]

    def shown(self) -> Sequence[Line]:
        """Return the first rows."""
        return [result_table(self.table.slice(0, SHOWN_ROWS)), self._size]

    @property
    def _size(self) -> str:
        return f"{self.table.num_rows:,} rows, {self.table.num_columns:,} columns"


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    kind = column.type
    if _is_list(kind) and pa.types.is_floating(kind.value_type):
        return _vectors(column)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    array: NDArray[Any] = column.to_numpy()
    return array


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _vectors(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return vectors as a matrix; as objects where their lengths differ."""
    present = column.drop_null().combine_chunks()
    lengths = pc.unique(pc.list_value_length(present)).to_pylist()
    if len(lengths) > 1:
        ragged: NDArray[Any] = column.to_numpy()
        return ragged
    width = lengths[0] if lengths else getattr(column.type, "list_size", 0)
    matrix = np.full((len(column), width), np.nan, dtype=column.type.value_type.to_pandas_dtype())
    matrix[column.is_valid().to_numpy()] = (
        present.flatten().to_numpy(zero_copy_only=False).reshape(-1, width or 1)[:, :width]
    )
    return matrix
