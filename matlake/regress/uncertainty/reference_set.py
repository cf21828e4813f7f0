"""The reference rows of a head: where they lie, what was measured, and out-of-fold errors.

They give the out-of-distribution score of a prediction, the width of its interval and the materials nearest to it.
"""

import hashlib
import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matlake.arrow_columns import list_numbers, numbers, texts
from matlake.errors import HeadError
from matlake.regress.uncertainty.nearest import nearest_rows

FILE: Final = "reference.parquet"
NEAREST: Final = 5
"""Rows whose mean distance is the out-of-distribution score."""

SHOWN: Final = 3
"""Rows that are reported with a prediction."""

LOCAL: Final = 25
"""Rows whose residuals estimate the difficulty of a prediction."""

LARGEST_SCORE: Final = 10.0
"""Out-of-distribution score at which all materials count as just as far: 1 is far already, and intervals grow with it.

Limited features keep scores below 3 on 48 real properties, but nothing limits those of heads of version 0.1.0.
"""

MAX_ROWS: Final = 50_000
"""Reference rows at most: 8 MB, and thousands of predictions a second.

Of 80,000 compositions of OQMD, the value of the nearest remembered one was off by 2.01, 1.57, 1.38 and 1.26 Å³/atom
where 10,000, 30,000, 50,000 and all were remembered; a search among 50,000 takes 0.14 ms.
"""

_MOST_READ: Final = 100_000
_MOST_LETTERS: Final = 100_000_000
_TEXT: Final = ["dataset", "material_id", "formula"]
_ERRORS: Final = ("residual", "error")


@dataclass(frozen=True)
class Reference:
    """Training rows of a head, or a random part of them.

    Attributes:
        dataset: str [m].
        material_id: str [m].
        formula: str [m].
        value: float64 [m], the target.
        residual: float32 [m], absolute error of a model that was fitted without the row and its composition; NaN if
            there is none. In the target's unit.
        coordinates: float32 [m, p], in the unit of the out-of-distribution score.
        error: float32 [m], measured value minus that prediction, on the scale on which the target is fitted; NaN
            likewise. None for a head older than expected errors.
    """

    dataset: NDArray[np.str_]
    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    value: NDArray[np.float64]
    residual: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    error: NDArray[np.float32] | None = None

    @property
    def local(self) -> NDArray[np.float32]:
        """Absolute errors float32 [m] that difficulty is estimated from."""
        return self.residual if self.error is None else np.abs(self.error)

    def nearest(self, coordinates: NDArray[np.float32]) -> "Surroundings":
        """Find the reference rows around some points.

        Args:
            coordinates: float32 [n, p].
        """
        distances, rows = nearest_rows(coordinates, self.coordinates, LOCAL)
        return Surroundings(distances, rows, self.local)

    def to_bytes(self) -> bytes:
        """Return the content of ``reference.parquet``."""
        errors = {name: getattr(self, name) for name in _ERRORS if getattr(self, name) is not None}
        table = pa.table(
            {name: column for name, column in vars(self).items() if name not in _ERRORS}
            | {name: pa.array(column, from_pandas=True) for name, column in errors.items()}  # NaN becomes null
            | {
                "coordinates": pa.FixedSizeListArray.from_arrays(
                    pa.array(self.coordinates.reshape(-1)), self.coordinates.shape[1]
                ),
            }
        )
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()

    @staticmethod
    def from_bytes(content: bytes, sha256: str, name: str) -> "Reference":
        """Read the content of ``reference.parquet`` after checking its digest.

        Args:
            content: The file.
            sha256: Stated by the card.
            name: Of the head, for messages.

        Raises:
            HeadError: The file was changed or damaged.
        """
        if hashlib.sha256(content).hexdigest() != sha256:
            raise HeadError(
                f"{FILE} of head {name} does not match the sha256 of its card",
                "the file was changed or damaged: restore it, or train the head again",
            )
        try:
            return _read(content)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise HeadError(f"{FILE} of head {name} is not a reference set: {error}", "train the head again") from error


def _read(content: bytes) -> Reference:
    """Read a reference set, within bounds: a few bytes of Parquet may stand for any number of values."""
    file = pq.ParquetFile(io.BytesIO(content), read_dictionary=_TEXT)
    if not 0 < file.metadata.num_rows <= _MOST_READ:
        raise ValueError(f"{file.metadata.num_rows:,} rows, not 1 to {_MOST_READ:,}")
    table = file.read().combine_chunks()
    named = {}
    for name in _TEXT:
        words, rows = texts(table[name])
        longest = max(map(len, words), default=0)
        if longest * len(table) > _MOST_LETTERS:
            raise ValueError(f"a {name} of {longest:,} letters")
        named[name] = np.array(words, dtype=np.str_)[rows]
    coordinates = list_numbers(table["coordinates"]).reshape(len(table), -1)
    reference = Reference(
        **named,
        value=numbers(table["value"]),
        residual=numbers(table["residual"]),
        coordinates=coordinates,
        error=numbers(table["error"]) if "error" in table.column_names else None,
    )
    if not (np.isfinite(reference.value).all() and np.isfinite(coordinates).all()):
        raise ValueError("a value is not finite")
    return reference


@dataclass(frozen=True)
class Surroundings:
    """The reference rows around n points, nearest first.

    Attributes:
        distances: float32 [n, ``LOCAL``], infinite if there are no more rows.
        rows: int32 [n, ``LOCAL``].
        residual: float32 [m], of the reference rows.
    """

    distances: NDArray[np.float32]
    rows: NDArray[np.int32]
    residual: NDArray[np.float32]

    def take(self, points: NDArray[np.intp]) -> "Surroundings":
        """Return those of some of the points."""
        return Surroundings(self.distances[points], self.rows[points], self.residual)

    @property
    def scores(self) -> NDArray[np.float64]:
        """Out-of-distribution scores, float64 [n]: mean distances to ``NEAREST`` rows, at most ``LARGEST_SCORE``."""
        return np.minimum(scores(self.distances), LARGEST_SCORE)

    def label_ranges(self, labels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the smallest and the largest label of the ``NEAREST`` rows, float64 [n] each.

        Args:
            labels: float64 [m], of the reference rows.
        """
        near = labels[self.rows[:, :NEAREST]]
        known = np.isfinite(self.distances[:, :NEAREST])
        return np.where(known, near, np.inf).min(axis=1), np.where(known, near, -np.inf).max(axis=1)

    @property
    def local_residuals(self) -> NDArray[np.float64]:
        """Mean residual of the nearest rows that have one, float64 [n]; the mean of all rows if none has."""
        near = self.residual[self.rows]
        known = np.isfinite(near) & np.isfinite(self.distances)
        means: NDArray[np.float64] = np.where(known.any(axis=1), _mean(near, known), np.nanmean(self.residual))
        return means


def scores(distances: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean of the ``NEAREST`` smallest distances, float64 [n], of distances [n, k] in ascending order."""
    near = distances[:, :NEAREST]
    return _mean(near, np.isfinite(near))


def _mean(values: NDArray[np.float32], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.where(counted, values, 0.0).sum(axis=1, dtype=np.float64)
    means: NDArray[np.float64] = total / np.maximum(counted.sum(axis=1), 1)
    return means
