"""Columns of Arrow as arrays of numpy, without pandas.

pyarrow imports pandas, wherever that is installed, at the first ``to_numpy``, ``pa.array`` or ``pa.scalar``: a third of
a second and 60 MB, for nothing that is needed here. What a light command reads goes through this module instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column in one piece; it may be without rows."""
    combined = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Return numbers in their own type [n]; null is NaN, for which whole numbers become float64.

    Args:
        column: n integers or floating-point numbers.

    Raises:
        TypeError: They are of another type.
    """
    array = whole(column)
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise TypeError(f"{array.type} is not a type of numbers")
    valid, values = array.buffers()
    kind = np.dtype(array.type.to_pandas_dtype())
    if values is None:
        return np.empty(0, dtype=kind)
    place = slice(array.offset, array.offset + len(array))
    found: NDArray[Any] = np.frombuffer(values, dtype=kind)[place]
    if not array.null_count:
        return found
    known = np.unpackbits(np.frombuffer(valid, dtype=np.uint8), bitorder="little")[place].astype(np.bool_)
    return np.where(known, found, kind.type(np.nan) if kind.kind == "f" else np.nan)


def list_numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    """Return the numbers of all lists of a column, one list after another; a list that is null has none.

    Args:
        column: Lists of numbers, of any lengths or of one.
    """
    lists = whole(column)
    if lists.null_count:
        return numbers(lists.flatten())
    if pa.types.is_fixed_size_list(lists.type):
        size = lists.type.list_size
        return numbers(lists.values.slice(lists.offset * size, len(lists) * size))
    ends = numbers(lists.offsets)  # flatten would import pyarrow.compute, which takes a tenth of a light command
    return numbers(lists.values.slice(int(ends[0]), int(ends[-1] - ends[0])))


def strings(values: Sequence[str]) -> pa.StringArray:
    """Return text as a column."""
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def texts(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts of a column that was read with a dictionary, and which of them each row has, int64 [n].

    Raises:
        ValueError: A row has none.
    """
    array = whole(column.unify_dictionaries())
    if array.null_count:
        raise ValueError(f"{array.null_count:,} rows without a text")
    return array.dictionary.to_pylist(), numbers(array.indices).astype(np.int64)
