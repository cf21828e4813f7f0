"""Values of Python, as JSON and notebooks have them: which type a column of them has, and which of them are of it.

A column has the type of more than half of its values; the others are missing, and each is on record.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from matlake.store.importing.readers.cells import is_missing_text, number_of, stands_for_nothing

_NUMBERS: Final = (float, int)
_LARGEST_INTEGER: Final = 2**63


@dataclass
class Values:
    """How many values of a column are of which kind."""

    truths: int = 0
    integers: int = 0
    floats: int = 0
    numbers_as_text: int = 0
    texts: int = 0

    def add(self, value: float | str) -> None:
        """Count a value."""
        if isinstance(value, bool):
            self.truths += 1
        elif isinstance(value, int) and -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            self.integers += 1
        elif isinstance(value, _NUMBERS):
            self.floats += 1
        elif number_of(value) is not None:
            self.numbers_as_text += 1
        elif not stands_for_nothing(value):
            self.texts += 1

    def __bool__(self) -> bool:
        """Tell whether any value was counted."""
        return any(vars(self).values())

    def kind(self) -> pa.DataType:
        """Return the type of more than half of the values; text alone stays text, whatever it says."""
        numbers = self.integers + self.floats
        if not numbers and not self.truths:
            return pa.string()
        both = numbers + self.numbers_as_text
        if both > self.truths + self.texts:
            return pa.int64() if both == self.integers else pa.float64()
        return pa.bool_() if self.truths > both + self.texts else pa.string()


def read_values(given: Sequence[Any], kind: pa.DataType, *, as_written: bool) -> tuple[pa.Array, list[int]]:
    """Read values as a column of a type.

    Args:
        given: n values.
        kind: int64, float64, bool, or string.
        as_written: Whether they are formulas or ids, in which nothing stands for a missing value.

    Returns:
        The column [n], null where there is no value of the type; and the places of values that are of another.
    """
    read = _text if as_written else _READERS[kind]
    values = [None if value is None else read(value) for value in given]
    unread = [row for row, value in enumerate(given) if values[row] is None and _is_filled(value)]
    return pa.array(values, kind), unread


def _is_filled(value: object) -> bool:
    if isinstance(value, str):
        return not stands_for_nothing(value)
    return isinstance(value, _NUMBERS) and value == value  # NaN is a missing value  # noqa: PLR0124


def _number(value: object) -> float | None:
    """Return a finite number, also from a text that is one; None for anything else."""
    if isinstance(value, bool):
        return None
    number = number_of(value) if isinstance(value, str) else value
    try:
        return float(number) if isinstance(number, _NUMBERS) and math.isfinite(number) else None
    except OverflowError:  # a whole number beyond all floats
        return None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _property_text(value: object) -> str | None:
    return None if isinstance(value, str) and is_missing_text(value) else _text(value)


def _text(value: object) -> str | None:
    """Return formulas, ids and texts as written: 12.0 of a program without integers is ``12``."""
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value) if value.is_integer() else value)
    return str(value).strip() or None if isinstance(value, (str, int)) else None


_READERS: Final[dict[pa.DataType, Callable[[object], Any]]] = {
    pa.float64(): _number,
    pa.int64(): _integer,
    pa.bool_(): _truth,
    pa.string(): _property_text,
}
