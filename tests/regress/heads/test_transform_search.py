"""The choice of a scale: by cross-validation, for positive and skewed labels, a stronger one only if clearly better."""

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.heads.transform_search import SKEWED, check_transform, choose_transform, skewness
from matlake.regress.regressors import LabelledRows
from matlake.regress.targets.transforms import Transform

ROWS = 150


def _rows(vectors: tuple[NDArray[np.float32], NDArray[np.float64]], power: float) -> LabelledRows:
    """Embeddings of real compounds, and labels whose logarithm is a plane of them, up to noise."""
    x = vectors[0][:ROWS]
    z = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    rng = np.random.default_rng(0)
    plane = z @ rng.normal(size=z.shape[1])
    y = np.exp(power * plane / plane.std() + rng.normal(0.0, 0.05, ROWS))
    return LabelledRows(x, y, np.arange(ROWS).astype(str))


def test_labels_over_decades_are_learned_as_logarithms(
    vectors: tuple[NDArray[np.float32], NDArray[np.float64]],
) -> None:
    rows = _rows(vectors, 4.0)
    choice = choose_transform(rows, (rows.x.shape[1],), 0)
    assert choice is not None
    assert choice.chosen is Transform.LOG
    assert choice.errors["log"] < choice.errors["sqrt"] < choice.errors["none"]
    assert choice.rows == ROWS
    assert choose_transform(rows, (rows.x.shape[1],), 0) == choice
    assert "learned as its logarithm" in choice.line("GPa")


def test_labels_that_are_not_positive_or_not_skewed_or_few_are_learned_as_they_are(
    vectors: tuple[NDArray[np.float32], NDArray[np.float64]],
) -> None:
    rows = _rows(vectors, 2.0)
    with_zero = LabelledRows(rows.x, np.where(np.arange(ROWS) == 3, 0.0, rows.y), rows.groups)
    even = LabelledRows(rows.x, 5.0 + np.arange(ROWS) / ROWS, rows.groups)
    for none in (with_zero, even, rows.take(np.arange(90))):
        assert choose_transform(none, (rows.x.shape[1],), 0) is None


def test_skewness_is_the_mean_cube_of_standardised_labels() -> None:
    from scipy.stats import skew

    labels = np.random.default_rng(0).gamma(2.0, size=200)
    assert skewness(labels) == pytest.approx(skew(labels))
    assert skewness(labels) > SKEWED
    assert skewness(np.ones(5)) == 0.0


def test_labels_without_a_value_on_the_scale_are_counted() -> None:
    check_transform(np.array([0.0, 1.0]), Transform.SQRT, "y")
    with pytest.raises(TrainingError, match="1 of 2 labels of y are not positive, such as 0: they have no log"):
        check_transform(np.array([0.0, 1.0]), Transform.LOG, "y")
    with pytest.raises(TrainingError, match="1 of 2 labels of y are negative, such as -1: they have no sqrt"):
        check_transform(np.array([-1.0, 1.0]), Transform.SQRT, "y")
