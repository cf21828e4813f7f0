"""The regressors on offer, by name, and how one is fitted. See docs/science/models.md."""

from matlake.regress.regressors.catalogue import (
    AUTO,
    AUTO_MODELS,
    AUTO_MODELS_OF_BLOCKS,
    MODELS,
    auto_models,
    find_model,
    named_model,
)
from matlake.regress.regressors.fitting import Fit, Fitted, fit_model, fit_of, settled
from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.regress.regressors.regressor import Blocks, Model, Parameters, Regressor
from matlake.regress.regressors.sklearn_model import Estimator, check_suits, model_of_estimator

__all__ = [
    "AUTO",
    "AUTO_MODELS",
    "AUTO_MODELS_OF_BLOCKS",
    "MODELS",
    "Blocks",
    "Estimator",
    "Fit",
    "Fitted",
    "LabelledRows",
    "Model",
    "Parameters",
    "Regressor",
    "Weights",
    "auto_models",
    "check_suits",
    "find_model",
    "fit_model",
    "fit_of",
    "model_of_estimator",
    "named_model",
    "settled",
]
