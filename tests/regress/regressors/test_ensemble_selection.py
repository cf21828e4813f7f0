"""Weights of a mean of predictions."""

import numpy as np

from matlake.regress.regressors.ensemble_selection import choose_members


def test_opposite_errors_are_averaged() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    weights = choose_members(y, np.stack([y + 1.0, y - 1.0, y + 3.0]))
    assert weights.tolist() == [0.5, 0.5, 0.0]


def test_one_that_is_right_is_left_alone() -> None:
    y = np.array([1.0, 2.0, 3.0])
    assert choose_members(y, np.stack([y + 0.5, y])).tolist() == [0.0, 1.0]


def test_weights_are_shares() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    predictions = y + rng.normal(size=(6, 200)) * np.array([[1.0], [1.1], [1.2], [2.0], [3.0], [9.0]])
    weights = choose_members(y, predictions)
    assert weights.sum() == 1.0
    assert np.abs(weights @ predictions - y).mean() < np.abs(predictions - y).mean(axis=1).min()
    assert weights[5] == 0.0
