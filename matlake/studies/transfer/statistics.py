"""What an evaluation over many targets is judged by: the sign test, and how targets correlate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST_COMMON: Final = 20
"""A correlation over fewer compositions tells nothing."""


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

    The exact one-tailed binomial test, P(X >= wins) for X of n = wins + losses and p = 1/2, with ties left out
    (Dixon and Mood, J. Am. Stat. Assoc. 41, 557, 1946), in whole numbers up to the last division.

    Args:
        wins: Pairs in which the first is better; not negative.
        losses: Pairs in which the second is better; not negative.
    """
    pairs = wins + losses
    term, at_least = math.comb(pairs, wins), 0
    for won in range(wins, pairs + 1):
        at_least += term
        term = term * (pairs - won) // (won + 1)
    return at_least / (1 << pairs)


def target_correlations(values: Mapping[str, Mapping[str, float]]) -> Correlations:
    """Correlate targets over the compositions that both have.

    Ranks are those among the common compositions; equal values share their mean rank.

    Args:
        values: For each target the mean value of each composition. Values that are not finite count as absent.
    """
    names = tuple(values)
    dense = _dense(values)
    known = np.isfinite(dense)
    orders = np.argsort(dense, axis=1, kind="stable")
    size = len(names)
    pearson, spearman = np.full((size, size), np.nan), np.full((size, size), np.nan)
    counts = np.zeros((size, size), dtype=np.int64)
    pairs = [*combinations(range(size), 2), *((i, i) for i in range(size))]
    for i, j in pairs:
        common = known[i] & known[j]
        counts[i, j] = counts[j, i] = np.count_nonzero(common)
        if counts[i, j] < FEWEST_COMMON:
            continue
        pearson[i, j] = pearson[j, i] = _correlation(dense[i, common], dense[j, common])
        ranks = [_ranks(dense[k], orders[k], common)[common] for k in (i, j)]
        spearman[i, j] = spearman[j, i] = _correlation(*ranks)
    return Correlations(names, pearson, spearman, counts)


def _dense(values: Mapping[str, Mapping[str, float]]) -> NDArray[np.float64]:
    """Return float64 [targets, compositions], NaN where a target lacks a composition."""
    columns: dict[str, int] = {}
    for of_target in values.values():
        for composition in of_target:
            columns.setdefault(composition, len(columns))
    dense = np.full((len(values), len(columns)), np.nan)
    for row, of_target in enumerate(values.values()):
        dense[row, [columns[composition] for composition in of_target]] = list(of_target.values())
    return dense


def _ranks(values: NDArray[np.float64], order: NDArray[np.intp], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the ranks of chosen values among each other, float64 [n], 0 for others.

    Args:
        values: float64 [n].
        order: intp [n], sorts all values: sorting once serves every choice.
        chosen: bool [n].
    """
    order = order[chosen[order]]
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(ordered)]]))
    ranks = np.zeros(len(values))
    ranks[order] = np.repeat(starts + (lengths - 1) / 2, lengths)
    return ranks


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Pearson's correlation of float64 [n] and float64 [n]; NaN where one of the two does not vary."""
    if a.min() == a.max() or b.min() == b.max():
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / math.sqrt((a @ a) * (b @ b)), -1.0, 1.0))
