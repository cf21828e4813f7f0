"""Predictions for training rows by fits that were made without them: at random, and with their chemistry left out.

Those of random folds are cross-conformal (Vovk, Ann. Math. Artif. Intell. 74, 9, 2015). They know how far predictions
are off for materials like those of the training rows only. How errors grow outside is learned from folds that leave out
clusters of compositions.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors import Fit, LabelledRows
from matlake.regress.regressors.feature_rows import Features
from matlake.regress.splits import grouped_folds
from matlake.regress.splits.composition_clusters import composition_clusters
from matlake.regress.targets.kinds import strata_of

FOLDS: Final = 5
SLOW_FOLDS: Final = 3
"""Of deep networks."""

CLUSTERS: Final = 6
CLUSTER_FOLDS: Final = 3
"""Folds of two clusters each: each is a fit more."""

SLOW_CLUSTER_FOLDS: Final = 1
"""Folds that are held out of a deep network."""

ALL_FOLDS_ROWS: Final = 5000
"""Up to so many training rows every fold is held out once; above, one fold of a thousand rows or more is enough."""

_NONE: Final = -1


@dataclass(frozen=True)
class OutOfFold:
    """What fits without a row and its composition, and without its cluster of compositions, predict for n rows.

    Attributes:
        predicted: float64 [n], in the target's unit, of random folds; NaN if the row was in no fold that was held out.
        far: float64 [n], with the row's clusters left out; NaN likewise.
        fold: int [n], number of the random fold that a row is held out in; -1 if in none.
        cluster_fold: int [n], number of the fold of clusters; -1 for all rows where there are none.
    """

    predicted: NDArray[np.float64]
    far: NDArray[np.float64]
    fold: NDArray[np.intp]
    cluster_fold: NDArray[np.intp]

    @staticmethod
    def of_random(predicted: NDArray[np.float64], fold: NDArray[np.intp]) -> "OutOfFold":
        """Return predictions float64 [n] of random folds alone, with the numbers of these [n]."""
        return OutOfFold(predicted, np.full(len(predicted), np.nan), fold, np.full(len(predicted), _NONE))

    def take(self, rows: NDArray[np.intp]) -> "OutOfFold":
        """Return those of some rows."""
        return OutOfFold(*(column[rows] for column in vars(self).values()))


def predict_out_of_fold(
    fit: Fit, labelled: LabelledRows, fractions: Features, seed: int, *, slow: bool = False
) -> OutOfFold:
    """Fit and predict with random folds and folds of clusters held out.

    Args:
        fit: From some rows to what is fitted to them.
        labelled: The n training rows.
        fractions: float32 [n, elements], of their compositions.
        seed: Decides the random folds.
        slow: Whether a fit takes minutes: fewer folds are held out.
    """
    near = predictions_of(fit, labelled, SLOW_FOLDS if slow else FOLDS, seed)
    far, cluster_fold = np.full(len(labelled), np.nan), np.full(len(labelled), _NONE)
    if len(np.unique(labelled.groups)) >= 2 * CLUSTERS:
        cluster_fold = composition_clusters(fractions, CLUSTERS) % CLUSTER_FOLDS
        used = SLOW_CLUSTER_FOLDS if slow or len(labelled) > ALL_FOLDS_ROWS else CLUSTER_FOLDS
        for number in range(used):
            held = np.flatnonzero(cluster_fold == number)
            rest = np.flatnonzero((cluster_fold != number) & ~np.isin(labelled.groups, labelled.groups[held]))
            if len(held) and np.ptp(labelled.y[rest]) > 0.0:
                far[held] = fit(labelled.take(rest)).predict(labelled.take(held).features)
    return replace(near, far=far, cluster_fold=cluster_fold)


def predictions_of(fit: Fit, labelled: LabelledRows, folds: int, seed: int) -> OutOfFold:
    """Return what fits predict for rows held out from them, whole compositions at a time.

    Args:
        fit: From some rows to what is fitted to them.
        labelled: The n training rows.
        folds: Number of folds; fewer if there are fewer compositions.
        seed: Decides the folds.
    """
    predicted, fold = np.full(len(labelled), np.nan), np.full(len(labelled), _NONE)
    count = min(folds, len(np.unique(labelled.groups)))
    cut = grouped_folds(labelled.groups, count, seed, strata_of(labelled.y))
    for number, (rows, held) in enumerate(cut if len(labelled) <= ALL_FOLDS_ROWS else cut[:1]):
        predicted[held], fold[held] = fit(labelled.take(rows)).predict(labelled.take(held).features), number
    return OutOfFold.of_random(predicted, fold)
