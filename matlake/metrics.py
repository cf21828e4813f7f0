"""Errors of predictions, their bootstrap intervals, and the baseline that any model has to beat."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.95
"""Share of resamples between the ends of a bootstrap interval."""

RESAMPLES: Final = 1000

_RESAMPLED_ROWS: Final = 4_000_000
"""Rows drawn over all resamples at most: intervals on that many rows hardly move."""

_FEWEST_RESAMPLES: Final = 200

FLIPS: Final = 10_000
"""Random flips of signs in a test: p-values end at one in so many."""

_BLOCK: Final = 500  # random signs drawn at once: bounds the memory
_BLOCK_COUNTS: Final = 250_000  # of rows in resamples that are measured at once: likewise
_BINS: Final = 10
_LEAST_PROBABILITY: Final = 1e-12
"""A class that was called impossible and is found costs a finite loss."""

Intervals = dict[str, list[float]]
"""The two ends of the bootstrap interval of each metric, by its name."""


@dataclass(frozen=True)
class Metrics:
    """Errors on one set of rows.

    Attributes:
        mae: Mean absolute error, in the target's unit.
        rmse: Root of the mean squared error, in the target's unit.
        r2: Coefficient of determination; None if the true values do not vary.
        q95: 95th percentile of the absolute errors, in the target's unit; None in heads of format 1.
        spearman: Rank correlation of predicted and true values; None if one of them does not vary.
        roc_auc: Of probabilities of yes: that of a yes is above that of a no with this probability (area under the
            receiver operating characteristic); None for numbers, and where there is one class only.
        log_loss: Of probabilities: mean of minus the natural logarithm of that of the right class.
        brier: Of probabilities: mean squared difference from 1 for yes and 0 for no.
        balanced_accuracy: Of the more probable class: mean over both classes of the share that is right; None where
            there is one class only.
    """

    mae: float
    rmse: float
    r2: float | None
    q95: float | None
    spearman: float | None
    roc_auc: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    balanced_accuracy: float | None = None


CLASS_METRICS: Final = ("roc_auc", "log_loss", "brier", "balanced_accuracy")
"""Those that only probabilities have."""

Measure: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.float64]], Metrics]
"""From true values float64 [n] and predictions float64 [n] to errors."""


def measure(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> Metrics:
    """Compare predictions float64 [n] with true values ``y`` float64 [n]."""
    error = np.abs(predicted - y)
    spread = float(np.mean((y - y.mean()) ** 2))
    squared = float(np.mean(error**2))
    return Metrics(
        mae=float(np.mean(error)),
        rmse=squared**0.5,
        r2=1.0 - squared / spread if spread > 0 else None,
        q95=float(np.quantile(error, 0.95)),
        spearman=rank_correlation(y, predicted),
    )


def mean_errors(predicted: NDArray[np.floating], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean absolute error of each of several targets, over the rows that have a value of it.

    Args:
        predicted: [n, t].
        y: float64 [n, t], NaN where there is no value.

    Returns:
        float64 [t], NaN for a target without any value, and not finite where a prediction is not.
    """
    known = np.isfinite(y)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, np.abs(predicted - y), 0.0).sum(axis=0) / known.sum(axis=0))


