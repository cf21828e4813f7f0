import numpy as np
import pytest

from matlake.metrics import GroupBootstrap, bootstrap, mean_baseline, measure, percentile_interval


def test_errors_are_those_of_the_textbook() -> None:
    metrics = measure(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert metrics.mae == pytest.approx(1.0)
    assert metrics.rmse == pytest.approx((5 / 3) ** 0.5)
    assert metrics.r2 == pytest.approx(1 - 5 / 8)

    assert metrics.q95 == pytest.approx(1.9)
    assert metrics.spearman == pytest.approx(3**0.5 / 2)


def test_what_needs_variation_is_left_open_where_nothing_varies() -> None:
    metrics = measure(np.ones(3), np.zeros(3))
    assert metrics.r2 is None
    assert metrics.spearman is None


def test_a_bootstrap_interval_holds_the_metric_and_narrows_with_the_rows() -> None:
    generator = np.random.default_rng(0)
    widths = []
    for rows in (50, 5000):
        y = generator.normal(size=rows)
        predicted = y + generator.normal(size=rows)
        low, high = bootstrap(y, predicted, np.arange(rows).astype(np.str_), seed=0)["mae"]
        assert low < measure(y, predicted).mae < high
        widths.append(high - low)
    # the standard error of a mean of |N(0, 1)| is 0.603 / sqrt(n), and 95 % are within 1.96 of them
    assert widths == pytest.approx([2 * 1.96 * 0.603 / 50**0.5, 2 * 1.96 * 0.603 / 5000**0.5], rel=0.25)


def test_rows_of_one_composition_are_drawn_together() -> None:
    y = np.repeat(np.random.default_rng(1).normal(size=40), 25)
    predicted = np.zeros(1000)
    alone = bootstrap(y, predicted, np.arange(1000).astype(np.str_), seed=0)["mae"]
    together = bootstrap(y, predicted, np.repeat(np.arange(40), 25).astype(np.str_), seed=0)["mae"]
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])
    assert bootstrap(y, predicted, np.arange(1000).astype(np.str_), seed=0)["mae"] == alone


def test_the_baseline_knows_only_the_training_rows() -> None:
    baseline = mean_baseline(np.array([0.0, 2.0]), np.array([1.0, 5.0]))
    assert baseline.mae == pytest.approx(2.0)


def test_means_are_those_of_the_rows_drawn() -> None:
    values = np.random.default_rng(0).normal(size=30)
    draws = GroupBootstrap(np.repeat(["a", "b", "c"], [5, 10, 15]), seed=[1, 2], resamples=20)
    assert draws.means(values) == pytest.approx([values[rows].mean() for rows in draws.rows()])
    assert all(np.bincount(rows, minlength=30)[:5].min() == np.bincount(rows)[:5].max() for rows in draws.rows())


def test_two_errors_are_compared_over_the_same_resamples() -> None:
    errors = np.random.default_rng(0).exponential(size=200)
    draws = GroupBootstrap(np.arange(200), seed=0)
    assert percentile_interval(draws.means(1.1 * errors) / draws.means(errors)) == pytest.approx((1.1, 1.1))
