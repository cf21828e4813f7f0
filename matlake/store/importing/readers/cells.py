"""Cells of text: which are numbers, which are truth values, which are missing, and which are none of these.

A column has one type, that of more than half of its cells; the other cells are missing, and each is on record. A cell
is a number if it can be read in one way only: digits, at most one decimal sign, an exponent. ``>8``, ``3.2(1)``,
``3.2 eV`` and ``1,234`` are not numbers. Infinity is not a value.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_MISSING_TEXTS: Final = frozenset(
    ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NULL", "null", "None", "-", "--", "<NA>", "#N/A")
)
"""What stands for nothing in a column of text; in others, capitals do not matter and there is more."""

_MISSING: Final = frozenset(text.lower() for text in _MISSING_TEXTS) | {"-nan", "---", "–", "—"}

_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INTEGER: Final = r"^[+-]?\d{1,18}$"
_LONG: Final = 10**18
_POINT: Final = r"^[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?$"
_COMMA: Final = r"^[+-]?\d*,\d+([eE][+-]?\d+)?$"
_TRUTH: Final = r"^(?i:true|false)$"
_CODE_OR_HEXADECIMAL: Final = r"^0[0-9xX]"
_CODE: Final = r"^0\d+$"
_THOUSANDS: Final = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_PROMISING: Final = r"^(?:[+\-−]?[.,]?\d|(?i:true|false)$)"
"""Cells that may be more than text: all others are not looked at twice."""

_CODES_SHARE: Final = 0.1
_NOTED_SHARE: Final = 0.25
_SHOWN: Final = 40
_PROBED: Final = 64
_MINUS: Final = "−"
_NUMBER_TEXT: Final = re.compile(_NUMBER)


@dataclass
class Tally:
    """What the cells of a column are, counted over the whole file.

    Attributes:
        cells: Those that hold something.
        integers: Integers, codes included.
        codes: Digits with a leading zero, such as 0012.
        exponents: Numbers with an exponent and no decimal sign, or too many digits for an integer.
        points: Numbers with a decimal point.
        commas: Numbers with a decimal comma.
        thousands: Those of them in which the comma may set thousands apart, such as 1,234.
        truths: ``True`` or ``False``.
        text: The first cell that is none of these.
        comma: The first number with a decimal comma.
    """

    cells: int = 0
    integers: int = 0
    codes: int = 0
    exponents: int = 0
    points: int = 0
    commas: int = 0
    thousands: int = 0
    truths: int = 0
    text: str | None = None
    comma: str | None = None

    def add(self, column: pa.Array) -> None:
        """Count the cells of some rows: string [n], null where nothing stands."""
        filled = len(column) - column.null_count
        if not filled:
            return
        if _count(column.filter(pc.starts_with(column, "0")), _CODE_OR_HEXADECIMAL):
            self._add_one_by_one(column)
            return
        integers = _cast(column, pa.int64())
        if integers is not None:
            long = _sum(pc.or_(pc.greater_equal(integers, _LONG), pc.less_equal(integers, -_LONG)))
            self.cells += filled
            self.integers += filled - long
            self.exponents += long
            return
        numbers = _cast(column, pa.float64())
        if numbers is not None and not _any(pc.invert(pc.is_finite(numbers))):
            pointed = pc.match_substring(column, ".")
            points = _sum(pointed)
            whole = _count(column.filter(pc.invert(pointed)), _INTEGER) if points < filled else 0
            self.cells += filled
            self.points += points
            self.integers += whole
            self.exponents += filled - points - whole
            return
        self._add_one_by_one(column)

    def _add_one_by_one(self, column: pa.Array) -> None:
        stripped = _strip(column)
        filled = stripped.filter(pc.invert(_is_missing(stripped)))
        promising = pc.match_substring_regex(filled, _PROMISING)
        some = _normal(filled.filter(promising))
        integers, points, commas, truths = (
            pc.match_substring_regex(some, form) for form in (_INTEGER, _POINT, _COMMA, _TRUTH)
        )
        numbers = pc.match_substring_regex(some, _NUMBER)
        self.cells += len(filled)
        self.integers += _sum(integers)
        self.codes += _count(some, _CODE)
        self.points += _sum(points)
        self.exponents += _sum(numbers) - _sum(integers) - _sum(points)
        self.commas += _sum(commas)
        self.thousands += _count(some, _THOUSANDS)
        self.truths += _sum(truths)
        if self.comma is None and _any(commas):
            self.comma = some.filter(commas)[0].as_py()
        if self.text is None:
            others = pa.concat_arrays(
                [
                    filled.filter(pc.invert(promising)).slice(0, 1),
                    some.filter(pc.invert(pc.or_(pc.or_(numbers, commas), truths))).slice(0, 1),
                ]
            )
            self.text = others[0].as_py() if len(others) else None

    def numbers(self, *, decimal_comma: bool) -> int:
        """Return how many cells are numbers, given the file's decimal sign."""
        return self.integers + self.exponents + (self.commas if decimal_comma else self.points)

    def kind(self, *, decimal_comma: bool) -> pa.DataType:
        """Return the column's type: int64, float64, bool or string; string where all cells are empty."""
        numbers = self.numbers(decimal_comma=decimal_comma)
        if 2 * self.truths > self.cells:
            return pa.bool_()
        if 2 * numbers <= self.cells or self.codes > _CODES_SHARE * numbers:
            return pa.string()
        return pa.int64() if numbers == self.integers else pa.float64()

    def is_mixed(self, *, decimal_comma: bool) -> bool:
        """Tell whether some cells are neither missing nor of the column's type."""
        return self.cells not in (self.truths, self.numbers(decimal_comma=decimal_comma))

    def is_plain_integers(self) -> bool:
        """Tell whether all cells are integers, none with zeros before it."""
        return self.integers == self.cells and not self.codes

    def note(self, name: str, *, decimal_comma: bool) -> str | None:
        """Return a remark where a column stays text although many of its cells are numbers."""
        numbers = self.numbers(decimal_comma=decimal_comma)
        close = max(numbers, self.commas)
        if self.kind(decimal_comma=decimal_comma) != pa.string() or close < _NOTED_SHARE * self.cells or not close:
            return None
        if self.codes > _CODES_SHARE * numbers:
            return f"column {name} kept as text: {self.codes:,} of its numbers begin with a zero, as codes do"
        example = self.text or self.comma or "1.0"
        return (
            f"column {name} kept as text: {self.cells - numbers:,} of its {self.cells:,} cells are not numbers, "
            f"such as {example[:_SHOWN]!r}"
        )


