import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import matrix_of

from matlake.errors import TrainingError
from matlake.regress.splits import grouped_folds, hold_out_groups, parse_split, subsample

GROUPS = st.lists(st.integers(0, 40).map(str), min_size=60, max_size=200).filter(lambda g: len(set(g)) >= 10)


def test_random_draws_the_same_fifth_of_compositions_as_version_0_1_did(gaps) -> None:
    split = parse_split("random")
    assert split.hold_out(gaps, 0).test[:8].tolist() == [1, 4, 6, 9, 13, 15, 26, 30]
    assert split.hold_out(gaps, 1).test[:8].tolist() == [3, 9, 20, 21, 25, 32, 35, 38]
    assert len(split.hold_out(gaps, 0).test) == round(0.2 * 1151)


def test_the_seed_decides(gaps) -> None:
    split = parse_split("random")
    first, again, other = (split.hold_out(gaps, seed).test for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_formula_is_another_name_for_random_as_compositions_are_never_parted() -> None:
    assert parse_split("formula").text == parse_split("random").text == "random"


def test_folds_test_each_row_once(gaps) -> None:
    for name in ("random", "chemical-system"):
        folds = list(parse_split(name).folds(gaps, 3))
        assert [fold.label for fold in folds] == [f"fold {number} of 5" for number in range(1, 6)]
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(gaps.y)))


def test_chemical_systems_are_never_parted(gaps) -> None:
    held = parse_split("chemical-system").hold_out(gaps, 0)
    systems = [frozenset(np.flatnonzero(row).tolist()) for row in gaps.fractions]
    train, test = ({systems[row] for row in rows} for rows in (held.train, held.test))
    assert not train & test
    assert len(test) == round(0.2 * len(train | test))
    assert len({gaps.groups[row] for row in held.test}) > len(test)


def test_few_compositions_are_refused_however_many_rows_there_are() -> None:
    with pytest.raises(TrainingError, match="300 rows of only 3 different compositions"):
        parse_split("random").hold_out(matrix_of(["Fe", "Co", "Ni"] * 100), 0)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups=GROUPS, seed=st.integers(0, 1000))
def test_no_group_is_on_both_sides_and_every_row_is_on_one(groups: list[str], seed: int) -> None:
    names = np.array(groups)
    train, test = hold_out_groups(names, seed)
    assert sorted([*train, *test]) == list(range(len(names)))
    assert not set(names[train]) & set(names[test])
    assert len(test)


@given(groups=GROUPS, folds=st.integers(2, 5))
def test_each_row_is_validated_on_once_and_apart_from_its_group(groups: list[str], folds: int) -> None:
    names = np.array(groups)
    held = []
    for fit, validate in grouped_folds(names, folds, seed=1):
        assert not set(names[fit]) & set(names[validate])
        assert len(fit)
        assert len(validate)
        held += list(validate)
    assert sorted(held) == list(range(len(names)))


def test_folds_hold_rare_classes_in_equal_shares_and_groups_whole() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.array([f"g{i}" for i in range(200)]), 2)
    rare = np.repeat((np.arange(200) < 10).astype(np.float64), 2)[np.argsort(rng.uniform(size=400))]
    mixed = rare.sum()
    for fit, held in grouped_folds(groups, 5, 3, rare):
        assert not set(groups[fit]) & set(groups[held])
        assert rare[held].sum() == pytest.approx(mixed / 5, abs=2)
    train, test = hold_out_groups(groups, 3, rare)
    assert rare[test].mean() == pytest.approx(rare[train].mean(), abs=0.03)


def test_a_subsample_holds_whole_groups() -> None:
    groups = np.repeat([f"g{i}" for i in range(50)], 4)
    rows = subsample(groups, 41, seed=0)
    assert len(rows) == 40
    assert all(np.sum(groups == name) == np.sum(groups[rows] == name) for name in set(groups[rows]))
    assert len(subsample(groups, 1000, seed=0)) == 200
