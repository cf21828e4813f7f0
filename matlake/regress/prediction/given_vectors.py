"""Vectors of external encoders that are given with what is predicted, as columns of its table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import SourceError
from matlake.regress.features.feature import Feature
from matlake.store.external.choosing import VectorColumns, column_of
from matlake.store.external.tables import may_hold_vectors, open_vector_table
from matlake.store.external.vectors import NO_VECTOR, read_vectors


@dataclass(frozen=True)
class GivenVectors:
    """Vectors of n inputs.

    Attributes:
        vectors: For each feature float32 [n, dim], zero where there is none.
        reasons: For each input why it lacks one, or None.
    """

    vectors: Mapping[Feature, NDArray[np.float32]]
    reasons: Sequence[str | None]

    def take(self, rows: Sequence[int]) -> Self:
        """Return those of some inputs."""
        some = {feature: vectors[list(rows)] for feature, vectors in self.vectors.items()}
        return type(self)(some, [self.reasons[row] for row in rows])

    def of(self, feature: Feature) -> NDArray[np.float32]:
        """Return the vectors of a feature, float32 [n, dim]."""
        return self.vectors[feature]


class VectorStream:
    """The vectors of a table, in the order of its rows."""

    def __init__(self, name: str, blocks: Iterator[GivenVectors]) -> None:
        """Take them as they come.

        Args:
            name: What messages call the table.
            blocks: Vectors of its rows, some at a time.
        """
        self._name, self._blocks = name, blocks
        self._left: GivenVectors | None = None

    def take(self, count: int) -> GivenVectors:
        """Return the vectors of the next rows.

        Raises:
            SourceError: There are fewer.
        """
        found: list[GivenVectors] = []
        while (missing := count - sum(len(one.reasons) for one in found)) > 0 or not found:
            block = self._left or next(self._blocks, None)
            if block is None:
                raise self._unequal()
            size = len(block.reasons)
            found.append(block.take(range(min(missing, size))))
            self._left = block.take(range(missing, size)) if size > missing else None
        vectors = {feature: np.concatenate([one.vectors[feature] for one in found]) for feature in found[0].vectors}
        return GivenVectors(vectors, [reason for one in found for reason in one.reasons])

    def check_end(self) -> None:
        """Raise SourceError where there are vectors of more rows than were taken: they were not those of these rows."""
        if self._left is not None or next(self._blocks, None) is not None:
            raise self._unequal()

    def _unequal(self) -> SourceError:
        return SourceError(
            f"{self._name} has lines that are no rows, or was changed while it was read",
            "mend it, and run the same again",
        )


def column_names(feature: Feature, features: Sequence[Feature]) -> list[str]:
    """Return what a column of vectors is called: ``NAME@LAYER``, or ``NAME`` where that can mean nothing else."""
    alone = sum(other.encoder == feature.encoder for other in features) == 1
    return [feature.feature, *([feature.encoder] if alone else [])]


def open_vectors(features: Sequence[Feature], table: Any) -> VectorStream | None:
    """Open the columns of a table that hold the vectors of external encoders; None where it has none of one.

    Args:
        features: Layers of external encoders, at least one.
        table: The path of a table, or a table in memory.

    Raises:
        SourceError: A column holds something else than vectors, or the table cannot be read.
    """
    if not may_hold_vectors(table):
        return None
    opened = open_vector_table(table, by_id=False)
    found = {feature: column_of(opened, column_names(feature, features)) for feature in features}
    columns = {feature: column for feature, column in found.items() if column is not None}
    if len(columns) < len(features):
        return None
    names = [name for column in columns.values() for name in column.names]
    return VectorStream(opened.name, (_given(columns, block) for block in opened.read(names)))


def _given(columns: Mapping[Feature, VectorColumns], block: Mapping[str, Any]) -> GivenVectors:
    vectors: dict[Feature, NDArray[np.float32]] = {}
    reasons: list[str | None] = []
    for feature, column in columns.items():
        vectors[feature], wrong = read_vectors(column.of(block), feature.dim)
        reasons = reasons or [None] * len(vectors[feature])
        for row, reason in wrong.items():
            lacking = f"no vector of encoder {feature.encoder}" if reason == NO_VECTOR else reason
            reasons[row] = reasons[row] or f"{lacking}, in column {column.names[0]}"
    return GivenVectors(vectors, reasons)


def without_vectors(features: Sequence[Feature], table: Any) -> Any:
    """Return a table in memory as readers of materials take it: a dictionary without arrays of vectors."""
    if not isinstance(table, Mapping):
        return table
    names = {name.lower() for feature in features for name in column_names(feature, features)}
    return {name: values for name, values in table.items() if str(name).lower() not in names}


def read_again(table: Any) -> Any:
    """Return a table that can be read twice."""
    return table.read_all() if isinstance(table, pa.RecordBatchReader) else table
