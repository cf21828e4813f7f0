"""Columns of Arrow as numpy's arrays, compared with pyarrow's own conversion."""

import numpy as np
import pyarrow as pa
import pytest

from matlake.arrow_columns import list_numbers, numbers, strings, texts

FLOATS = pa.array([0.5, None, -2.0, None, 7.25, None, 1.0, 3.0, None, 9.0], pa.float32())


@pytest.mark.parametrize(
    "column",
    [
        FLOATS,
        FLOATS.slice(3, 5),
        pa.chunked_array([FLOATS, FLOATS.slice(1, 4)]),
        pa.array([1, 2, 3], pa.int16()),
        pa.array([1, None, 3]),
        pa.array([1.5, 2.5]).slice(1),
        pa.array([], pa.float64()),
        pa.chunked_array([pa.array([None, None], pa.float64())]),
        pa.chunked_array([], pa.float64()),
    ],
)
def test_numbers_are_those_of_pyarrow(column: pa.Array | pa.ChunkedArray) -> None:
    expected = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    found = numbers(column)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [pa.string(), pa.bool_(), pa.list_(pa.float32())])
def test_what_is_no_number_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="not a type of numbers"):
        numbers(pa.nulls(3, kind))


@pytest.mark.parametrize(
    "lists",
    [
        pa.array([[1.0, 2.0], [], [3.0]]),
        pa.array([[1.0, 2.0], [3.0], [4.0, 5.0]]).slice(1, 1),
        pa.array([[1.0, 2.0], None, [4.0, 5.0]]),
        pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2)).slice(1),
        pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
        pa.array([], pa.list_(pa.float32())),
    ],
)
def test_numbers_of_lists_are_those_of_flatten(lists: pa.Array) -> None:
    np.testing.assert_array_equal(list_numbers(lists), lists.flatten().to_numpy())


def test_text_goes_there_and_back() -> None:
    words = ["", "TiO2", "CuSO4·5H2O", "TiO2"]
    assert strings(words).equals(pa.array(words, pa.string()))
    assert strings([]).equals(pa.array([], pa.string()))
    found, rows = texts(pa.chunked_array([pa.array(words).dictionary_encode(), pa.array(["Fe"]).dictionary_encode()]))
    assert [found[row] for row in rows] == [*words, "Fe"]


def test_a_row_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="1 rows without a text"):
        texts(pa.chunked_array([pa.array(["Fe", None]).dictionary_encode()]))
