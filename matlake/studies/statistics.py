"""Statistics of studies: bootstrap over seeds and compositions, sign test, means of ratios, correlations of targets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import RESAMPLES, GroupBootstrap

FEWEST_COMMON: Final = 20
"""A correlation over fewer compositions means nothing."""


@dataclass(frozen=True)
class Resampled:
    """Errors of one method in every resample.

    Attributes:
        mae: float64 [``RESAMPLES``].
        rmse: float64 [``RESAMPLES``].
    """

    mae: NDArray[np.float64]
    rmse: NDArray[np.float64]


class Resamples:
    """Draws of seeds and of tested compositions, the same for all methods, so that their ratios are those of pairs.

    A percentile bootstrap in two stages: seeds are drawn with replacement, and for each of them whole compositions
    (``GroupBootstrap``). Where all seeds test the same rows, one draw of compositions serves all of them.
    """

    def __init__(self, tested: Mapping[int, NDArray[np.intp]], groups: NDArray[np.str_]) -> None:
        """Draw.

        Args:
            tested: Seed -> the rows that it tests.
            groups: [n], composition of each row.
        """
        self._draws: dict[int, GroupBootstrap] = {}
        for seed, rows in tested.items():
            same = (known for other, known in self._draws.items() if np.array_equal(tested[other], rows))
            self._draws[seed] = next(same, None) or GroupBootstrap(groups[rows], [seed, len(rows)])

    def resample(self, errors: Mapping[int, NDArray[np.float64]]) -> Resampled:
        """Return the means over drawn seeds of MAE and RMSE over drawn compositions.

        Args:
            errors: Seed -> absolute errors of the rows that it tests; of some seeds or all.
        """
        maes = [self._draws[seed].means(values) for seed, values in errors.items()]
        rmses = [np.sqrt(self._draws[seed].means(values**2)) for seed, values in errors.items()]
        picks = np.random.default_rng(len(errors)).integers(len(errors), size=(RESAMPLES, len(errors)))
        places = np.arange(RESAMPLES)[:, None]
        return Resampled(np.array(maes).T[places, picks].mean(axis=1), np.array(rmses).T[places, picks].mean(axis=1))


def mean_errors(errors: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the means over seeds of MAE and RMSE, of absolute errors."""
    maes = [float(values.mean()) for values in errors]
    rmses = [float(np.sqrt(np.mean(values**2))) for values in errors]
    return float(np.mean(maes)), float(np.mean(rmses))


@dataclass(frozen=True)
class Correlations:
    """How targets correlate over the compositions that both have.

    Attributes:
        names: Of the t targets.
        pearson: float64 [t, t]; NaN where fewer than ``FEWEST_COMMON`` are in common, or where values do not vary.
        spearman: float64 [t, t], likewise.
        counts: int64 [t, t], compositions in common; on the diagonal those that a target has.
    """

    names: tuple[str, ...]
    pearson: NDArray[np.float64]
    spearman: NDArray[np.float64]
    counts: NDArray[np.int64]


def sign_test(wins: int, losses: int) -> float:
    """Return the probability of so many wins or more, were wins and losses equally likely.

    The exact one-tailed binomial test with ties left out (Dixon and Mood, J. Am. Stat. Assoc. 41, 557, 1946).

    Args:
        wins: Pairs in which the first is better; not negative.
        losses: Pairs in which the second is better; not negative.
    """
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, alternative="greater").pvalue) if wins or losses else 1.0


def mean(ratios: Sequence[float]) -> float | None:
    """Return the mean; None of nothing."""
    return math.fsum(ratios) / len(ratios) if ratios else None


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """Return the geometric mean; None of nothing, 0 where a ratio is."""
    if not ratios or min(ratios) == 0.0:
        return 0.0 if ratios else None
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))


def target_correlations(values: Mapping[str, Mapping[str, float]]) -> Correlations:
    """Correlate targets over the compositions that both have.

    Args:
        values: For each target the mean value of each composition. Values that are not finite count as absent.
    """
    from scipy.stats import rankdata

    columns = {name: place for place, name in enumerate(dict.fromkeys(name for own in values.values() for name in own))}
    size = len(values)
    dense = np.full((size, len(columns)), np.nan)
    for row, own in enumerate(values.values()):
        dense[row, [columns[name] for name in own]] = list(own.values())
    known = np.isfinite(dense)
    pearson, spearman = np.full((size, size), np.nan), np.full((size, size), np.nan)
    counts = np.zeros((size, size), dtype=np.int64)
    for i, j in combinations_with_replacement(range(size), 2):
        common = known[i] & known[j]
        counts[i, j] = counts[j, i] = np.count_nonzero(common)
        if counts[i, j] >= FEWEST_COMMON:
            a, b = dense[i, common], dense[j, common]
            pearson[i, j] = pearson[j, i] = _correlation(a, b)
            spearman[i, j] = spearman[j, i] = _correlation(rankdata(a), rankdata(b))
    return Correlations(tuple(values), pearson, spearman, counts)


def clustered_order(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return an order in which what correlates stands side by side, whatever the sign.

    Leaves of an average-linkage clustering by 1 - |correlation|, turned so that neighbours are as near as can be
    (Bar-Joseph et al., Bioinformatics 17, S22, 2001). What is unknown counts as unrelated.

    Args:
        correlation: float64 [t, t], symmetric, t of at least 2.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    distances = 1.0 - np.abs(np.nan_to_num(correlation, nan=0.0))
    condensed = distances[np.triu_indices(len(distances), k=1)]
    order: NDArray[np.intp] = leaves_list(linkage(condensed, "average", optimal_ordering=True)).astype(np.intp)
    return order


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of float64 [n] and float64 [n]; NaN where one of the two does not vary."""
    if a.min() == a.max() or b.min() == b.max():
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
