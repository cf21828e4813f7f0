"""From cells to vectors: lists of any numbers become rows of float32, and what is wrong with the others is said."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.materials.objects import is_missing

Cells: TypeAlias = pa.Array | NDArray[Any] | list[Any]
"""Cells of a column, of n rows: of Arrow; numbers [n, d] or values [n] of numpy; or values of Python."""

NUMBERS: Final = "fiu"
"""Kinds of numpy's types that are numbers: floating, signed, unsigned."""

NO_VECTOR: Final = "no vector"
NOT_FINITE: Final = "a vector with NaN or infinite numbers, or larger ones than float32 holds"


def is_list(kind: pa.DataType) -> bool:
    """Say whether a type of Arrow is that of lists of numbers."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return lists and is_number(kind.value_type)


def is_number(kind: pa.DataType) -> bool:
    """Say whether a type of Arrow is that of numbers."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def read_vectors(cells: Cells, dim: int | None) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return the vectors in some cells.

    Args:
        cells: n cells.
        dim: How many numbers a vector has; None for as many as the first of them.

    Returns:
        float32 [n, dim]; and for each row whose vector cannot be used, what is wrong with it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(cells, pa.Array):
            vectors, wrong = _of_arrow(cells, dim)
        elif isinstance(cells, np.ndarray) and cells.dtype.kind in NUMBERS:
            vectors, wrong = _of_numpy(cells, dim)
        else:
            vectors, wrong = _of_python(list(cells), dim)
    finite = np.isfinite(vectors)
    if not finite.all():
        for row in np.flatnonzero(~finite.all(axis=1)).tolist():
            wrong.setdefault(row, NOT_FINITE)
    return vectors, wrong


def side_by_side(columns: Mapping[str, Cells]) -> NDArray[np.float64]:
    """Return columns of numbers as vectors, float64 [n, d]; NaN where a cell is empty."""
    return np.stack([_numbers(cells) for cells in columns.values()], axis=1)


def id_texts(cells: Cells) -> pa.Array:
    """Return ids as text, string [n]; null where there is none."""
    if isinstance(cells, pa.Array):
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        return pc.cast(cells, pa.string())
    values = cells.tolist() if isinstance(cells, np.ndarray) else cells
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if is_missing(value) else str(value)


def _numbers(cells: Cells) -> NDArray[np.float64]:
    if isinstance(cells, pa.Array):
        return np.asarray(pc.cast(cells, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    return np.array([_number(value) for value in cells], dtype=np.float64)


def _number(value: Any) -> float:
    """Return the number in a cell, NaN where there is none."""
    try:
        return np.nan if is_missing(value) else float(value)
    except (ValueError, TypeError, OverflowError):  # as of n/a
        return np.nan


def _of_arrow(cells: pa.Array, dim: int | None) -> tuple[NDArray[np.float32], dict[int, str]]:
    if isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    lengths = pc.fill_null(pc.list_value_length(cells), -1).to_numpy(zero_copy_only=False)
    good, wrong, dim = _of_length(lengths, dim)
    values = (cells if good.all() else cells.filter(pa.array(good))).flatten()
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(int(good.sum()), dim)
    return _placed(numbers, good), wrong


def _of_numpy(cells: NDArray[Any], dim: int | None) -> tuple[NDArray[np.float32], dict[int, str]]:
    matrix = cells.reshape(len(cells), -1)
    good, wrong, dim = _of_length(np.full(len(cells), matrix.shape[1]), dim)
    return _placed(matrix[good].astype(np.float32, copy=False).reshape(int(good.sum()), dim), good), wrong


def _of_python(cells: list[Any], dim: int | None) -> tuple[NDArray[np.float32], dict[int, str]]:
    try:  # where all are alike
        matrix = np.array(cells)
    except (ValueError, TypeError, RuntimeError):
        matrix = np.empty(0)
    if matrix.ndim == 2 and matrix.dtype.kind in NUMBERS:  # noqa: PLR2004 - rows and numbers
        return _of_numpy(matrix, dim)
    found = [_one(cell) for cell in cells]
    lengths = np.array([-1 if one is None else -2 if isinstance(one, str) else len(one) for one in found])
    good, wrong, dim = _of_length(lengths, dim)
    wrong |= {row: one for row, one in enumerate(found) if isinstance(one, str)}
    numbers = [one for one, is_good in zip(found, good.tolist(), strict=True) if is_good]
    return _placed(np.array(numbers, dtype=np.float32).reshape(len(numbers), dim), good), wrong


def _one(cell: Any) -> NDArray[np.float32] | str | None:
    """Return the numbers in a cell, or what stands there instead, or None."""
    if is_missing(cell):
        return None
    try:
        numbers = np.array(cell)
        if numbers.dtype == object and not any(isinstance(one, str) for one in numbers.ravel()):
            numbers = numbers.astype(np.float64)  # empty cells, decimals
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        if getattr(cell, "ndim", 0) == 1:  # as a tensor with gradients, or on a GPU
            return f"a {type(cell).__name__} that cannot be read: {error}"
        numbers = np.empty(())
    if numbers.ndim != 1 or (numbers.dtype.kind not in NUMBERS and len(numbers)):
        return f"a {type(cell).__name__} in place of a vector"
    return numbers.astype(np.float32)


def _of_length(lengths: NDArray[Any], dim: int | None) -> tuple[NDArray[np.bool_], dict[int, str], int]:
    """Return bool [n], which vectors have as many numbers as they must; what is wrong with the others; and how many.

    Args:
        lengths: int [n]: numbers of each vector; negative where there is none.
        dim: As many as they must have; None for those of the first vector.
    """
    first = next((int(length) for length in lengths if length >= 0), 0)
    wanted = first if dim is None else dim
    good = (lengths == wanted) & (lengths > 0)
    wrong = {}
    for row in np.flatnonzero(~good).tolist():
        length = int(lengths[row])
        wrong[row] = (
            NO_VECTOR if length < 0 else f"a vector of {length:,} numbers" + (f", not {wanted:,}" if wanted else "")
        )
    return good, wrong, wanted


def _placed(numbers: NDArray[np.float32], good: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the vectors of the good rows among zeros for the others."""
    if len(numbers) == len(good):
        return numbers
    placed = np.zeros((len(good), numbers.shape[1]), dtype=np.float32)
    placed[good] = numbers
    return placed
