import numpy as np
import pytest
from numpy.typing import NDArray
from quick_models import QUICK

from matlake.regress.regressors import MODELS, fit_model
from matlake.regress.regressors.scaling import LIMIT, fit_scaler

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def test_the_scaler_has_seen_the_training_rows_only(vectors: Vectors) -> None:
    x, y = vectors
    scaler = fit_model(MODELS["ridge"], {"alpha": 1.0}, x[:200], y[:200], seed=0).scaler
    assert scaler is not None
    assert scaler.mean == pytest.approx(x[:200].mean(axis=0, dtype=np.float64), abs=1e-6)
    assert scaler.mean != pytest.approx(x.mean(axis=0, dtype=np.float64), abs=1e-3)


def test_features_are_standardised_and_constant_ones_only_centred(vectors: Vectors) -> None:
    x = np.concatenate([vectors[0], np.full((len(vectors[0]), 1), 0.1, np.float32)], axis=1)
    scaler = fit_scaler(x)
    scaled = scaler.transform(x)
    constant = np.ptp(x, axis=0) == 0
    assert constant[-1]
    assert np.all(scaler.scale[constant] == 1.0)
    assert np.abs(scaled[:, constant]).max() < 1e-6
    assert scaler.scale[~constant] == pytest.approx(x[:, ~constant].std(axis=0), rel=1e-4)
    assert np.array_equal(scaler.transform(x), scaled)


def test_a_feature_that_training_rows_hardly_vary_cannot_carry_a_prediction_away(vectors: Vectors) -> None:
    x, y = vectors[0].copy(), vectors[1]
    x[:, 0] = 0.0
    x[np.argmax(y), 0] = 1e-4
    odd = x[:1].copy()
    odd[0, 0] = 1.0
    for name in ("linear", "svr", "mlp"):
        fitted = fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x, y, seed=0)
        assert fitted.scaler is not None
        assert np.abs(fitted.scaler.transform(odd)).max() <= LIMIT
        assert abs((fitted.predict(odd) - fitted.predict(x[:1])).item()) < 10.0 * np.ptp(y)


def test_predictions_are_in_the_unit_of_the_target(vectors: Vectors) -> None:
    x, y = vectors
    plain, other = (
        fit_model(MODELS["ridge"], {"alpha": 10.0}, x, target, seed=0).predict(x) for target in (y, 1000.0 * y + 5.0)
    )
    assert other == pytest.approx(1000.0 * plain + 5.0)


def test_a_constant_target_is_predicted_as_it_is(vectors: Vectors) -> None:
    x = vectors[0][:30]
    for model in QUICK.values():
        fitted = fit_model(model, model.grid(x.shape[1])[0], x, np.full(30, 2.5), seed=0)
        assert fitted.predict(x) == pytest.approx(2.5, abs=0.2)


@pytest.mark.parametrize("name", QUICK)
def test_every_model_beats_the_mean_on_rows_it_has_not_seen(name: str, vectors: Vectors) -> None:
    x, y = vectors
    fitted = fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x[:240], y[:240], seed=0)
    error = np.abs(fitted.predict(x[240:]) - y[240:]).mean()
    assert error < 0.9 * np.abs(y[:240].mean() - y[240:]).mean()
