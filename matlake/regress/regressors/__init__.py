"""The regressors on offer, by name, and how one is fitted. See docs/models.md."""

from matlake.regress.regressors.catalogue import (
    AUTO,
    AUTO_MODELS,
    AUTO_MODELS_OF_BLOCKS,
    MODELS,
    find_model,
    named_model,
)
from matlake.regress.regressors.fitting import Fit, Fitted, fit_model
from matlake.regress.regressors.regressor import Blocks, Model, Parameters, Regressor

__all__ = [
    "AUTO",
    "AUTO_MODELS",
    "AUTO_MODELS_OF_BLOCKS",
    "MODELS",
    "Blocks",
    "Fit",
    "Fitted",
    "Model",
    "Parameters",
    "Regressor",
    "find_model",
    "fit_model",
    "named_model",
]
