import numpy as np
import pytest

from matlake.regress.metrics import mean_baseline, measure


def test_errors_are_those_of_the_textbook() -> None:
    metrics = measure(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert metrics.mae == pytest.approx(1.0)
    assert metrics.rmse == pytest.approx((5 / 3) ** 0.5)
    assert metrics.r2 == pytest.approx(1 - 5 / 8)


def test_r2_is_left_open_where_nothing_varies() -> None:
    assert measure(np.ones(3), np.zeros(3)).r2 is None


def test_the_baseline_knows_only_the_training_rows() -> None:
    baseline = mean_baseline(np.array([0.0, 2.0]), np.array([1.0, 5.0]))
    assert baseline.mae == pytest.approx(2.0)
