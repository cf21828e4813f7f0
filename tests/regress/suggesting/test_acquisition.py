"""What a measurement is worth, against plain sampling; and batches that do not ask twice."""

import numpy as np
import pytest

from matlake.errors import HeadError
from matlake.regress.suggesting.acquisition import (
    ERROR_TO_SPREAD,
    Goal,
    Wanted,
    expected_excess,
    probability_below,
    spreads_of,
)
from matlake.regress.suggesting.batch import best_values, farthest, largest_errors

VALUES = np.array([1.0, 2.0, 2.9, 3.5])
SPREADS = np.array([2.0, 0.5, 0.05, 1.0])
SAMPLES = np.random.default_rng(0).normal(size=(400_000, 1))
BEST = 3.0


def sampled() -> np.ndarray:
    return VALUES + SPREADS * SAMPLES


@pytest.mark.parametrize(
    ("goal", "improvement"),
    [
        (Goal(), lambda y: np.maximum(0.0, y - BEST)),
        (Goal(Wanted.LOWEST), lambda y: np.maximum(0.0, BEST - y)),
        (Goal(Wanted.NEAR, 2.5), lambda y: np.maximum(0.0, 0.5 - np.abs(y - 2.5))),
        (Goal(Wanted.BETWEEN, 2.0, 3.2), lambda y: (y > 2.0) & (y < 3.2)),
    ],
    ids=["highest", "lowest", "near", "between"],
)
def test_worth_is_the_mean_improvement(goal: Goal, improvement: object) -> None:
    expected = improvement(sampled()).mean(axis=0)  # type: ignore[operator]
    assert np.allclose(goal.worth(VALUES, SPREADS, BEST), expected, atol=4e-3)
    better = (improvement(sampled()) > 0).mean(axis=0)  # type: ignore[operator]
    assert np.allclose(goal.chance(VALUES, SPREADS, BEST), better, atol=4e-3)


def test_without_spread_only_what_is_better_is_worth_something() -> None:
    assert expected_excess(VALUES, np.zeros(4), BEST).tolist() == [0.0, 0.0, 0.0, 0.5]
    assert probability_below(BEST, VALUES, np.zeros(4)).tolist() == [1.0, 1.0, 1.0, 0.0]


def test_the_best_known_value_depends_on_the_goal() -> None:
    measured = np.array([0.5, 2.0, 4.0])
    found = [Goal().best(measured), Goal(Wanted.LOWEST).best(measured), Goal(Wanted.NEAR, 2.4).best(measured)]
    assert found == [4.0, 0.5, 2.0]


def test_goals_that_make_no_sense_are_refused() -> None:
    with pytest.raises(HeadError, match="several goals"):
        Goal.of(minimise=True, near=1.0)
    with pytest.raises(HeadError, match="is empty"):
        Goal.of(between=(2.0, 1.0))
    with pytest.raises(HeadError, match="yes/no"):
        Goal.of(near=1.0).of_classes()
    assert Goal.of(minimise=True).of_classes().worth(VALUES / 4, SPREADS, 0.0).tolist() == (1 - VALUES / 4).tolist()


def test_spreads_come_from_expected_errors_and_else_from_the_longer_half_of_the_interval() -> None:
    nan = np.nan
    values, lower, upper = np.array([0.1, 1.0, 5.0]), np.array([0.0, 0.0, nan]), np.array([1.745, 1.5, nan])
    errors = np.array([nan, 0.2, nan])
    found = spreads_of(values, lower, upper, errors, 0.9)
    assert found[:2] == pytest.approx([1.0, 0.2 * ERROR_TO_SPREAD], abs=1e-3)
    assert np.isnan(found[2])


def test_a_batch_does_not_ask_twice() -> None:
    coordinates = np.array([[0.0], [0.01], [0.02], [5.0]], dtype=np.float32)
    values, spreads = np.array([3.0, 2.99, 2.98, 2.5]), np.ones(4)
    alone = Goal().worth(values, spreads, 2.0)
    assert np.argsort(-alone)[:3].tolist() == [0, 1, 2]
    places, scores = best_values(Goal(), values, spreads, coordinates, 2.0, 2)
    assert places == [0, 3]
    assert scores[0] == pytest.approx(alone[0])
    assert scores[1] < alone[3], "the first is taken to be as good as predicted"
    assert largest_errors(np.array([1.0, 0.99, 0.98, 0.5]), coordinates, 4)[0][:2] == [0, 3]


def test_the_farthest_are_far_from_what_is_known_and_from_each_other() -> None:
    coordinates = np.array([[0.0], [1.0], [9.0], [10.0], [6.0]], dtype=np.float32)
    places, distances = farthest(coordinates, np.array([[0.0]], dtype=np.float32), 9)
    assert places[:2] == [3, 4]
    assert distances[:3] == [10.0, 4.0, 1.0]
    assert sorted(places) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("goal", [Goal(Wanted.LIKELY), Goal(Wanted.UNLIKELY)])
def test_choosing_leaves_the_probabilities_as_they_are(goal: Goal) -> None:
    values = np.array([0.2, 0.9, 0.5, 0.95])
    given = values.copy()
    chosen, worth = best_values(goal, values, np.ones(4), np.zeros((4, 2), dtype=np.float32), 1.0, 4)
    assert np.array_equal(values, given)
    assert sorted(chosen) == [0, 1, 2, 3]
    assert np.allclose(worth, goal.worth(given, np.ones(4), 1.0)[chosen])


@pytest.mark.parametrize("near", [np.nan, np.inf])
def test_no_value_is_near_one_that_is_not_finite(near: float) -> None:
    with pytest.raises(HeadError, match="no value is near"):
        Goal.of(near=near)
