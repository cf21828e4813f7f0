"""What colours the points: numbers on a scale with robust limits, or the most frequent of several values."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.materials.units import quantity_of, unit_of
from matlake.store.property_columns import TEXT, TIME, TRUTH

CATEGORIES: Final = 7
"""Values that have a colour of their own: as many as people tell apart, whatever their colour vision."""

_ROBUST: Final = (2.0, 98.0)
"""Percentiles at which the scale ends: a few extreme values would take all the colours."""

_YEAR_DAYS: Final = 365.2425


@dataclass(frozen=True, eq=False)
class Colouring:
    """A property as colours.

    Attributes:
        name: The column.
        quantity: What it is, for people.
        unit: Its unit; may be empty.
        numbers: float64 [n], NaN where there is no value; None where values are categories.
        low: Value at the lower end of the scale.
        high: Value at the upper end.
        categories: The most frequent values, most frequent first.
        codes: int16 [n], which of the categories each material has; their number for any other value, -1 for none.
        others: Number of values beside the categories.
        values: Value of each material, as text where it is a category, null where there is none that is finite.
    """

    name: str
    quantity: str
    unit: str
    numbers: NDArray[np.float64] | None
    low: float
    high: float
    categories: tuple[str, ...]
    codes: NDArray[np.int16]
    others: int
    values: pa.ChunkedArray

    @property
    def missing(self) -> int:
        """Number of materials without a value."""
        return int(np.isnan(self.numbers).sum() if self.numbers is not None else (self.codes < 0).sum())


def colour(name: str, kind: str, values: pa.ChunkedArray) -> Colouring:
    """Make colours of a property.

    Values that are not finite count as missing. Times become years, with the day as a fraction.

    Args:
        name: The column.
        kind: Its type as DuckDB writes it.
        values: Of the materials [n].
    """
    quantity, unit = quantity_of(name), unit_of(name)
    if kind in (TEXT, TRUTH):
        texts = [None if value is None else _word(value) for value in values.to_pylist()]
        counts = Counter(text for text in texts if text is not None)
        ranked = sorted(counts, key=lambda text: (-counts[text], text))
        codes = {text: min(place, CATEGORIES) for place, text in enumerate(ranked)}
        numbers = np.array([-1 if text is None else codes[text] for text in texts], dtype=np.int16)
        return Colouring(
            name,
            quantity,
            unit,
            None,
            0.0,
            1.0,
            tuple(ranked[:CATEGORIES]),
            numbers,
            max(0, len(ranked) - CATEGORIES),
            pa.chunked_array([pa.array(texts, pa.string())]),
        )
    read = _years(values) if kind == TIME else values.cast(pa.float64(), safe=False).to_numpy()
    known = np.isfinite(read)
    finite: NDArray[np.float64] = np.where(known, read, np.nan)
    low, high = _limits(finite[known])
    values = pc.if_else(pa.array(known), values, pa.scalar(None, values.type))
    unit = "year" if kind == TIME else unit
    return Colouring(name, quantity, unit, finite, low, high, (), np.empty(0, np.int16), 0, values)


def _word(value: str | bool) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _years(values: pa.ChunkedArray) -> NDArray[np.float64]:
    days = pc.divide(values.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).cast(pa.float64()), 86_400e6)
    return np.asarray(days.to_numpy(), dtype=np.float64) / _YEAR_DAYS + 1970.0


def _limits(known: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the scale."""
    if not len(known):
        return 0.0, 1.0
    low, high = np.percentile(known, _ROBUST).tolist()
    if low == high:
        low, high = float(known.min()), float(known.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)
