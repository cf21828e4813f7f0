"""Arrays of an npz file, in blocks: nothing is unpickled, and memory does not grow with their length."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from matlake.errors import SourceError

_NPY: Final = ".npy"


@dataclass(frozen=True)
class NpzArray:
    """An array of an npz file, of one or two dimensions.

    Attributes:
        path: The file.
        name: Of the array.
        dtype: Of its numbers, or its text.
        rows: Its length.
        dim: Numbers of a row; 0 for an array of one dimension.
        block_rows: Rows of a block.
    """

    path: Path
    name: str
    dtype: np.dtype[Any]
    rows: int
    dim: int
    block_rows: int

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield its rows.

        Raises:
            ValueError: The file ends before the array does.
        """
        width = max(1, self.dim)
        with zipfile.ZipFile(self.path) as archive, archive.open(self.name + _NPY) as stream:
            _read_header(stream)
            for start in range(0, self.rows, self.block_rows):
                count = min(self.block_rows, self.rows - start) * width
                content = stream.read(count * self.dtype.itemsize)
                if len(content) < count * self.dtype.itemsize:
                    raise ValueError(f"array {self.name} ends early")
                flat = np.frombuffer(content, self.dtype)
                yield flat.reshape(-1, self.dim) if self.dim else flat


def open_npz(path: Path, most_rows: int, most_bytes: int) -> dict[str, NpzArray]:
    """Return the arrays of an npz file by name.

    Args:
        path: The file.
        most_rows: Rows of a block, at most; all arrays have blocks of the same rows.
        most_bytes: Bytes of a block, about.

    Raises:
        SourceError: An array holds Python objects, which only running code could read, or lies column by column.
        ValueError: It is not such a file.
        zipfile.BadZipFile: Likewise.
    """
    found, widest = {}, 1
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            name = member.removesuffix(_NPY)
            with archive.open(member) as stream:
                shape, by_columns, dtype = _read_header(stream)
            if dtype.hasobject:
                raise SourceError(
                    f"array {name!r} of {path} holds Python objects, and reading those would run code",
                    "save ids as text, np.array(ids, dtype=str), and vectors as one array of numbers",
                )
            if len(shape) not in (1, 2):
                continue
            if by_columns and len(shape) > 1:
                raise SourceError(
                    f"array {name!r} of {path} lies in memory column by column",
                    "save np.ascontiguousarray(vectors)",
                )
            dim = shape[1] if len(shape) > 1 else 0
            widest = max(widest, dtype.itemsize * max(1, dim))
            found[name] = dtype, shape[0], dim
    rows = max(1, min(most_rows, most_bytes // widest))
    return {name: NpzArray(path, name, *stated, rows) for name, stated in found.items()}


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether it lies column by column, and type of the array that a stream begins with."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(stream)
    return shape, by_columns, dtype