def measure_probabilities(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> Metrics:
    """Compare probabilities of yes float64 [n] with what was found, ``y`` float64 [n] of 0 and 1."""
    return replace(
        measure(y, predicted),
        roc_auc=roc_auc(y, predicted),
        log_loss=log_loss(y, predicted),
        brier=float(np.mean((predicted - y) ** 2)),
        balanced_accuracy=_balanced_accuracy(y, predicted),
    )


def log_loss(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Return the mean of minus the natural logarithm of the probability that the right class was given.

    Args:
        y: float64 [n], 0 or 1.
        predicted: float64 [n], probabilities of 1.
    """
    return float(np.mean(_log_losses(y, predicted)))


def _log_losses(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the natural logarithm of the probability [n] that each right class was given."""
    right = np.where(y > 0.0, predicted, 1.0 - predicted)
    losses: NDArray[np.float64] = -np.log(np.maximum(right, _LEAST_PROBABILITY))
    return losses


def roc_auc(y: NDArray[np.float64], scores: NDArray[np.float64]) -> float | None:
    """Return the share of pairs of a yes and a no in which the yes has the higher score, equal ones counting half.

    Hanley and McNeil, Radiology 143, 29 (1982).

    Args:
        y: float64 [n], 0 or 1.
        scores: float64 [n].

    Returns:
        None if there is one class only.
    """
    from scipy.stats import rankdata

    yes = y > 0.0
    n_yes, n_no = int(yes.sum()), int((~yes).sum())
    if not n_yes or not n_no:
        return None
    above = float(rankdata(scores)[yes].sum()) - n_yes * (n_yes + 1) / 2.0
    return above / (n_yes * n_no)


def calibration_error(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
    """Return the expected calibration error: how far shares of yes are from the probabilities that were given.

    The mean over ten bins of equal width, weighted by their rows (Naeini, Cooper and Hauskrecht, Proc. AAAI 2015,
    2901).

    Args:
        y: float64 [n], 0 or 1.
        predicted: float64 [n], probabilities of 1.
    """
    bins = np.minimum((predicted * _BINS).astype(np.intp), _BINS - 1)
    return float(np.abs(np.bincount(bins, weights=predicted - y)).sum() / len(y))


def _balanced_accuracy(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> float | None:
    yes, said_yes = y > 0.0, predicted >= 0.5  # noqa: PLR2004 - the more probable class
    if yes.all() or not yes.any():
        return None
    return float(said_yes[yes].mean() + (~said_yes[~yes]).mean()) / 2.0


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation of float64 [n] and float64 [n]; None if one of the two does not vary."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(a), rankdata(b)])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt(np.prod(np.sum(centred**2, axis=1))))
    return float(centred[0] @ centred[1]) / scale if scale > 0.0 else None


class GroupBootstrap:
    """Resamples of rows, whole groups at a time: polymorphs and repeated measurements are not independent.

    The percentile bootstrap of Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. All statistics
    of one object are taken over the same resamples, so that differences and ratios of them are those of pairs.
    """

    def __init__(self, groups: NDArray[Any], seed: int | Sequence[int], resamples: int = RESAMPLES) -> None:
        """Prepare the draws.

        Args:
            groups: [n], group of each row, such as its composition.
            seed: Of the draws.
            resamples: Number of resamples.
        """
        _, self._group, self._sizes = np.unique(groups, return_inverse=True, return_counts=True)
        self._seed, self.resamples = seed, resamples

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of values float64 [n] in each resample, float64 [``resamples``]."""
        sums = np.bincount(self._group, weights=values)
        means: NDArray[np.float64] = self._drawn @ sums / (self._drawn @ self._sizes)
        return means

    def means_of_all(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means of k sets of values float64 [k, n] in each resample, float64 [``resamples``, k].

        Draws are not kept: for many rows they would be gigabytes.
        """
        sums = np.stack([np.bincount(self._group, weights=each) for each in values], axis=1)
        return np.concatenate([(counts @ sums) / (counts @ self._sizes)[:, None] for counts in self._blocks()])

    def row_counts(self) -> Iterator[NDArray[np.float64]]:
        """Return how often each row is in each of several resamples, float64 [b, n], until all resamples were given."""
        for counts in self._blocks():
            yield counts[:, self._group]

    def _blocks(self) -> Iterator[NDArray[np.float64]]:
        """Return ``_counts`` of several resamples at a time, float64 [b, groups]."""
        counts, most = self._counts(), max(_BLOCK_COUNTS // len(self._group), 1)
        while block := [*islice(counts, most)]:
            yield np.array(block, dtype=np.float64)

    @cached_property
    def _drawn(self) -> NDArray[np.float64]:
        """All of ``_counts``, float64 [``resamples``, groups]: studies take the means of many methods over them."""
        return np.array([*self._counts()], dtype=np.float64)

    def _counts(self) -> Iterator[NDArray[np.int64]]:
        """Return how often each group is drawn, int64 [groups], for one resample after the other."""
        generator, groups = np.random.default_rng(self._seed), len(self._sizes)
        for _ in range(self.resamples):
            yield np.bincount(generator.integers(groups, size=groups), minlength=groups)


def percentile_interval(values: Sequence[float | None] | NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the interval that holds ``LEVEL`` of some resampled values."""
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(np.asarray(values, dtype=np.float64), (tail, 1.0 - tail))
    return float(low), float(high)


def enough_resamples(rows: int) -> int:
    """Return how many resamples of so many rows are worth their time."""
    return int(np.clip(_RESAMPLED_ROWS // rows, _FEWEST_RESAMPLES, RESAMPLES))


def bootstrap(
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    groups: NDArray[Any],
    seed: int,
    measured: Measure = measure,
) -> Intervals:
    """Return how much the metrics would vary with other test materials.

    Args:
        y: float64 [n], true values.
        predicted: float64 [n].
        groups: [n], composition of each row.
        seed: Of the draws.
        measured: Gives the metrics: ``measure`` or ``measure_probabilities``.

    Returns:
        The interval of each metric that has a value in all resamples.
    """
    resamples = GroupBootstrap(groups, seed, enough_resamples(len(y)))
    values = measured_of_counts(y, predicted, resamples.row_counts(), probabilities=measured is measure_probabilities)
    return {name: [*percentile_interval(of)] for name, of in values.items() if not np.isnan(of).any()}


def measured_of_counts(
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    counts: Iterable[NDArray[np.float64]],
    *,
    probabilities: bool,
) -> dict[str, NDArray[np.float64]]:
    """Return the metrics of many resamples: those of ``measure`` on the rows as often as each resample has them.

    Rows are sorted once; the ranks and the quantile of a resample then come from how often it has each, all at once.

    Args:
        y: float64 [n], true values.
        predicted: float64 [n].
        counts: How often each resample has each row, float64 [b, n], some resamples at a time.
        probabilities: Whether the metrics of ``measure_probabilities`` are wanted.

    Returns:
        float64 [all resamples] by the name of the metric, NaN where ``Metrics`` has None.
    """
    error, truth, guess = np.abs(predicted - y), _Ranked.of(y), _Ranked.of(predicted)
    by_error = np.argsort(error)
    found: list[dict[str, NDArray[np.float64]]] = []
    for drawn in counts:
        rows = drawn.sum(axis=1)
        squared = drawn @ error**2 / rows
        from_mean = y - (drawn @ y / rows)[:, None]
        spread = np.einsum("bn,bn,bn->b", drawn, from_mean, from_mean) / rows
        (ranks, vary), (guess_ranks, guess_vary) = truth.ranks(drawn), guess.ranks(drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.where(vary, 1.0 - squared / spread, np.nan)
            spearman = np.where(vary & guess_vary, _correlations(drawn, ranks, guess_ranks), np.nan)
        one = {
            "mae": drawn @ error / rows,
            "rmse": np.sqrt(squared),
            "r2": r2,
            "q95": _quantiles(error[by_error], drawn[:, by_error], 0.95),
            "spearman": spearman,
        }
        found.append(one | _of_classes(y, predicted, drawn, guess_ranks) if probabilities else one)
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


@dataclass(frozen=True)
class _Ranked:
    """Values sorted once, whose ranks among any number of copies of each follow by adding up.

    Attributes:
        order: int [n], rows by ascending value.
        starts: int [u], where in ``order`` each distinct value begins.
        code: int [n], which distinct value each row has.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    code: NDArray[np.intp]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Sort values float64 [n]."""
        _, starts, code = np.unique(np.sort(values), return_index=True, return_inverse=True)
        order = np.argsort(values)
        return cls(order, starts, code[np.argsort(order)])

    def ranks(self, drawn: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the mean rank of each row in resamples that have it so often, [b, n], and whether values vary, [b]."""
        of_value = np.add.reduceat(drawn[:, self.order], self.starts, axis=1)
        ranks = np.cumsum(of_value, axis=1) - (of_value - 1.0) / 2.0
        return ranks[:, self.code], np.count_nonzero(of_value, axis=1) > 1


def _correlations(drawn: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation of ranks [b, n] and [b, n] in each resample, float64 [b]."""
    middle = (drawn.sum(axis=1, keepdims=True) + 1.0) / 2.0
    a, b = a - middle, b - middle
    own, of_a, of_b = (np.einsum("bn,bn,bn->b", drawn, x, y) for x, y in ((a, b), (a, a), (b, b)))
    correlations: NDArray[np.float64] = own / np.sqrt(of_a * of_b)
    return correlations


def _quantiles(values: NDArray[np.float64], drawn: NDArray[np.float64], q: float) -> NDArray[np.float64]:
    """Return a quantile of ascending values float64 [n] in each resample, float64 [b], as ``numpy.quantile`` does."""
    until = np.cumsum(drawn, axis=1)
    place = q * (until[:, -1] - 1.0)
    before = np.floor(place)
    low = np.count_nonzero(until <= before[:, None], axis=1)
    high = np.count_nonzero(until <= np.minimum(before + 1.0, until[:, -1] - 1.0)[:, None], axis=1)
    quantiles: NDArray[np.float64] = values[low] + (values[high] - values[low]) * (place - before)
    return quantiles


def _of_classes(
    y: NDArray[np.float64], predicted: NDArray[np.float64], drawn: NDArray[np.float64], ranks: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return what only probabilities have, of each resample, NaN where it has one class only.

    Args:
        y: float64 [n], 0 or 1.
        predicted: float64 [n], probabilities of 1.
        drawn: float64 [b, n], how often each resample has each row.
        ranks: float64 [b, n], of the predictions in each resample.
    """
    yes = (y > 0.0).astype(np.float64)
    said_yes = (predicted >= 0.5).astype(np.float64)  # noqa: PLR2004 - the more probable class
    rows, n_yes = drawn.sum(axis=1), drawn @ yes
    n_no = rows - n_yes
    above = np.einsum("bn,bn,n->b", drawn, ranks, yes) - n_yes * (n_yes + 1.0) / 2.0
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = above / (n_yes * n_no)
        right = drawn @ (yes * said_yes) / n_yes + drawn @ ((1.0 - yes) * (1.0 - said_yes)) / n_no
    both = (n_yes > 0) & (n_no > 0)
    return {
        "roc_auc": np.where(both, auc, np.nan),
        "log_loss": drawn @ _log_losses(y, predicted) / rows,
        "brier": drawn @ (predicted - y) ** 2 / rows,
        "balanced_accuracy": np.where(both, right / 2.0, np.nan),
    }


def sign_flip_test(differences: NDArray[np.float64], groups: NDArray[np.str_], seed: int) -> float:
    """Return the two-sided p-value of paired differences whose mean is zero and whose signs are exchangeable.

    All rows of a group change their sign together. Fisher's randomisation test for pairs (The Design of Experiments,
    1935, section 21) with random flips, counted as by Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 39 (2010).

    Args:
        differences: float64 [n], of paired errors.
        groups: [n], composition of each row.
        seed: Of the flips.
    """
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, weights=differences)
    observed = abs(float(sums.sum())) * (1.0 - 1e-12)  # sums in another order differ in the last digit
    generator, extreme = np.random.default_rng(seed), 0
    for _ in range(FLIPS // _BLOCK):
        signs = generator.integers(2, size=(_BLOCK, len(sums))) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ sums) >= observed))
    return (extreme + 1) / (FLIPS + 1)


def mean_baseline(y_train: NDArray[np.float64], y_test: NDArray[np.float64], measured: Measure = measure) -> Metrics:
    """Return the errors of predicting the mean of the training rows [n] for every test row [m], all float64."""
    return measured(y_test, np.full_like(y_test, y_train.mean()))
