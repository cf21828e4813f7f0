"""Conditions on the columns of a dataset, and the SQL that they stand for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from matlake.errors import QueryError
from matlake.store.quoting import identifier, literal
from matlake.text_tables import some_of

Value: TypeAlias = str | float | bool
Put: TypeAlias = Callable[[Value], str]
"""Takes a value and returns what stands for it in SQL: a parameter, or the value itself."""


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    TEXT = "text"
    TRUTH = "yes/no"
    TIME = "time"
    WORDS = "words"
    OTHER = "other"


_COMPARED: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WORDS: Final = {
    "has all": "list_has_all({column}, {words})",
    "has any": "list_has_any({column}, {words})",
    "has none": "NOT list_has_any({column}, {words})",
    "has only": "list_has_all({words}, {column})",
}
_MISSING: Final = {"is missing": "IS NULL", "is present": "IS NOT NULL"}
OPERATORS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.NUMBER: (*_COMPARED, *_MISSING),
    Kind.TEXT: ("=", "!=", "contains", "starts with", *_MISSING),
    Kind.TRUTH: ("=", *_MISSING),
    Kind.TIME: (*_COMPARED, *_MISSING),
    Kind.WORDS: (*_WORDS, *_MISSING),
    Kind.OTHER: tuple(_MISSING),
}
"""Operators of each kind of column."""

MOST_WORDS: Final = 120
"""Words of a condition at most: more than there are elements."""

_A_TIME: Final = "write it as 2026-01-31 or 2026-01-31 14:30"

_EXACT: Final = 2**53
"""Whole numbers up to this size are written without a point."""

_AS_IT_IS: Final = "formula"
"""Text of this column is compared letter by letter: CO is not Co."""


@dataclass(frozen=True)
class Condition:
    """What a row has to fulfil.

    Attributes:
        column: A column.
        operator: One of ``OPERATORS`` of its kind.
        value: What it is compared with: a number, text, yes or no; several words for a list. None where the operator
            needs none.
    """

    column: str
    operator: str
    value: Value | Sequence[str] | None = None


@dataclass(frozen=True)
class Order:
    """A column that rows are sorted by."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class RowQuery:
    """Rows of a dataset.

    Attributes:
        view: Name of its view.
        kinds: Its columns, with their kinds.
        columns: Columns that are returned.
        where: All of these hold.
        order: Sorted by these, and then by id. Rows without a value are the last ones.
        limit: Rows at most.
        offset: Rows that are left out before.
    """

    view: str
    kinds: Mapping[str, Kind]
    columns: Sequence[str]
    where: Sequence[Condition] = ()
    order: Sequence[Order] = ()
    limit: int = 100
    offset: int = 0

    def statement(self) -> tuple[str, list[Value]]:
        """Return SQL with parameters ``$1``, …, and their values.

        Raises:
            QueryError: There is no such column, or a condition does not fit its column.
        """
        values = _Parameters()
        return self._select(values.put), values.given

    def count(self) -> tuple[str, list[Value]]:
        """Return SQL for the number of rows, whatever the limit."""
        values = _Parameters()
        return f"SELECT count(*) AS rows{self._from(values.put)}", values.given

    def text(self) -> str:
        """Return the same statement as ``statement`` for people, with the values in it."""
        return self._select(_written)

    def _select(self, put: Put) -> str:
        if len(set(self.columns)) < len(self.columns):
            raise QueryError("a column is named twice", "name each column once")
        shown = ", ".join(identifier(self._known(column)) for column in self.columns) or "*"
        order = [f"{identifier(self._known(one.column))}{' DESC' * one.descending} NULLS LAST" for one in self.order]
        last = [] if any(one.column == "material_id" for one in self.order) else ['"material_id"']
        bounds = f"LIMIT {self.limit:d}" + (f" OFFSET {self.offset:d}" if self.offset else "")
        return f"SELECT {shown}{self._from(put)}\nORDER BY {', '.join(order + last)}\n{bounds}"

    def _from(self, put: Put) -> str:
        conditions = "\n  AND ".join(self._condition(one, put) for one in self.where)
        return f"\nFROM {identifier(self.view)}" + (f"\nWHERE {conditions}" if conditions else "")

    def _known(self, column: str) -> str:
        if column not in self.kinds:
            raise QueryError(f"there is no column {column[:100]!r}", f"columns: {some_of(self.kinds)}")
        return column

    def _condition(self, condition: Condition, put: Put) -> str:
        column, operator = identifier(self._known(condition.column)), condition.operator
        kind = self.kinds[condition.column]
        if operator not in OPERATORS[kind]:
            raise QueryError(
                f"{operator[:40]!r} does not fit {condition.column}, which holds {kind}",
                f"use {', '.join(OPERATORS[kind])}",
            )
        if operator in _MISSING:
            return f"{column} {_MISSING[operator]}"
        if operator in _WORDS:
            words = ", ".join(put(word) for word in _words(condition))
            return _WORDS[operator].format(column=column, words=f"[{words}]")
        value = _checked(condition, kind)
        if operator in _COMPARED:
            shown = f"CAST({put(value)} AS TIMESTAMP)" if kind is Kind.TIME else put(value)
            return f"{column} {_COMPARED[operator]} {shown}"
        function = "contains" if operator == "contains" else "starts_with"
        if condition.column == _AS_IT_IS:
            return f"{function}({column}, {put(value)})"
        return f"{function}(lower({column}), {put(str(value).lower())})"


class _Parameters:
    """Collects the values of a statement."""

    def __init__(self) -> None:
        self.given: list[Value] = []

    def put(self, value: Value) -> str:
        self.given.append(value)
        return f"${len(self.given)}"


def _written(value: Value) -> str:
    """Return a value as SQL writes it."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.0f}" if value == int(value) and abs(value) < _EXACT else f"{value!r}"


def _words(condition: Condition) -> Sequence[str]:
    words = condition.value
    if isinstance(words, str):
        words = [words]
    if not isinstance(words, Sequence) or not words or len(words) > MOST_WORDS:
        raise QueryError(
            f"{condition.column} {condition.operator} needs 1 to {MOST_WORDS} words", 'give a list, such as ["Ga", "N"]'
        )
    return words


def _checked(condition: Condition, kind: Kind) -> Value:
    """Return the value of a condition if it fits the column."""
    value, named = condition.value, f"{condition.column} {condition.operator}"
    if kind is Kind.NUMBER:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf"):
            return value
        raise QueryError(f"{named} needs a number", "give a finite number, without its unit")
    if kind is Kind.TRUTH:
        if isinstance(value, bool):
            return value
        raise QueryError(f"{named} needs true or false")
    if isinstance(value, str):
        return _time(value, named) if kind is Kind.TIME else value
    if kind is Kind.TIME:
        raise QueryError(f"{named} needs a time", _A_TIME)
    raise QueryError(f"{named} needs text")


def _time(text: str, named: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat(sep=" ")
    except ValueError:
        raise QueryError(f"{named} needs a time, not {text[:40]!r}", _A_TIME) from None
