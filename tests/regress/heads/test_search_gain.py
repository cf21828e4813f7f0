"""What a longer search would gain is read from what shorter ones would have missed."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from matlake.regress.heads.card import Budget, Limit, Search
from matlake.regress.heads.model_search import search_model
from matlake.regress.heads.search_gain import expected_gain
from matlake.regress.regressors import AUTO_MODELS, LabelledRows


def best_of(errors: Sequence[float]) -> Callable[[Sequence[int]], float]:
    return lambda numbers: min(errors[number] for number in numbers)


def test_draws_that_are_no_better_than_the_defaults_promise_nothing() -> None:
    assert expected_gain(best_of([1.0] + [1.5] * 8), [0], range(1, 9), 2.0) == 0.0


def test_half_of_what_the_last_doubling_brought_is_expected_of_the_next() -> None:
    """One of eight draws halves the error, so a random half of the draws has it in half of all cases."""
    gain = expected_gain(best_of([1.0, 0.5] + [1.5] * 7), [0], range(1, 9), 2.0)
    assert gain == pytest.approx(0.5 * (1.0 - 0.5 / 0.75), rel=0.3)
    assert expected_gain(best_of([1.0, 0.5] + [1.5] * 7), [0], range(1, 9), 4.0) == pytest.approx(2.0 * gain)


def test_dropped_candidates_count_as_draws() -> None:
    all_of_use = expected_gain(best_of([1.0, 0.9, 0.8, 0.7, 0.6]), [0], [1, 2, 3, 4], 2.0)
    few_of_use = expected_gain(best_of([1.0, 0.9, 0.8, 0.7, 0.6]), [0], [1, 2, 3, 4, *[None] * 20], 2.0)
    assert all_of_use is not None
    assert few_of_use is not None
    assert 0.0 < all_of_use < few_of_use


def test_a_trend_of_three_draws_is_none() -> None:
    assert expected_gain(best_of([1.0, 0.9, 0.8, 0.7]), [0], [1, 2, 3], 2.0) is None


def test_a_search_says_what_as_many_fits_again_would_gain() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    labelled = LabelledRows(x, np.sin(2.0 * x[:, 0]) + x[:, 1], np.arange(60).astype(str))
    few, more = (search_model("auto", labelled, 0, budget=Budget(fits)).search for fits in (len(AUTO_MODELS), 45))
    assert (few.expected_gain, few.outlook) == (None, None)
    assert more.expected_gain is not None
    assert 0.0 <= more.expected_gain < 0.5
    assert more.outlook is not None
    assert more.outlook.startswith("another 45 fits would lower the cross-validated error by ")
    assert more.document()["expected_gain"] == more.expected_gain


def test_a_small_gain_is_not_given_as_a_number() -> None:
    search = Search((), 3, 100, 45, Budget(45), Limit.FITS, 0.004)
    assert search.outlook == "another 45 fits would lower the cross-validated error by less than 0.5 %"
