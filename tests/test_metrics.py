from dataclasses import asdict

import numpy as np
import pytest

from matlake.metrics import (
    GroupBootstrap,
    Measure,
    bootstrap,
    mean_baseline,
    measure,
    measure_probabilities,
    measured_of_counts,
    percentile_interval,
)

NUMBERS = {"mae", "rmse", "r2", "q95", "spearman"}


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
    (counts,) = draws.row_counts()
    assert counts.shape == (20, 30)
    assert all(len(set(drawn[group])) == 1 for drawn in counts for group in (slice(5), slice(5, 15), slice(15, None)))
    resampled = [values[np.repeat(np.arange(30), drawn.astype(int))] for drawn in counts]
    assert draws.means(values) == pytest.approx([drawn.mean() for drawn in resampled])
    assert draws.means_of_all(np.stack([values, 2 * values]))[:, 1] == pytest.approx(2 * draws.means(values))


@pytest.mark.parametrize("measured", [measure, measure_probabilities])
@pytest.mark.parametrize("rows", [2, 3, 60])
def test_the_metrics_of_a_resample_are_those_of_its_rows(
    measured: Measure, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated and equal values, groups of unequal sizes, and resamples in which nothing varies."""
    monkeypatch.setattr("matlake.metrics._BLOCK_COUNTS", 7 * rows)  # several blocks, the last one shorter
    generator = np.random.default_rng(rows)
    classes = measured is measure_probabilities
    y = (generator.random(rows) < 0.4).astype(float) if classes else generator.normal(size=rows).round(1)
    predicted = generator.random(rows).round(1)
    draws = GroupBootstrap(generator.integers(max(rows // 2, 2), size=rows), seed=0, resamples=200)
    values = measured_of_counts(y, predicted, draws.row_counts(), probabilities=classes)
    expected = []
    for counts in (drawn for block in draws.row_counts() for drawn in block):
        of = np.repeat(np.arange(rows), counts.astype(int))
        expected.append(asdict(measured(y[of], predicted[of])))
    assert len(expected) == 200
    assert values.keys() == {
        name for name, value in asdict(measured(y, predicted)).items() if classes or name in NUMBERS
    }
    for name, found in values.items():
        wanted = np.array([one[name] for one in expected], dtype=float)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12, err_msg=name)


def test_two_errors_are_compared_over_the_same_resamples() -> None:
    errors = np.random.default_rng(0).exponential(size=200)
    draws = GroupBootstrap(np.arange(200), seed=0)
    assert percentile_interval(draws.means(1.1 * errors) / draws.means(errors)) == pytest.approx((1.1, 1.1))
