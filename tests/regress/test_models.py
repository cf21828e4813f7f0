import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.models import AUTO_MODELS, MODELS, find_model, fit_model
from matlake.regress.selection import choose

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(TrainingError, match="unknown model 'mlp'") as caught:
        find_model("mlp", 100)
    assert all(name in caught.value.hint for name in [*MODELS, "auto"])


def test_svr_refuses_more_rows_than_it_can_take() -> None:
    with pytest.raises(TrainingError, match="svr is limited to 10,000 training rows, and there are 10,001") as caught:
        find_model("svr", 10_001)
    assert "ridge" in caught.value.hint
    assert "svr" not in caught.value.hint


def test_the_scaler_has_seen_the_training_rows_only(vectors: Vectors) -> None:
    x, y = vectors
    fitted = fit_model(MODELS["ridge"], {"alpha": 1.0}, x[:200], y[:200], seed=0)
    assert fitted.pipeline.steps[0][1].mean_ == pytest.approx(x[:200].mean(axis=0, dtype=np.float64), abs=1e-6)


def test_auto_tries_models_of_several_kinds_and_takes_the_best_twice_the_same(vectors: Vectors) -> None:
    x, y = vectors
    groups = np.array([f"g{i}" for i in range(len(y))])
    first, again = (choose("auto", x, y, groups, seed=3) for _ in range(2))
    assert first == again
    assert {candidate.model for candidate in first.candidates} == set(AUTO_MODELS)
    assert first.best.mae == min(candidate.mae for candidate in first.candidates)
    assert first.best.mae < np.mean(np.abs(y - y.mean()))


def test_auto_leaves_out_models_that_cannot_take_so_many_rows() -> None:
    x = np.random.default_rng(0).normal(size=(10_500, 2)).astype(np.float32)
    choice = choose("auto", x, x[:, 0].astype(np.float64), np.arange(len(x)).astype(str), seed=0)
    assert {candidate.model for candidate in choice.candidates} == set(AUTO_MODELS) - {"svr"}
    assert choice.rows == 2000


def test_a_fold_without_variation_does_not_stop_the_choice() -> None:
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    y = np.zeros(12)
    y[0] = 1.0
    assert choose("ridge", x, y, np.arange(12).astype(str), seed=0).best.model == "ridge"
