"""Ways to set rows aside for testing. One composition never sits on both sides."""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError

Rows: TypeAlias = NDArray[np.intp]
Split: TypeAlias = Callable[[NDArray[np.str_], NDArray[np.float64], int], tuple[Rows, Rows]]

TEST_SHARE: Final = 0.2
MIN_COMPOSITIONS: Final = 10


def split_rows(name: str, groups: NDArray[np.str_], y: NDArray[np.float64], seed: int) -> tuple[Rows, Rows]:
    """Split rows by a method of ``SPLITS``.

    Args:
        name: Name of the method.
        groups: [n], composition of each row.
        y: float64 [n], target.
        seed: Decides all that is random.

    Returns:
        Training rows and test rows, ascending, together all rows.

    Raises:
        TrainingError: Unknown method, or too few compositions to set some aside.
    """
    if name not in SPLITS:
        raise TrainingError(f"unknown split {name!r}", f"splits: {', '.join(SPLITS)}")
    distinct = len(np.unique(groups))
    if distinct < MIN_COMPOSITIONS:
        raise TrainingError(
            f"{len(groups):,} rows of only {distinct} different compositions; at least {MIN_COMPOSITIONS} are needed",
            "label more materials, or select more rows",
        )
    return SPLITS[name](groups, y, seed)


def random_split(groups: NDArray[np.str_], y: NDArray[np.float64], seed: int) -> tuple[Rows, Rows]:  # noqa: ARG001 - Split
    """Set aside a fifth of the compositions, drawn at random."""
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    drawn = np.zeros(count, dtype=bool)
    drawn[np.random.default_rng(seed).permutation(count)[: round(TEST_SHARE * count)]] = True
    return np.flatnonzero(~drawn[group]), np.flatnonzero(drawn[group])


def grouped_folds(groups: NDArray[np.str_], folds: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Cut rows into folds for cross-validation, whole compositions at a time.

    Args:
        groups: [n], composition of each row; at least ``folds`` different ones.
        folds: Number of folds.
        seed: Decides which composition goes to which fold.

    Returns:
        For each fold the rows to fit and the rows to validate on, ascending.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    fold = (np.random.default_rng(seed).permutation(count) % folds)[group]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]


def subsample(groups: NDArray[np.str_], rows: int, seed: int) -> Rows:
    """Draw about a number of rows, whole compositions at a time.

    Args:
        groups: [n], composition of each row.
        rows: Number wanted; all rows are returned when there are no more.
        seed: Decides which compositions are drawn.

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


SPLITS: Final[dict[str, Split]] = {"random": random_split}
