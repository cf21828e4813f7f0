"""Sets of labels hold the right one for nine of ten materials of each class."""

import numpy as np
import pytest

from matlake.regress.classification.calibration import calibrate_sets
from matlake.regress.classification.label_sets import EITHER, NO, YES, LabelSets, labels


def drawn(rng: np.random.Generator, rows: int, yes_share: float) -> tuple[np.ndarray, np.ndarray]:
    y = (rng.uniform(size=rows) < yes_share).astype(np.float64)
    return 1.0 / (1.0 + np.exp(-(rng.normal(size=rows) + 2.0 * y - 1.0))), y


@pytest.mark.parametrize("yes_share", [0.5, 0.05])
def test_each_class_is_covered_however_rare(yes_share: float) -> None:
    rng, covered = np.random.default_rng(0), []
    for _ in range(200):
        sets = calibrate_sets(*drawn(rng, 400, yes_share))
        probabilities, y = drawn(rng, 400, yes_share)
        yes, no = sets.holds(probabilities)
        covered.append((yes[y > 0].mean(), no[y == 0].mean()))
    of_yes, of_no = np.mean(covered, axis=0)
    assert of_yes >= 0.89
    assert 0.89 <= of_no <= 0.92  # no wider than needed


def test_no_set_is_empty() -> None:
    sets = LabelSets(0.9, yes_from=0.8, no_up_to=0.2, yes_rows=100, no_rows=100)
    probabilities = np.array([0.1, 0.4, 0.6, 0.9])
    assert sets.names(probabilities).tolist() == [NO, NO, YES, YES]


def test_what_cannot_be_excluded_is_in_the_set() -> None:
    sets = LabelSets(0.9, yes_from=0.3, no_up_to=0.7, yes_rows=100, no_rows=100)
    probabilities = np.array([0.1, 0.3, 0.5, 0.7, 0.71])
    assert sets.names(probabilities).tolist() == [NO, EITHER, EITHER, EITHER, YES]
    assert labels(probabilities).tolist() == [NO, NO, YES, YES, YES]


def test_few_rows_of_a_class_lower_the_level_and_break_nothing() -> None:
    sets = calibrate_sets(np.array([0.9, 0.8, 0.1, 0.2, 0.3]), np.array([1.0, 1.0, 0.0, 0.0, 0.0]))
    assert sets.level < 0.7
    assert (sets.yes_rows, sets.no_rows) == (2, 3)
    assert sets.yes_from == pytest.approx(0.8)
