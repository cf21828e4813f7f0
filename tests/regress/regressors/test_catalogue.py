import json

import numpy as np
import pytest
from numpy.typing import NDArray
from quick_models import QUICK

from matlake.errors import TrainingError
from matlake.regress.regressors import AUTO_MODELS, AUTO_MODELS_OF_BLOCKS, MODELS, auto_models, find_model, fit_model

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]

OF_THE_CROSS_PROPERTY_PAPER = (
    "adaboost elastic-net linear sgd ridge svr knn decision-tree extra-trees bagging lasso random-forest".split()
)


def test_the_twelve_of_the_cross_property_paper_are_offered_and_others() -> None:
    others = {"svr-linear", "svr-rbf", "kernel-ridge", "nystroem-svr", "gradient-boosting", "mlp", "elemnet"}
    others |= {"ir-net", "ir-net-17", "gaussian-process", "hist-gradient-boosting", "hurdle"}
    assert set(MODELS) == {*OF_THE_CROSS_PROPERTY_PAPER, *others}
    assert all(name == model.name for name, model in MODELS.items())
    assert set(AUTO_MODELS) < set(MODELS)
    assert set(AUTO_MODELS_OF_BLOCKS) - set(AUTO_MODELS) == {"gaussian-process"}


def test_auto_takes_landmarks_where_a_model_is_meant_for_fewer_rows() -> None:
    few, many = ([model.name for model in auto_models(rows, learns_blocks=True)] for rows in (10_000, 10_001))
    assert few == [*AUTO_MODELS_OF_BLOCKS]
    assert many == [{"svr": "nystroem-svr"}.get(name, name) for name in few]


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(TrainingError, match="unknown model 'xgboost'") as caught:
        find_model("xgboost", 100)
    assert all(
        name in caught.value.hint
        for name in [*MODELS, "fine-tune:ENCODER", "mod-fine-tune:ENCODER", "freezing:ENCODER", "auto"]
    )


def test_models_that_keep_their_rows_refuse_more_than_they_can_take() -> None:
    limited = ("svr", "svr-linear", "svr-rbf", "knn")
    assert all(find_model(name, 10_000).max_rows == 10_000 for name in limited)
    with pytest.raises(TrainingError, match="svr is limited to 10,000 training rows, and there are 10,001") as caught:
        find_model("svr", 10_001)
    offered = caught.value.hint.removeprefix("use one of ").partition(", or select")[0].split(", ")
    assert set(offered) == set(MODELS) - set(limited)
    assert all(find_model(name, 1_000_000).name == name for name in offered)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_go_into_a_card_and_are_drawn_the_same_by_one_seed(name: str) -> None:
    model = MODELS[name]
    drawn, again = ([model.draw(source, 128) for _ in range(20)] for source in map(np.random.default_rng, (5, 5)))
    assert drawn == again
    assert json.loads(json.dumps(drawn)) == drawn
    assert json.loads(json.dumps(model.grid(128))) == model.grid(128)


@pytest.mark.parametrize("name", QUICK)
def test_a_model_takes_every_set_of_its_grid_and_what_it_draws(name: str, vectors: Vectors) -> None:
    model, x, y = MODELS[name], vectors[0][:60], vectors[1][:60]
    source = np.random.default_rng(0)
    for parameters in [*model.grid(x.shape[1]), *(model.draw(source, x.shape[1]) for _ in range(3))]:
        assert np.isfinite(fit_model(model, parameters, x, y, seed=0).predict(x)).all()
