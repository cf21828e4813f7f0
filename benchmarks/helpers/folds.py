"""Folds of the evaluation sets: at random, by clusters of compositions, by time, and as published."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.evaluation_sets import COMPOSITIONS_TRAINED, TIME_TRAINED, Source

Rows = NDArray[np.intp]

RANDOM: Final = "random"
"""The public recipe: polymorphs of one formula may stand on both sides."""
APART: Final = "random, formulas apart"
CLUSTER: Final = "cluster"
TIME: Final = "time"
PUBLISHED_APART: Final = "published, formulas apart"
"""Published test rows; formulas of these are not trained on."""
CURVE: Final = "learning curve"
"""One fold, the same test rows for every seed; the seed draws the labels."""

FOLDS: Final = 5
PUBLIC_STATE: Final = 18012019
"""Of Matbench (A. Dunn et al., npj Comput. Mater. 6, 138 (2020))."""


@dataclass(frozen=True)
class Fold:
    """Rows of a source, by their places.

    Attributes:
        train: Rows to train on.
        test: Rows to test on.
    """

    train: Rows
    test: Rows


def folds_of(source: Source, kind: str, seed: int) -> list[Fold]:
    """Return the folds of one kind.

    Args:
        source: Materials.
        kind: ``RANDOM``, ``APART``, ``CLUSTER``, ``TIME``, ``PUBLISHED_APART`` or ``CURVE``.
        seed: Of what is drawn: nothing is for ``RANDOM`` and for ``CLUSTER`` of crystals, whose recipes name their own.
    """
    if kind == RANDOM:
        return _random(len(source))
    if kind == CURVE and source.is_crystals and not source.parts[0]:
        return _apart(source.formulas, 0)[:1]
    if kind == APART:
        return _apart(source.formulas, seed)
    if kind == CLUSTER:
        clusters = _clusters(source.fractions)
        return clusters if source.is_crystals else [fewer(fold, COMPOSITIONS_TRAINED, seed) for fold in clusters]
    count = TIME_TRAINED if source.is_crystals else COMPOSITIONS_TRAINED
    return [_parted(source, count, seed)]


def fewer(fold: Fold, count: int, seed: int) -> Fold:
    """Return a fold with some of its training rows; with one seed, fewer rows are among more."""
    return Fold(np.random.default_rng(seed).permutation(fold.train)[:count], fold.test)


def _random(rows: int) -> list[Fold]:
    from sklearn.model_selection import KFold

    splitter = KFold(FOLDS, shuffle=True, random_state=PUBLIC_STATE)
    return [Fold(train, test) for train, test in splitter.split(np.arange(rows))]


def _apart(formulas: NDArray[np.str_], seed: int) -> list[Fold]:
    from sklearn.model_selection import KFold

    distinct, place = np.unique(formulas, return_inverse=True)
    splitter = KFold(FOLDS, shuffle=True, random_state=seed)
    tested = (np.isin(place, test) for _, test in splitter.split(distinct))
    return [Fold(np.flatnonzero(~test), np.flatnonzero(test)) for test in tested]


def _clusters(fractions: NDArray[np.float32]) -> list[Fold]:
    """Leave each cluster out in turn. Only elements that occur have a column."""
    from sklearn.cluster import KMeans

    present = fractions[:, fractions.any(axis=0)].astype(np.float64)
    labels = KMeans(FOLDS, n_init=2, random_state=0).fit_predict(present)
    return [Fold(np.flatnonzero(labels != label), np.flatnonzero(labels == label)) for label in range(FOLDS)]


def _parted(source: Source, count: int, seed: int) -> Fold:
    """Return the rows of the parts, those to train on drawn; formulas tested are not trained on."""
    test = np.flatnonzero(source.parts == "test")
    train = np.flatnonzero(source.parts == "train")
    train = train[~np.isin(source.formulas[train], source.formulas[test])]
    return fewer(Fold(train, test), count, seed)
