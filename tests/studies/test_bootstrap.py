"""Intervals of errors and of their ratios."""

import numpy as np
import pytest

from matlake.metrics import bootstrap, percentile_interval
from matlake.studies.bootstrap import Resamples, mean_errors

GROUPS = np.array([f"composition {row // 2}" for row in range(120)])
ROWS = np.arange(120)
ERRORS = np.random.default_rng(0).gamma(2.0, size=120)


def test_with_one_seed_intervals_are_those_of_the_bootstrap_of_heads() -> None:
    resampled = Resamples({0: ROWS}, GROUPS).resample({0: ERRORS})
    expected = bootstrap(np.zeros(120), ERRORS, GROUPS, 0)
    for name, values in (("mae", resampled.mae), ("rmse", resampled.rmse)):
        assert percentile_interval(values) == pytest.approx(expected[name], rel=0.04)
    assert percentile_interval(resampled.mae)[0] < ERRORS.mean() < percentile_interval(resampled.mae)[1]


def test_methods_are_resampled_in_pairs() -> None:
    resamples = Resamples({0: ROWS, 1: ROWS, 2: ROWS[:80]}, GROUPS)
    one = resamples.resample({0: ERRORS, 1: ERRORS, 2: ERRORS[:80]})
    twice = resamples.resample({0: 2 * ERRORS, 1: 2 * ERRORS, 2: 2 * ERRORS[:80]})
    np.testing.assert_allclose(twice.rmse / one.rmse, 2.0)
    np.testing.assert_allclose(twice.mae / one.mae, 2.0)


def test_seeds_that_differ_widen_the_interval() -> None:
    resamples = Resamples({0: ROWS, 1: ROWS}, GROUPS)
    low, high = percentile_interval(resamples.resample({0: ERRORS, 1: 3 * ERRORS}).mae)
    alike = percentile_interval(resamples.resample({0: 2 * ERRORS, 1: 2 * ERRORS}).mae)
    assert high - low > 1.5 * (alike[1] - alike[0])


def test_errors_are_means_over_seeds() -> None:
    assert mean_errors([np.array([3.0, 4.0]), np.array([1.0, 1.0])]) == pytest.approx((2.25, (12.5**0.5 + 1.0) / 2))
