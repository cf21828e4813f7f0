import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlake.errors import TrainingError
from matlake.regress.splits import grouped_folds, split_rows, subsample

COMPOSITIONS = st.lists(st.integers(0, 40).map(str), min_size=60, max_size=200).filter(lambda g: len(set(g)) >= 10)


@given(groups=COMPOSITIONS, seed=st.integers(0, 1000))
def test_no_composition_is_on_both_sides_and_every_row_is_on_one(groups: list[str], seed: int) -> None:
    names = np.array(groups)
    train, test = split_rows("random", names, np.zeros(len(names)), seed)
    assert sorted([*train, *test]) == list(range(len(names)))
    assert not set(names[train]) & set(names[test])
    assert len(test)


def test_a_fifth_is_set_aside_the_same_one_for_the_same_seed() -> None:
    groups = np.array([f"g{i}" for i in range(100)])
    first, again, other = (split_rows("random", groups, np.zeros(100), seed)[1] for seed in (7, 7, 8))
    assert len(first) == 20
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_unknown_split_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(TrainingError, match="unknown split 'scaffold'") as caught:
        split_rows("scaffold", np.array(["a"]), np.zeros(1), 0)
    assert "random" in caught.value.hint


def test_many_rows_of_few_compositions_are_refused() -> None:
    groups = np.array(["a", "b", "c"] * 100)
    with pytest.raises(TrainingError, match="300 rows of only 3 different compositions"):
        split_rows("random", groups, np.zeros(300), 0)


@given(groups=COMPOSITIONS, folds=st.integers(2, 5))
def test_each_row_is_validated_on_once_and_apart_from_its_composition(groups: list[str], folds: int) -> None:
    names = np.array(groups)
    held = []
    for fit, validate in grouped_folds(names, folds, seed=1):
        assert not set(names[fit]) & set(names[validate])
        assert len(fit)
        assert len(validate)
        held += list(validate)
    assert sorted(held) == list(range(len(names)))


def test_a_subsample_holds_whole_compositions() -> None:
    groups = np.repeat([f"g{i}" for i in range(50)], 4)
    rows = subsample(groups, 41, seed=0)
    assert len(rows) == 40
    assert all(np.sum(groups == name) == np.sum(groups[rows] == name) for name in set(groups[rows]))
    assert len(subsample(groups, 1000, seed=0)) == 200