def uses_decimal_comma(tallies: Sequence[Tally], delimiter: str) -> bool:
    """Tell whether the decimal sign of a file is the comma: more of its numbers have one than have a point.

    Args:
        tallies: Those of its columns.
        delimiter: The comma cannot be both. Where it is the semicolon, the comma does not set thousands apart either.
    """
    commas = sum(tally.commas for tally in tallies)
    thousands = 0 if delimiter == ";" else sum(tally.thousands for tally in tallies)
    return delimiter != "," and commas > thousands and commas > sum(tally.points for tally in tallies)


def read_cells(column: pa.Array, kind: pa.DataType, *, decimal_comma: bool) -> tuple[pa.Array, pa.Array | None]:
    """Read cells of text as values of a type.

    Args:
        column: string [n].
        kind: int64, float64, bool, or string.
        decimal_comma: Whether the comma is the decimal sign.

    Returns:
        The values [n], null where there is none; and the places of cells that are filled and not of that type, or
        None where there are no such cells.
    """
    if kind == pa.string():
        stripped = _strip(column)
        missing = pc.is_in(stripped, value_set=pa.array(_MISSING_TEXTS, pa.string()))
        return (pc.if_else(missing, pa.scalar(None, pa.string()), stripped) if _any(missing) else stripped), None
    if kind != pa.bool_() and not decimal_comma and not _any(pc.starts_with(column, "0x", ignore_case=True)):
        plain = _cast(column, kind)
        if plain is not None and kind == pa.int64():
            return plain, None
        if plain is not None and not _any(pc.is_inf(plain)):
            return nan_as_null(plain), None
    text = _strip(column)
    missing = _is_missing(text)
    text = _normal(text)
    if kind == pa.bool_():
        right, text = pc.match_substring_regex(text, _TRUTH), pc.utf8_lower(text)
    elif kind == pa.int64():
        right = pc.match_substring_regex(text, _INTEGER)
    elif decimal_comma:
        commas = pc.match_substring_regex(text, _COMMA)
        whole = pc.and_(pc.match_substring_regex(text, _NUMBER), pc.invert(pc.match_substring(text, ".")))
        right, text = pc.or_(commas, whole), pc.replace_substring(text, ",", ".")
    else:
        right = pc.match_substring_regex(text, _NUMBER)
    right = pc.and_(pc.fill_null(right, fill_value=False), pc.invert(missing))
    values = pc.cast(pc.if_else(right, text, pa.scalar(None, pa.string())), kind)
    if kind == pa.float64():
        finite = pc.fill_null(pc.is_finite(values), fill_value=False)
        values = pc.if_else(finite, values, pa.scalar(None, kind))
        right = pc.and_(right, finite)
    unread = pc.invert(pc.or_(right, missing))
    return values, pc.indices_nonzero(unread) if _any(unread) else None


