"""A hurdle model says which materials have the value that many share, and how large it is where they have not."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from matlake.regress.heads.card import Budget, parameter_text
from matlake.regress.heads.model_search import search_model
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import LabelledRows, fit_model
from matlake.regress.regressors.ensemble import ensemble_model, ensemble_parameters
from matlake.regress.regressors.hurdle import HURDLE, Hurdle, repeated_share

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def quick(spread: float = 0.3) -> dict[str, object]:
    part = {"model": "extra-trees", "parameters": {"n_estimators": 15, "max_features": "sqrt", "min_samples_leaf": 2}}
    return {"probability": part, "others": part, "spread": spread}


@pytest.fixture(scope="module")
def hurdle(vectors: Vectors) -> Hurdle:
    x, y = vectors
    regressor = fit_model(HURDLE, quick(), x[:240], y[:240], seed=0).regressor
    assert isinstance(regressor, Hurdle)
    return regressor


def test_metals_are_exactly_zero_and_insulators_are_not(vectors: Vectors) -> None:
    x, y = vectors
    assert 0.3 < repeated_share(y) < 0.7  # half of the gaps are zero
    fitted = fit_model(HURDLE, quick(), x[:240], y[:240], seed=0)
    predicted, metal = fitted.predict(x[240:]), fitted.regressor.probabilities(x[240:]) >= 0.5
    assert np.abs(predicted[metal]).max() < 1e-12
    assert predicted[~metal].min() > 0.0


def test_the_prediction_is_the_median_of_the_mixture(hurdle: Hurdle, vectors: Vectors) -> None:
    x = vectors[0][240:]
    p, middle = hurdle.probabilities(x), hurdle.others.predict(x) - hurdle.repeated
    rng = np.random.default_rng(0)
    for row in (0, 7, 20, 33):
        others = middle[row] * np.exp(rng.laplace(scale=hurdle.spread, size=200_000))
        mixture = np.where(rng.uniform(size=len(others)) < p[row], 0.0, others)
        there = hurdle.predict(x[row : row + 1])[0] - hurdle.repeated
        assert there == pytest.approx(np.median(mixture), rel=0.05, abs=0.02)


def test_a_hurdle_and_a_mean_of_them_survive_the_conversion(vectors: Vectors) -> None:
    x, y = vectors
    mean = ensemble_model(ensemble_parameters([("hurdle", quick(), 0.5), ("ridge", {"alpha": 10.0}, 0.5)]))
    for model, parameters in ((HURDLE, quick(0.6)), (mean, mean.grid(x.shape[1])[0])):
        fitted = fit_model(model, parameters, x[:240], y[:240], seed=0)
        content = convert(fitted, x.shape[1])
        assert check_parity(content, fitted, x) <= 1e-9
        assert onnx.load_model_from_string(content).graph.output[0].name == "value"


@pytest.mark.parametrize("y", [np.zeros(40), np.arange(40.0), np.r_[np.zeros(39), 1.0]], ids=["one", "none", "two"])
def test_values_that_are_all_equal_or_all_different_break_nothing(y: NDArray[np.float64], vectors: Vectors) -> None:
    x = vectors[0][:40]
    assert np.isfinite(fit_model(HURDLE, quick(), x, y, seed=0).predict(x)).all()


def test_weights_reach_both_parts(vectors: Vectors) -> None:
    x, y = vectors[0][:120], vectors[1][:120]
    weights = np.where(np.arange(120) % 3 == 0, 5.0, 1.0)
    plain, weighted = (fit_model(HURDLE, quick(), x, y, 0, weights=each).regressor for each in (None, weights))
    assert not np.array_equal(plain.probabilities(x), weighted.probabilities(x))
    assert not np.array_equal(plain.others.predict(x), weighted.others.predict(x))


def test_auto_tries_it_where_many_values_are_equal_and_nowhere_else(vectors: Vectors) -> None:
    x, y = vectors[0][:90, :16], vectors[1][:90]
    groups = np.arange(90).astype(str)
    budget = Budget(fits=7)
    for values, expected in ((y, True), (y + np.arange(90.0), False)):
        search = search_model("auto", LabelledRows(x, values, groups), 0, budget=budget).search
        assert ("hurdle" in {candidate.model for candidate in search.candidates}) is expected


def test_its_parts_are_named_in_words() -> None:
    text = parameter_text(HURDLE.grid(100)[0])
    assert text.startswith("probability=extra-trees(n_estimators=100")
    assert text.endswith("spread=0.3")
