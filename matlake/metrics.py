"""Errors of predictions, how sure they are, and the floors that any model has to beat."""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEVEL: Final = 0.95
"""Share of resamples between the ends of a bootstrap interval."""

_RESAMPLES: Final = 1000
_RESAMPLED_ROWS: Final = 4_000_000
"""Rows drawn over all resamples at most: the ends of intervals on so many rows hardly move."""

_FEWEST_RESAMPLES: Final = 200

Intervals = dict[str, list[float]]
"""The two ends of the bootstrap interval of each metric, by its name."""


@dataclass(frozen=True)
class Metrics:
    """Errors on one set of rows.

    Attributes:
        mae: Mean absolute error, in the target's unit.
        rmse: Root of the mean squared error, in the target's unit.
        r2: Coefficient of determination; None where the true values do not vary.
        q95: 95th percentile of the absolute errors, in the target's unit.
        spearman: Rank correlation of predicted and true values; None where one of them does not vary.
    """

    mae: float
    rmse: float
    r2: float | None
    q95: float
    spearman: float | None


def measure(y: NDArray[np.float64], predicted: NDArray[np.float64]) -> Metrics:
    """Compare predictions with true values.

    Args:
        y: float64 [n], true values.
        predicted: float64 [n].
    """
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


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation; None where one of the two does not vary.

    Args:
        a: float64 [n].
        b: float64 [n].
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(a), rankdata(b)])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt(np.prod(np.sum(centred**2, axis=1))))
    return float(centred[0] @ centred[1]) / scale if scale > 0.0 else None


def bootstrap(y: NDArray[np.float64], predicted: NDArray[np.float64], groups: NDArray[np.str_], seed: int) -> Intervals:
    """Say how much the metrics would vary, had other materials been set aside.

    Percentile intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) from resamples of
    whole compositions: polymorphs and repeated measurements are not independent.

    Args:
        y: float64 [n], true values.
        predicted: float64 [n].
        groups: [n], composition of each row.
        seed: Of the draws.

    Returns:
        The interval of each metric that has a value in all resamples.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    members = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    generator = np.random.default_rng(seed)
    resamples = int(np.clip(_RESAMPLED_ROWS // len(y), _FEWEST_RESAMPLES, _RESAMPLES))
    found: dict[str, list[float | None]] = {}
    for _ in range(resamples):
        drawn = generator.integers(len(sizes), size=len(sizes))
        rows = members[_ranges(starts[drawn], sizes[drawn])]
        for name, value in asdict(measure(y[rows], predicted[rows])).items():
            found.setdefault(name, []).append(value)
    tail = (1.0 - LEVEL) / 2.0
    intervals = {}
    for name, values in found.items():
        known = [value for value in values if value is not None]
        if len(known) == resamples:
            low, high = np.quantile(known, (tail, 1.0 - tail))
            intervals[name] = [float(low), float(high)]
    return intervals


def mean_baseline(y_train: NDArray[np.float64], y_test: NDArray[np.float64]) -> Metrics:
    """Return the errors of predicting the training rows' mean for every test row.

    Args:
        y_train: float64 [n].
        y_test: float64 [m].
    """
    return measure(y_test, np.full_like(y_test, y_train.mean()))


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``starts[0], starts[0] + 1, …``, ``lengths[0]`` numbers, then those from ``starts[1]``, and so on."""
    ends = np.cumsum(lengths)
    numbers: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(starts - (ends - lengths), lengths)
    return numbers
