"""The rows of one target: values, compositions, which are tested, and the folds that choices are made on."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.splits import Rows, grouped_folds
from matlake.store.lake import Lake
from matlake.studies.rows import StudyRows
from matlake.studies.transfer.configurations import FRACTIONS

PARTS: Final = 10
"""One of them is tested, and of the rest one in ten validated on: 81/9/10."""

TEST_LABEL: Final = "test"
_FEWEST: Final = 50
_FEWEST_TESTED: Final = 2


@dataclass(frozen=True)
class TargetRows:
    """The rows that have a target.

    Attributes:
        name: Property column.
        data: Element fractions, and features that are read from the lake rather than computed.
        y: float64 [n], in the target's unit.
        groups: str [n], hash of the composition.
        pool: Rows to train and validate on, ascending.
        test: Rows to test on, ascending.
        outside: bool [m], tested rows whose composition no row of the pool has.
        folds: Ten parts of the pool, whole compositions each; the first is the validation part.
        digest: Of all that a measurement depends on.
    """

    name: str
    data: StudyRows
    y: NDArray[np.float64]
    groups: NDArray[np.str_]
    pool: Rows
    test: Rows
    outside: NDArray[np.bool_]
    folds: tuple[Rows, ...]
    digest: str

    def fractions(self, rows: Rows | slice = slice(None)) -> NDArray[np.float32]:
        """Return the element fractions of some rows, float32 [m, 86]."""
        return self.data.columns([self.data.features[0].feature], rows)

    def fit_rows(self, fold: int) -> Rows:
        """Return the rows of the pool that are not in a fold."""
        return np.setdiff1d(self.pool, self.folds[fold], assume_unique=True)


def read_target(
    lake: Lake,
    name: str,
    *,
    dataset: str | None = None,
    where: str | None = None,
    split_column: str | None = None,
    features: tuple[str, ...] = (),
    seed: int = 0,
) -> TargetRows:
    """Read the rows of a target and hold out those to test on.

    Args:
        lake: The lake.
        name: Numeric property column.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split_column: Column that says ``test`` for the rows to test on; default: a tenth of the compositions.
        features: Embedded layers to read from the lake: ``NAME@LAYER`` of encoders of crystals.
        seed: Decides folds, and the tested rows where no column says them.

    Raises:
        TrainingError: See ``read_matrix``; or too few rows, or the column says ``test`` for none or for all.
    """
    resolved = resolve_features(lake, [FRACTIONS, *features])
    columns = (split_column,) if split_column else ()
    matrix = read_matrix(lake, name, resolved, dataset=dataset, where=where, columns=columns)
    y, groups = matrix.y, matrix.groups
    tested = _tested(matrix.columns[split_column], name, split_column) if split_column else None
    compositions = len(np.unique(groups))
    if compositions < _FEWEST:
        raise TrainingError(
            f"{name} has only {compositions} different compositions; at least {_FEWEST} are needed",
            "leave it out of the targets, or train a head on it",
        )
    if tested is None:
        tested = np.zeros(len(y), dtype=bool)
        tested[grouped_folds(groups, PARTS, seed)[0][1]] = True
    pool, test = np.flatnonzero(~tested), np.flatnonzero(tested)
    folds = tuple(pool[held] for _, held in grouped_folds(groups[pool], PARTS, seed))
    digest = hashlib.sha256(name.encode())
    for array in (y, groups, tested, *folds):
        digest.update(np.ascontiguousarray(array).tobytes())
    data = StudyRows(name, matrix, resolved, digest.hexdigest())
    outside = ~np.isin(groups[test], groups[pool])
    return TargetRows(name, data, y, groups, pool, test, outside, folds, data.digest)


def _tested(labels: NDArray[np.object_], name: str, column: str) -> NDArray[np.bool_]:
    tested: NDArray[np.bool_] = np.array([str(label).lower() == TEST_LABEL for label in labels], dtype=bool)
    if not _FEWEST_TESTED <= tested.sum() <= len(tested) - _FEWEST_TESTED:
        raise TrainingError(
            f"column {column!r} says {TEST_LABEL!r} for {tested.sum():,} of the {len(tested):,} rows with {name}",
            f"name a column that says {TEST_LABEL!r} for the rows to test on, or none",
        )
    return tested
