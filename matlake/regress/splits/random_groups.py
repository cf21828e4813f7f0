"""Whole groups at random: compositions or chemical systems, none of them on both sides."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.split import Proposal, Rows, Split
from matlake.regress.targets.kinds import strata_of

TEST_SHARE: Final = 0.2
FOLDS: Final = 5


def group_split(text: str, groups: Callable[[Matrix], NDArray[Any]], rule: str) -> Split:
    """Return the split that holds out a fifth of the groups, drawn at random.

    Args:
        text: How to type it.
        groups: From n rows to the group [n] of each.
        rule: What tested rows do, completing ``rows that …``.
    """

    def preferred(matrix: Matrix, seed: int) -> Iterator[Proposal]:
        _, rows = hold_out_groups(groups(matrix), seed, strata_of(matrix.y))
        yield Proposal("a fifth", rule, np.isin(np.arange(len(matrix.y)), rows))

    def every(matrix: Matrix, seed: int) -> Iterator[Proposal]:
        for number, (_, rows) in enumerate(grouped_folds(groups(matrix), FOLDS, seed, strata_of(matrix.y)), start=1):
            yield Proposal(f"fold {number} of {FOLDS}", rule, np.isin(np.arange(len(matrix.y)), rows))

    return Split(text, preferred, every)


def random_split(argument: str | None) -> Split:  # noqa: ARG001 - as the makers of other splits
    """Return the split that holds out a fifth of the compositions, drawn at random."""
    return group_split("random", lambda matrix: matrix.codes, "belong to compositions drawn at random")


def hold_out_groups(groups: NDArray[Any], seed: int, strata: NDArray[np.float64] | None = None) -> tuple[Rows, Rows]:
    """Hold out a fifth of the groups, drawn at random.

    Args:
        groups: [n], group of each row.
        seed: Decides which groups are drawn.
        strata: float64 [n], classes that both sides are to hold in equal shares; None for no regard to any.

    Returns:
        Rows to train on and rows to test on, ascending.
    """
    if strata is not None:
        return grouped_folds(groups, round(1.0 / TEST_SHARE), seed, strata)[0]
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    drawn = np.zeros(count, dtype=bool)
    drawn[np.random.default_rng(seed).permutation(count)[: round(TEST_SHARE * count)]] = True
    return np.flatnonzero(~drawn[group]), np.flatnonzero(drawn[group])


def grouped_folds(
    groups: NDArray[Any], folds: int, seed: int, strata: NDArray[np.float64] | None = None
) -> list[tuple[Rows, Rows]]:
    """Cut rows into folds for cross-validation, whole groups at a time.

    Args:
        groups: [n], group of each row, such as its composition; at least ``folds`` different ones.
        folds: Number of folds.
        seed: Decides which group goes to which fold.
        strata: float64 [n], classes that folds are to hold in equal shares; None for no regard to any.

    Returns:
        For each fold the rows to fit and the rows to validate on, ascending.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    place = np.random.default_rng(seed).permutation(count)
    if strata is not None:  # deal out one class after the other
        mean = np.bincount(group, weights=strata) / np.bincount(group)
        place[np.lexsort((place.copy(), mean))] = np.arange(count)
    fold = (place % folds)[group]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def subsample(groups: NDArray[Any], rows: int, seed: int) -> Rows:
    """Draw about a number of rows, whole groups at a time.

    Args:
        groups: [n], group of each row, such as its composition.
        rows: Number wanted; all rows are returned when there are no more.
        seed: Decides which groups are drawn.

    Returns:
        Row numbers, ascending.
    """
    if len(groups) <= rows:
        return np.arange(len(groups))
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(size))
    kept = np.zeros(len(size), dtype=bool)
    kept[order[np.cumsum(size[order]) <= rows]] = True
    return np.flatnonzero(kept[group])