def as_written(column: pa.Array) -> pa.Array:
    """Return formulas or ids as text: nothing in them stands for a missing value but the blank.

    Args:
        column: [n], of any type; whole numbers lose a ``.0``.
    """
    if pa.types.is_floating(column.type):
        values = nan_as_null(column).to_pylist()
        column = pa.array([None if v is None else str(int(v) if v.is_integer() else v) for v in values], pa.string())
    text = _strip(pc.cast(column, pa.string()))
    empty = pc.equal(text, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), text) if _any(empty) else text


def nan_as_null(column: pa.Array) -> pa.Array:
    """Return floats with null in place of NaN."""
    missing = pc.is_nan(column)
    return pc.if_else(missing, pa.scalar(None, column.type), column) if _any(missing) else column


def number_of(text: str) -> float | None:
    """Return the number that a text is, None if it is not one."""
    text = text.strip().replace(_MINUS, "-")
    return float(text) if _NUMBER_TEXT.match(text) else None


def stands_for_nothing(text: str) -> bool:
    """Tell whether a text is one of those for a missing value."""
    return text.strip().lower() in _MISSING


def is_missing_text(text: str) -> bool:
    """Tell whether a cell of a column of text is empty, or says that its value is missing (``na``)."""
    return text.strip() in _MISSING_TEXTS


def _is_missing(stripped: pa.Array) -> pa.Array:
    return pc.or_(pc.is_null(stripped), pc.is_in(pc.utf8_lower(stripped), value_set=pa.array(_MISSING, pa.string())))


def _strip(column: pa.Array) -> pa.Array:
    return pc.utf8_trim_whitespace(column)


def _normal(text: pa.Array) -> pa.Array:
    """Return numbers as Arrow reads them: with ASCII's minus and without a plus."""
    text = pc.replace_substring(_strip(text), _MINUS, "-")
    return pc.replace_substring_regex(text, r"^\+(\d|[.,])", r"\1", max_replacements=1)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        pc.cast(column.slice(0, _PROBED), kind)  # Arrow takes microseconds for each text that it refuses
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        return None


def _count(column: pa.Array, form: str) -> int:
    return _sum(pc.match_substring_regex(column, form))


def _sum(truths: pa.Array) -> int:
    return int(pc.sum(truths).as_py() or 0)


def _any(truths: pa.Array) -> bool:
    return bool(pc.any(truths).as_py())
