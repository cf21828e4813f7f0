"""Weights of rows: as many equal rows would do, where that is exact, and refused where a model takes none."""

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.regressors import MODELS, fit_model

ROWS, FEATURES = 80, 24
_EXACT = ("ridge", "linear", "lasso", "elastic-net", "svr", "svr-linear", "svr-rbf", "kernel-ridge")
_WEIGHTED = {name for name, model in MODELS.items() if model.weighted}


@pytest.fixture
def rows(vectors: tuple[NDArray[np.float32], NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Standardised embeddings and gaps of real compounds."""
    x, y = vectors
    varying = np.flatnonzero(x.std(axis=0) > 0)[:FEATURES]
    z = x[:ROWS, varying].astype(np.float64)
    return (z - z.mean(axis=0)) / (z.std(axis=0) + 1e-9), (y[:ROWS] - y[:ROWS].mean()) / y[:ROWS].std()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", _EXACT)
def test_integer_weights_are_repeated_rows(name: str, rows: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    z, y = rows
    counts = np.random.default_rng(0).integers(1, 4, len(z))
    model = MODELS[name]
    parameters = model.grid(z.shape[1])[0]
    weighted = model.fit(parameters, z.copy(), y, 0, counts.astype(np.float64)).predict(z)
    repeated = model.fit(parameters, np.repeat(z, counts, axis=0), np.repeat(y, counts), 0, None).predict(z)
    tolerance = 2e-2 if name.startswith("svr") else 2e-3  # libsvm ends within 1e-3 of the gradient
    np.testing.assert_allclose(weighted, repeated, atol=tolerance)
    assert np.abs(weighted - model.fit(parameters, z.copy(), y, 0, None).predict(z)).max() > tolerance


@pytest.mark.parametrize("name", sorted(_WEIGHTED - {"hurdle"}))
def test_predictions_follow_the_rows_that_weigh_most(
    name: str, rows: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    z, y = rows
    x, labels = np.repeat(z.astype(np.float32), 2, axis=0), np.repeat(y, 2)
    high = np.arange(len(labels)) % 2 == 0  # each row twice, once with a label that is higher by 3
    parameters = MODELS[name].grid(z.shape[1])[0]

    def mean(heavy: NDArray[np.bool_]) -> float:
        weights = np.where(heavy, 1.8, 0.2)
        fitted = fit_model(MODELS[name], parameters, x, labels + 3.0 * high, 0, weights=weights)
        return float(fitted.predict(x).mean())

    assert mean(high) > mean(~high) + 0.1


def test_rows_of_weight_zero_do_not_count(rows: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    z, y = rows
    x, weights = z.astype(np.float32), np.arange(len(y)) % 2.0
    model = MODELS["kernel-ridge"]
    parameters = model.grid(z.shape[1])[0]
    fitted = fit_model(model, parameters, x, y, 0, weights=weights).predict(x)
    np.testing.assert_allclose(fitted, fit_model(model, parameters, x[1::2], y[1::2], 0).predict(x), rtol=1e-9)


def test_models_without_weights_refuse_them(rows: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    z, y = rows
    with pytest.raises(TrainingError, match="knn takes no weights"):
        fit_model(MODELS["knn"], {"n_neighbors": 5}, z.astype(np.float32), y, 0, weights=np.ones(len(y)))
    assert "mlp" not in _WEIGHTED
