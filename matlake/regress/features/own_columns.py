"""Columns of the user's own among the features: a temperature, a pressure, the share of a solvent, a computed band gap.

A column stands beside the encoders' layers as one number, scaled as they are. Its values come from the datasets, from
the table that is predicted, or from the user; a row without one fails.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import MatlakeError, TrainingError
from matlake.materials.objects import is_missing
from matlake.materials.units import unit_of
from matlake.regress.features.columns import column_kinds, is_numeric, not_numbers
from matlake.store.column_names import MATERIAL_COLUMNS
from matlake.store.content_keys import column_number
from matlake.store.quoting import identifier

if TYPE_CHECKING:
    import duckdb

PREFIX: Final = "column:"

_PLAIN: Final = re.compile(r"\w+")
_SHOWN: Final = 40


def is_column(text: str) -> bool:
    """Return whether a feature, as users write it, is a column."""
    return text.strip().startswith(PREFIX)


def column_named(text: str) -> str:
    """Return the column that ``column:NAME`` or ``column:"NAME"`` means, as it is spelled there."""
    name = text.strip().removeprefix(PREFIX)
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def feature_name(column: str) -> str:
    """Return the name of a column as a feature; one that is more than letters, digits and _ stands in quotes."""
    return f"{PREFIX}{column if _PLAIN.fullmatch(column) else identifier(column)}"


def with_unit(column: str) -> str:
    """Return a column's name with its unit, for people."""
    unit = unit_of(column)
    return f"{column} (in {unit})" if unit else column


def find_column(connection: "duckdb.DuckDBPyConnection", wanted: str) -> str:
    """Return a column of ``materials`` as it is spelled there; in SQL, capitals in names do not matter.

    Raises:
        TrainingError: There is none of that name, or it holds neither numbers nor true and false.
    """
    kinds = {name: kind for name, kind in column_kinds(connection).items() if name not in MATERIAL_COLUMNS}
    numeric = [name for name, kind in kinds.items() if is_numeric(kind)]
    hint = f"columns of numbers: {', '.join(numeric) or 'none'}"
    name = next((one for one in kinds if one.lower() == wanted.lower()), None)
    if name is None:
        raise TrainingError(f"the lake has no column {wanted!r} that could be a feature", hint)
    if not is_numeric(kinds[name]):
        reason = not_numbers(connection, name, kinds[name], None)
        raise TrainingError(f"{feature_name(name)} cannot be a feature: {reason}", f"only numbers can; {hint}")
    return name


def check_columns(
    connection: "duckdb.DuckDBPyConnection", columns: Sequence[str], error: type[MatlakeError], head: str = ""
) -> None:
    """Check that ``materials`` still has the columns of a head, and that they hold numbers.

    Raises:
        MatlakeError: It is not so; of the class ``error``.
    """
    for column in columns:
        try:
            find_column(connection, column)
        except TrainingError as found:
            raise error(f"{found}{f', and head {head} needs it' if head else ''}", found.hint) from found


def selected_columns(columns: Sequence[str], rows: str) -> list[str]:
    """Return what selects the values of columns, each under its name as a feature.

    Args:
        columns: Columns of ``materials``.
        rows: Alias of ``materials``, with a dot.
    """
    return [f"{column_number(column, rows)} AS {identifier(feature_name(column))}" for column in columns]


def stored_numbers(keys: pa.Table, column: str) -> tuple[NDArray[np.float32], list[str | None]]:
    """Return the values of a column in selected rows.

    Args:
        keys: n rows, with what ``selected_columns`` selects.
        column: The column.

    Returns:
        float32 [n]; and for each row why it has no value, or None.
    """
    values = keys[feature_name(column)].to_numpy()
    with np.errstate(over="ignore"):
        numbers: NDArray[np.float32] = values.astype(np.float32)
    reasons: list[str | None] = [None] * len(values)
    for row in np.flatnonzero(~np.isfinite(numbers)).tolist():
        reasons[row] = _reason(values[row], column)
    return numbers, reasons


def numbers_of(values: Sequence[object], column: str) -> tuple[NDArray[np.float32], list[str | None]]:
    """Return the values of a column as numbers.

    Args:
        values: n values, as a lake, a table or a user has them: numbers, true and false, or numbers as text.
        column: The column.

    Returns:
        float32 [n], NaN where there is none; and for each row why it has no value, or None.
    """
    with np.errstate(over="ignore"):
        numbers = np.array([_number(value) for value in values], dtype=np.float64).astype(np.float32)
    finite = np.isfinite(numbers).tolist()
    return numbers, [None if known else _reason(value, column) for known, value in zip(finite, values, strict=True)]


def _reason(value: object, column: str) -> str:
    if is_missing(value) or value == "":
        return f"no value of {with_unit(column)}"
    return f"{with_unit(column)} is {str(value)[:_SHOWN]}, which is not a finite number"


def _number(value: object) -> float:
    if isinstance(value, str) and "_" in value:
        return np.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return np.nan


def given_values(columns: Sequence[str], given: Mapping[str, Any], taker: str) -> dict[str, Any]:
    """Return what is given for columns under the names that these have.

    Args:
        columns: Those that are taken.
        given: Values by name; capitals do not matter.
        taker: Who takes them, in words.

    Raises:
        MatlakeError: One is named that is not taken.
    """
    spelled = {column.lower(): column for column in columns}
    for name in given:
        if name.lower() not in spelled:
            known = ", ".join(map(with_unit, columns)) or "none"
            raise MatlakeError(f"{taker} takes no column {name!r}", f"columns that it takes: {known}")
    return {spelled[name.lower()]: value for name, value in given.items()}
