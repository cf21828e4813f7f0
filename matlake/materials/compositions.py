"""Compositions in columns: many of them in flat arrays, as datasets store them and as encoders take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import FormulaError
from matlake.materials.formula import Composition
from matlake.materials.periodic_table import ATOMIC_NUMBER, ELEMNET_ELEMENTS, SYMBOLS
from matlake.materials.ragged import offsets_of, ranges


@dataclass(frozen=True)
class CompositionColumns:
    """Many compositions in flat arrays.

    Attributes:
        offsets: int64 [n + 1]; the elements of composition i are ``offsets[i]:offsets[i + 1]``.
        numbers: int16 [e], atomic numbers.
        fractions: float64 [e], of the elements; they add up to one in each composition.
    """

    offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    fractions: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of compositions."""
        return len(self.offsets) - 1

    def take(self, rows: NDArray[np.integer] | Sequence[int]) -> Self:
        """Return some of the compositions, in the order given."""
        places, offsets = ranges(self.offsets, rows)
        return type(self)(offsets, self.numbers[places], self.fractions[places])

    def matrix(self, elements: tuple[str, ...]) -> NDArray[np.float32]:
        """Return the fractions of some elements, float32 [n, len(elements)]; other elements are left out."""
        columns = element_columns(elements)[self.numbers]
        rows = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        kept = columns >= 0
        matrix = np.zeros((len(self), len(elements)), dtype=np.float32)
        matrix[rows[kept], columns[kept]] = self.fractions[kept]
        return matrix

    def elements(self) -> list[list[str]]:
        """Return the symbols of each composition in alphabetical order, as ``Composition.elements`` does."""
        symbols = [SYMBOLS[z - 1] for z in self.numbers.tolist()]
        return [sorted(symbols[start:stop]) for start, stop in pairwise(self.offsets.tolist())]

    @classmethod
    def of(cls, compositions: Sequence[Composition]) -> Self:
        """Put compositions into columns."""
        numbers = [z for composition in compositions for z, _ in composition.amounts]
        fractions = [fraction for composition in compositions for fraction in composition.fractions]
        offsets = offsets_of([len(composition.amounts) for composition in compositions])
        return cls(offsets, np.array(numbers, dtype=np.int16), np.array(fractions, dtype=np.float64))

    @classmethod
    def from_matrix(cls, fractions: NDArray[np.float32]) -> Self:
        """Put the fractions of all elements, float32 [n, 118] in the order of ``SYMBOLS``, into columns."""
        rows, columns = np.nonzero(fractions)
        offsets = offsets_of(np.bincount(rows, minlength=len(fractions)))
        return cls(offsets, (columns + 1).astype(np.int16), fractions[rows, columns].astype(np.float64))

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """Read the columns ``atomic_numbers`` and ``fractions`` of a dataset, none of them null."""
        numbers, fractions = (table[name].combine_chunks() for name in ("atomic_numbers", "fractions"))
        return cls(
            offsets_of(numbers.value_lengths().to_numpy(zero_copy_only=False)),
            numbers.flatten().to_numpy(zero_copy_only=False).astype(np.int16, copy=False),
            fractions.flatten().to_numpy(zero_copy_only=False),
        )


def element_fractions(compositions: Sequence[Composition]) -> NDArray[np.float32]:
    """Return the fractions of ElemNet's 86 elements.

    Args:
        compositions: n compositions.

    Returns:
        float32 [n, 86], columns in the order of ``ELEMNET_ELEMENTS``, rows summing to one.

    Raises:
        FormulaError: An element has no column; never a zero vector.
    """
    for composition in compositions:
        check_elements(composition)
    return CompositionColumns.of(compositions).matrix(ELEMNET_ELEMENTS)


def check_elements(composition: Composition) -> None:
    """Raise FormulaError when ElemNet has no column for one of the elements."""
    columns = element_columns(ELEMNET_ELEMENTS)
    for z, _ in composition.amounts:
        if columns[z] < 0:
            raise FormulaError(
                f"element {SYMBOLS[z - 1]} in {composition.canonical} is not among the 86 of this encoder",
                "He, Ne, Ar, Po, At, Rn, Fr, Ra and elements beyond Pu are not covered",
            )


@cache
def element_columns(elements: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the column of each atomic number, int64 [119]; -1 for one that has none."""
    columns = np.full(len(SYMBOLS) + 1, -1, dtype=np.int64)
    columns[[ATOMIC_NUMBER[symbol] for symbol in elements]] = np.arange(len(elements))
    return columns
