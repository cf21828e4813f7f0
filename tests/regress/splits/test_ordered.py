import numpy as np
import pytest
from matrices import matrix_of
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.splits import HeldOut, parse_split
from matlake.regress.splits.ordered import find_cut

METALS = "Li Be Na Mg Al K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Rb Sr".split()


def by_time(text: str, values: list[object] | NDArray[np.generic], formulas: list[str] = METALS) -> HeldOut:
    column = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    return parse_split(text).hold_out(matrix_of(formulas, columns={"when": column}), 0)


def test_every_tested_value_lies_beyond_every_value_trained_on(gaps) -> None:
    high, low = (parse_split(f"value:{end}").hold_out(gaps, 0) for end in ("high", "low"))
    assert gaps.y[high.test].min() > gaps.y[high.train].max()
    assert gaps.y[low.test].max() < gaps.y[low.train].min()
    assert len(high.test) == pytest.approx(0.2 * len(gaps.y), rel=0.02)


def test_ties_stay_on_one_side(gaps) -> None:
    held = parse_split("value:low").hold_out(gaps, 0)
    assert set(gaps.y[held.test].tolist()) == {0.0}, "metals are more than half of the rows, all of 0 eV"
    assert len(held.test) == np.sum(gaps.y == 0)


def test_a_polymorph_of_what_is_tested_does_not_train() -> None:
    held = parse_split("value:high").hold_out(matrix_of([*METALS, "Sr"], [*map(float, range(20)), 0.5]), 0)
    assert held.test.tolist() == [16, 17, 18, 19]
    assert held.dropped.tolist() == [20]
    assert held.description.endswith("leaves out 1 whose composition is tested")


@pytest.mark.parametrize(
    ("values", "share", "cut"),
    [([1, 2, 3, 4, 5], 0.2, 4), ([1, 1, 1, 1, 2, 2, 3, 3, 3, 3], 0.2, 2), ([0, 0, 0, 0, 0, 0, 9], 0.2, 0)],
)
def test_the_cut_leaves_the_share_that_ties_allow(values: list[int], share: float, cut: int) -> None:
    assert find_cut(np.array(values), share) == cut


def test_equal_values_cannot_be_cut() -> None:
    with pytest.raises(TrainingError, match=r"all 3 rows have 2\.5"):
        find_cut(np.array([2.5, 2.5, 2.5]), 0.2)


def test_the_newest_fifth_is_tested() -> None:
    years = np.arange(2000, 2020)
    held = by_time("time:when", years)
    assert years[held.test].tolist() == [2016, 2017, 2018, 2019]
    assert held.label == "after 2015"


def test_what_comes_after_a_year_is_tested() -> None:
    assert by_time("time:when>2012", np.arange(2000, 2020)).test.tolist() == list(range(13, 20))


@pytest.mark.parametrize(
    "dates",
    [
        np.datetime64("2020-01-01") + np.arange(20) * np.timedelta64(30, "D"),
        [str(np.datetime64("2020-01-01") + day) for day in range(0, 600, 30)],
    ],
)
def test_dates_and_text_of_dates_are_times(dates: NDArray[np.datetime64] | list[object]) -> None:
    assert by_time("time:when", dates).test.tolist() == [16, 17, 18, 19]
    assert by_time("time:when>2021-01-01", dates).test.tolist() == list(range(13, 20))


def test_rows_without_a_time_are_left_out_and_counted() -> None:
    years = np.arange(2000.0, 2020.0)
    years[[0, 19]] = np.nan
    held = by_time("time:when", years)
    assert held.dropped.tolist() == [0, 19]
    assert "leaves out 2 without when" in held.description
    texts = [None, *(f"{year}" for year in range(2001, 2019)), None]
    assert by_time("time:when", texts).dropped.tolist() == [0, 19]


def test_what_was_known_before_is_no_discovery_after() -> None:
    held = by_time("time:when", np.array([*range(2000, 2020), 2021]), [*METALS, "Li"])
    assert held.dropped.tolist() == [20]
    assert 0 in held.train
    assert held.description.endswith("leaves out 1 whose composition is trained on")


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(TrainingError, match="column 'when' does not hold times"):
        by_time("time:when", ["soon"] * 20)
    with pytest.raises(TrainingError, match="'May' cannot be compared with when") as caught:
        by_time("time:when>May", np.arange(20))
    assert "number" in caught.value.hint
    with pytest.raises(TrainingError, match="when is null in all 20 rows"):
        by_time("time:when", [None] * 20)
    with pytest.raises(TrainingError, match="20 to train on and 0 to test on"):
        by_time("time:when>2030", np.arange(2000, 2020))
