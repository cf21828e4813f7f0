"""The rows of one target: values, compositions, which are tested, and the folds that choices are made on."""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.units import unit_of
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Missing, read_matrix
from matlake.regress.splits import Rows, grouped_folds
from matlake.store.lake import Lake
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
        unit: Its unit; empty where the column's name states none.
        y: float64 [n], in that unit.
        fractions: float32 [n, 86], element fractions.
        embedded: float32 [n, e], layers that are read from the lake rather than computed.
        embedded_columns: Feature -> its columns of ``embedded``.
        groups: str [n], hash of the composition.
        pool: Rows to train and validate on, ascending.
        test: Rows to test on, ascending.
        unseen: bool [m], tested rows whose composition no row of the pool has.
        folds: Ten parts of the pool, whole compositions each; the first is the validation part.
        missing: Rows left out for want of a feature.
        digest: Of all that a measurement depends on.
    """

    name: str
    unit: str
    y: NDArray[np.float64]
    fractions: NDArray[np.float32]
    embedded: NDArray[np.float32]
    embedded_columns: dict[str, slice]
    groups: NDArray[np.str_]
    pool: Rows
    test: Rows
    unseen: NDArray[np.bool_]
    folds: tuple[Rows, ...]
    missing: tuple[Missing, ...]
    digest: str

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
    embedded: tuple[str, ...] = (),
    seed: int = 0,
) -> TargetRows:
    """Read the rows of a target and set them apart.

    Args:
        lake: The lake.
        name: Numeric property column.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split_column: Column that says ``test`` for the rows to test on; without one, a tenth of the compositions is.
        embedded: Features to read from the lake: ``NAME@LAYER`` of encoders of crystals.
        seed: Decides folds, and the tested rows where no column says them.

    Raises:
        TrainingError: See ``read_matrix``; or too few rows, or the column says ``test`` for none or for all.
    """
    features = resolve_features(lake, [FRACTIONS, *embedded])
    columns = (split_column,) if split_column else ()
    matrix = read_matrix(lake, name, features, dataset=dataset, where=where, columns=columns)
    tested = _tested(matrix.columns[split_column], name, split_column) if split_column else None
    if len(np.unique(matrix.groups)) < _FEWEST:
        raise TrainingError(
            f"{name} has only {len(np.unique(matrix.groups))} different compositions; at least {_FEWEST} are needed",
            "leave it out, or train a head",
        )
    if tested is None:
        tested = np.zeros(len(matrix.y), dtype=bool)
        tested[grouped_folds(matrix.groups, PARTS, seed)[0][1]] = True
    pool, test = np.flatnonzero(~tested), np.flatnonzero(tested)
    folds = tuple(pool[held] for _, held in grouped_folds(matrix.groups[pool], PARTS, seed))
    places, start = {}, 0
    for feature in features:
        places[feature.feature] = slice(start, start + feature.dim)
        start += feature.dim
    width = features[0].dim
    return TargetRows(
        name=name,
        unit=unit_of(name),
        y=matrix.y,
        fractions=np.ascontiguousarray(matrix.x[:, :width]),
        embedded=matrix.x[:, width:],
        embedded_columns={
            feature.feature: slice(places[feature.feature].start - width, places[feature.feature].stop - width)
            for feature in features[1:]
        },
        groups=matrix.groups,
        pool=pool,
        test=test,
        unseen=~np.isin(matrix.groups[test], matrix.groups[pool]),
        folds=folds,
        missing=matrix.missing,
        digest=_digest(name, matrix.y, matrix.groups, tested, folds),
    )


def _tested(labels: NDArray[np.object_], name: str, column: str) -> NDArray[np.bool_]:
    tested: NDArray[np.bool_] = np.array([str(label).lower() == TEST_LABEL for label in labels], dtype=bool)
    if not _FEWEST_TESTED <= tested.sum() <= len(tested) - _FEWEST_TESTED:
        raise TrainingError(
            f"column {column!r} says {TEST_LABEL!r} for {tested.sum():,} of the {len(tested):,} rows with {name}",
            f"name a column that says {TEST_LABEL!r} for the rows to test on, or name no such column",
        )
    return tested


def _digest(
    name: str, y: NDArray[np.float64], groups: NDArray[np.str_], tested: NDArray[np.bool_], folds: tuple[Rows, ...]
) -> str:
    digest = hashlib.sha256(name.encode())
    for array in (y, groups, tested, *folds):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
