import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor

from matlake.regress.regressors import MODELS, fit_model

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def test_neighbours_equal_those_of_scikit_learn(vectors: Vectors) -> None:
    x, y = vectors
    _, distinct = np.unique(x, axis=0, return_index=True)
    fitted = fit_model(MODELS["knn"], {"n_neighbors": 5}, x[distinct], y[distinct], seed=0)
    assert fitted.scaler is not None
    peer = KNeighborsRegressor(5).fit(fitted.scaler.transform(x[distinct]), y[distinct])
    asked = x + np.float32(0.01)  # off the points, so that none is equally far from two
    assert fitted.predict(asked) == pytest.approx(peer.predict(fitted.scaler.transform(asked)))


def test_equal_points_are_one_with_their_mean_target(vectors: Vectors) -> None:
    x, y = vectors
    twice = fit_model(
        MODELS["knn"], {"n_neighbors": 1}, np.concatenate([x, x[:1]]), np.concatenate([y, y[:1] + 2.0]), seed=0
    )
    assert twice.predict(x[:1]) == pytest.approx(y[:1] + 1.0)


def test_all_points_are_averaged_where_there_are_too_few(vectors: Vectors) -> None:
    x, y = vectors
    few = fit_model(MODELS["knn"], {"n_neighbors": 10}, x[:4], y[:4], seed=0)
    assert few.predict(x) == pytest.approx(y[:4].mean())
