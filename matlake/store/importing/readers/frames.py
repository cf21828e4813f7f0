"""Tables of a notebook as columns: DataFrames of any library, Arrow data, dictionaries of columns, a pandas index.

narwhals recognises DataFrames by their classes without importing a library that the user has not imported.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from matlake.errors import SourceError
from matlake.materials.objects import has_structure, is_missing
from matlake.store.importing.readers.source import ID_COLUMNS, usual_column

Column: TypeAlias = pa.ChunkedArray | list[Any]
"""Values of a stated type, or any values of Python."""

HEAD: Final = 100
"""Values that say what a column holds."""

_INDEX: Final = "index"
_SCALARS: Final = (bool, int, float, str, Decimal, date, datetime, np.generic)


@dataclass(frozen=True)
class Columns:
    """A table in memory.

    Attributes:
        name: What messages call it.
        names: Of the columns.
        values: Of each column.
        notes: Remarks for the user.
    """

    name: str
    names: list[str]
    values: list[Column]
    notes: list[str] = field(default_factory=list)


def is_frame(given: object) -> bool:
    """Tell whether something is a DataFrame of any library, or a table, batch or stream of Arrow."""
    from narwhals.dependencies import is_into_dataframe

    lazy = type(given).__name__ == "LazyFrame" and hasattr(given, "collect")
    return lazy or is_into_dataframe(given) or (hasattr(given, "__arrow_c_stream__") and not is_series(given))


def is_series(given: object) -> bool:
    """Tell whether something is a Series of any library, or an array of Arrow."""
    from narwhals.dependencies import is_into_series

    return isinstance(given, pa.Array) or is_into_series(given)


def frame_columns(given: Any) -> Columns:
    """Return the columns of a DataFrame or of Arrow data.

    The index of pandas is a column where it says something: see ``index_columns``.

    Raises:
        SourceError: It cannot be read as a table.
    """
    import narwhals as nw
    from narwhals.dependencies import is_pandas_like_dataframe

    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    elif type(given).__name__ == "LazyFrame":
        given = given.collect()
    if is_pandas_like_dataframe(given):
        names, notes = _flat_names(given.columns), list[str]()
        values = [series_values(given.iloc[:, place]) for place in range(len(names))]
        if index := index_columns(given, names, notes):
            names, values = [*index, *names], [*index.values(), *values]
        return Columns("the DataFrame", names, values, notes)
    if nw.dependencies.is_into_dataframe(given) and not isinstance(given, pa.Table):
        frame = nw.from_native(given, eager_only=True)
        return Columns("the DataFrame", frame.columns, [_of_series(frame[name]) for name in frame.columns])
    try:
        table = given if isinstance(given, pa.Table) else pa.RecordBatchReader.from_stream(given).read_all()
    except pa.ArrowException as error:
        raise SourceError(f"the {type(given).__name__} cannot be read as a table: {error}") from error
    return Columns("the Arrow table", table.column_names, list(table.columns))


def series_values(given: Any) -> Column:
    """Return the values of a Series or of an array of Arrow."""
    import narwhals as nw

    if isinstance(given, pa.Array | pa.ChunkedArray):
        return given if isinstance(given, pa.ChunkedArray) else pa.chunked_array([given])
    return _of_series(nw.from_native(given, series_only=True))


def index_columns(given: Any, columns: Sequence[str], notes: list[str]) -> dict[str, Column]:
    """Return the levels of the index of a pandas object that are more than row numbers, by name.

    A level with a name is a column. One without is left out if it holds whole numbers, as after a selection of rows;
    else its values are the ids, if they can be and no column has them.

    Args:
        given: A DataFrame or Series of pandas.
        columns: Names of its columns.
        notes: Takes remarks for the user.
    """
    index = given.index
    levels: dict[str, Column] = {}
    for place, name in enumerate(index.names):
        level = index.get_level_values(place)
        if name is None and level.dtype.kind in "iu":
            continue
        if name is not None:
            column = str(name)
        elif usual_column(columns, ID_COLUMNS) is None and index.nlevels == 1 and _can_be_ids(level):
            column = ID_COLUMNS[0]
            notes.append(f"the index became the column {column}")
        else:
            column = _INDEX if index.nlevels == 1 else f"{_INDEX}_{place}"
        if column in columns:
            notes.append(f"the index {column} left out: a column has its name")
        else:
            levels[column] = series_values(level.to_series())
    return levels


def _can_be_ids(level: Any) -> bool:
    return level.is_unique and all(isinstance(value, str) for value in level)


def dictionary_columns(given: Mapping[Any, Any]) -> Columns:
    """Return the columns of a dictionary of columns.

    Raises:
        SourceError: A value is not a column, or they are of different lengths.
    """
    values = [_of_any(str(name), column) for name, column in given.items()]
    lengths = {str(name): len(column) for name, column in zip(given, values, strict=True)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length:,}" for name, length in islice(lengths.items(), 8))
        raise SourceError(f"the columns of the dictionary differ in length: {shown}", "give each row a value, or None")
    return Columns("the dictionary", list(lengths), values)


def typed(values: Column) -> Column:
    """Return values with a type where all have one, so that they need not be looked at one by one."""
    if isinstance(values, pa.ChunkedArray) or not all(
        isinstance(value, _SCALARS) for value in islice((v for v in values if not is_missing(v)), HEAD)
    ):
        return values
    try:
        return pa.chunked_array([pa.array([None if is_missing(value) else value for value in values])])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return values


def _of_series(series: Any) -> Column:
    import narwhals as nw

    if series.dtype in (nw.Object, nw.Unknown):
        return list(series.to_list())
    found = series.to_arrow()
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _of_any(name: str, column: Any) -> Column:
    if is_series(column):
        return series_values(column)
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return list(column) if column.dtype == object else pa.chunked_array([pa.array(column)])
    if isinstance(column, Sequence) and not isinstance(column, str | bytes) and not has_structure(column):
        return list(column)
    raise SourceError(
        f"{name!r} of the dictionary is a {type(column).__name__}, not a column",
        "give a list of materials, or a dictionary of columns: {'formula': [...], 'band_gap_eV': [...]}",
    )


def _flat_names(names: Any) -> list[str]:
    """Return names as text; those of several levels are joined: ``("gap", "eV")`` becomes ``gap_eV``."""
    return [
        "_".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name) for name in names
    ]
