"""How sure errors and their ratios are: resamples of tested compositions and of seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import LEVEL

RESAMPLES: Final = 1000


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

    Percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13) in two stages: seeds
    are drawn with replacement, and for each of them whole compositions, for polymorphs are not independent. Where all
    seeds test the same rows, one draw of compositions serves all of them.
    """

    def __init__(self, tested: Mapping[int, NDArray[np.intp]], groups: NDArray[np.str_]) -> None:
        """Draw.

        Args:
            tested: Seed -> the rows that it tests.
            groups: [n], composition of each row.
        """
        self._codes: dict[int, NDArray[np.intp]] = {}
        self._weights: dict[int, NDArray[np.int64]] = {}
        drawn: list[tuple[int, NDArray[np.intp]]] = []
        for seed, rows in tested.items():
            same = next((other for other, known in drawn if np.array_equal(known, rows)), None)
            if same is not None:
                self._codes[seed], self._weights[seed] = self._codes[same], self._weights[same]
                continue
            drawn.append((seed, rows))
            _, self._codes[seed] = np.unique(groups[rows], return_inverse=True)
            count = int(self._codes[seed].max()) + 1
            generator = np.random.default_rng([seed, len(rows)])
            self._weights[seed] = generator.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES)

    def resample(self, errors: Mapping[int, NDArray[np.float64]]) -> Resampled:
        """Return the means over drawn seeds of MAE and RMSE over drawn compositions.

        Args:
            errors: Seed -> absolute errors of the rows that it tests; of some seeds or all.
        """
        maes, rmses = [], []
        for seed, values in errors.items():
            codes, weights = self._codes[seed], self._weights[seed]
            rows = weights @ np.bincount(codes)
            maes.append(weights @ np.bincount(codes, weights=values) / rows)
            rmses.append(np.sqrt(weights @ np.bincount(codes, weights=values**2) / rows))
        picks = np.random.default_rng(len(errors)).integers(len(errors), size=(RESAMPLES, len(errors)))
        places = np.arange(RESAMPLES)[:, None]
        return Resampled(np.array(maes).T[places, picks].mean(axis=1), np.array(rmses).T[places, picks].mean(axis=1))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of the percentile interval of resampled values."""
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(values, (tail, 1.0 - tail))
    return float(low), float(high)


def mean_errors(errors: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the means over seeds of MAE and RMSE, of absolute errors."""
    maes = [float(values.mean()) for values in errors]
    rmses = [float(np.sqrt(np.mean(values**2))) for values in errors]
    return float(np.mean(maes)), float(np.mean(rmses))
