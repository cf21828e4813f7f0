"""Statistics of studies: tests, correlations, and intervals of errors and of their ratios."""

import math
import time
from itertools import product

import numpy as np
import pytest

from matlake.metrics import bootstrap, percentile_interval
from matlake.studies.statistics import FEWEST_COMMON, Resamples, mean_errors, sign_test, target_correlations

GROUPS = np.array([f"composition {row // 2}" for row in range(120)])
ROWS = np.arange(120)
ERRORS = np.random.default_rng(0).gamma(2.0, size=120)


def test_the_sign_test_is_the_exact_binomial_test() -> None:
    from scipy.stats import binomtest

    for wins, losses in [*product(range(25), repeat=2), (38, 1), (27, 12), (400, 300), (3, 700)]:
        if wins + losses:
            expected = binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
            assert sign_test(wins, losses) == pytest.approx(expected, rel=1e-9)


def test_the_sign_test_of_the_cross_property_study() -> None:
    assert sign_test(38, 1) == 40 / 2**39
    assert sign_test(27, 12) == pytest.approx(0.0119, abs=5e-5)


def test_the_sign_test_at_its_ends() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(0, 7) == 1.0
    assert sign_test(7, 0) == 2.0**-7
    assert sign_test(5000, 4000) < 1e-20  # more pairs than a float has powers of two
    with pytest.raises(ValueError, match="not less than 0"):
        sign_test(-1, 3)


def some_targets(sizes: list[int], compositions: int, seed: int = 0) -> dict[str, dict[str, float]]:
    generator = np.random.default_rng(seed)
    latent = generator.normal(size=compositions)
    found = {}
    for number, size in enumerate(sizes):
        rows = generator.choice(compositions, size, replace=False)
        values = np.round(latent[rows] * generator.normal() + generator.normal(size=size), 1)
        found[f"t{number}"] = {f"c{row}": float(value) for row, value in zip(rows, values, strict=True)}
    return found


def test_correlations_are_those_of_scipy_over_common_compositions() -> None:
    from scipy.stats import pearsonr, spearmanr

    values = some_targets([300, 200, 150], 400)
    found = target_correlations(values)
    assert found.names == ("t0", "t1", "t2")
    for i, j in product(range(3), repeat=2):
        common = sorted(set(values[f"t{i}"]) & set(values[f"t{j}"]))
        a, b = ([values[f"t{k}"][composition] for composition in common] for k in (i, j))
        assert found.counts[i, j] == len(common)
        assert found.pearson[i, j] == pytest.approx(pearsonr(a, b).statistic, abs=1e-12)
        assert found.spearman[i, j] == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)  # values are rounded: ties


def test_too_few_common_compositions_have_no_correlation() -> None:
    shared = {f"c{n}": float(n) for n in range(FEWEST_COMMON)}
    fewer = dict(list(shared.items())[1:])
    found = target_correlations({"a": shared, "b": shared, "c": fewer})
    assert found.counts.tolist() == [[20, 20, 19], [20, 20, 19], [19, 19, 19]]
    assert found.pearson[0, 1] == pytest.approx(1.0)
    assert np.isnan(found.pearson[2]).all()
    assert np.isnan(found.spearman[2]).all()


def test_values_that_are_absent_or_do_not_vary_do_no_harm() -> None:
    rising = {f"c{n}": float(n) for n in range(30)}
    holed = rising | {f"c{n}": math.nan for n in range(5)}
    found = target_correlations({"rising": rising, "holed": holed, "same": dict.fromkeys(rising, 0.1), "none": {}})
    assert found.counts[0].tolist() == [30, 25, 30, 0]
    assert found.spearman[0, 1] == pytest.approx(1.0)
    assert np.isnan(found.pearson[0, 2])
    assert np.isnan(found.spearman[2, 2])
    assert np.isnan(found.pearson[3]).all()


def test_forty_one_targets_of_thirty_thousand_compositions_take_seconds() -> None:
    values = some_targets([2_000, *[28_000] * 3, *[15_000] * 5, *[10_000] * 32], 30_000)
    started = time.process_time()
    found = target_correlations(values)
    assert time.process_time() - started < 20.0
    assert found.counts.min() > FEWEST_COMMON


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
