"""How sure errors and their ratios are: resamples of tested compositions and of seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import RESAMPLES, GroupBootstrap


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
