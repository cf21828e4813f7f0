"""Scores become probabilities by maximum likelihood, whatever their scale."""

import numpy as np
import pytest
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression

from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.link import Link, fit_link
from matlake.regress.targets.target_space import TargetSpace


def drawn(rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=rows)
    return scores, (rng.uniform(size=rows) < 1.0 / (1.0 + np.exp(1.0 - 2.0 * scores))).astype(np.float64)


def test_a_link_is_platts() -> None:
    scores, y = drawn()
    link = fit_link(scores, y)
    slope, intercept = _sigmoid_calibration(scores, y)  # with the opposite sign
    assert (link.slope, link.intercept) == pytest.approx((-slope, -intercept), rel=1e-4)


def test_a_shift_and_a_scale_of_scores_change_no_probability() -> None:
    scores, y = drawn()
    there = fit_link(scores, y).probabilities(scores)
    shifted = 1e4 * scores + 1e6
    assert fit_link(shifted, y).probabilities(shifted) == pytest.approx(there, abs=1e-6)


def test_weights_count_as_repetitions_do() -> None:
    scores, y = drawn()
    weights = np.where(y > 0.0, 3.0, 1.0)
    repeated = np.repeat(np.arange(len(y)), weights.astype(int))
    slope = LogisticRegression(C=np.inf).fit(scores[repeated, None], y[repeated]).coef_[0, 0]
    assert fit_link(scores, y, weights).slope == pytest.approx(slope, rel=0.03)  # Platt's targets are not quite 0 and 1


def test_classes_that_scores_separate_get_finite_probabilities() -> None:
    scores, y = np.array([0.0, 0.1, 0.9, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])
    probabilities = fit_link(scores, y).probabilities(scores)
    assert probabilities == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=0.03)  # 1 / (2 + 2) and 3 / (2 + 2)


@pytest.mark.parametrize("scores", [np.zeros(4), np.array([1.0, 0.9, 0.1, 0.0])], ids=["constant", "reversed"])
def test_scores_that_say_nothing_leave_the_share_of_yes(scores: np.ndarray) -> None:
    link = fit_link(scores, np.array([0.0, 0.0, 1.0, 1.0]))
    assert link.probabilities(scores) == pytest.approx(np.full(4, 0.5), abs=1e-6)


def test_huge_scores_do_not_overflow() -> None:
    assert Link(1.0, 0.0).probabilities(np.array([-1e308, 1e308])).tolist() == [0.0, 1.0]


def test_a_search_compares_scores_by_what_they_know_and_not_by_their_scale() -> None:
    scores, y = drawn()
    space = TargetSpace(kind=Kind.YES_NO)
    noise = scores + np.random.default_rng(1).normal(size=len(y))
    assert space.loss(y, scores) == pytest.approx(space.loss(y, 7.0 * scores - 3.0), abs=1e-6)
    assert space.loss(y, scores) < space.loss(y, noise)
