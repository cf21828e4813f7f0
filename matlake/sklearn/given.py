"""What stands for materials where scikit-learn says X: lists, arrays, Series, a column of a DataFrame."""

from typing import Any

import numpy as np
import pyarrow as pa

from matlake.errors import SourceError
from matlake.store.importing.readers.frames import frame_columns, is_frame, is_series, series_values

_WHAT = "give formulas or structures: a list, a Series, or a DataFrame with column='NAME'"


def materials_of(given: Any, column: str | None) -> list[Any]:
    """Return the n materials of a list, array or Series, or of a column of a DataFrame.

    Args:
        given: They. An array, or a list of lists, may have one column.
        column: Name of a column, of a DataFrame; by default the only one.

    Raises:
        SourceError: There are none, or no such column; or they are numbers, or a table.
    """
    if is_frame(given):
        return column_of(given, _only(given) if column is None else column)
    if column is not None and not is_series(given):
        raise SourceError(
            f"column {column!r} is named, but a {type(given).__name__} has no columns", "leave column out"
        )
    found = _listed(given)
    if not found:
        raise SourceError("0 samples: there are no materials", _WHAT)
    if any(isinstance(one, int | float | np.number) for one in found[:1]):
        raise SourceError("numbers are given, not materials", _WHAT)
    return found


def column_of(frame: Any, name: str) -> list[Any]:
    """Return the values of a column.

    Raises:
        SourceError: There is no such column, or the DataFrame has no rows.
    """
    columns = frame_columns(frame)
    if name not in columns.names:
        raise SourceError(f"the DataFrame has no column {name!r}", f"columns: {', '.join(columns.names)}")
    values = columns.values[columns.names.index(name)]
    if not len(values):
        raise SourceError("0 samples: the DataFrame has no rows", _WHAT)
    return values if isinstance(values, list) else list(values.to_pylist())


def column_names(frame: Any) -> list[str]:
    """Return the names of the columns of a DataFrame or of Arrow data, without those of an index."""
    return [str(name) for name in (frame.column_names if isinstance(frame, pa.Table) else frame.columns)]


def _only(frame: Any) -> str:
    names = column_names(frame)
    if len(names) != 1:
        raise SourceError(
            f"the DataFrame has {len(names)} columns, and none is named for the materials",
            f"name one with column=: {', '.join(names)}",
        )
    return names[0]


def _listed(given: Any) -> list[Any]:
    if is_series(given):
        values = series_values(given)
        return values if isinstance(values, list) else list(values.to_pylist())
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise SourceError(f"one {type(given).__name__} is given, not a list of materials", _WHAT)
    if isinstance(given, np.ndarray) and given.ndim == 2:  # noqa: PLR2004 - rows and columns
        if given.shape[1] != 1:
            raise SourceError(f"an array of {given.shape[1]} columns is given, not one of materials", _WHAT)
        return list(given[:, 0])
    found = list(given)
    in_lists = found and all(isinstance(one, list | tuple) and len(one) == 1 for one in found)
    return [one for (one,) in found] if in_lists else found
