"""The regressors on offer, by name, and how one is fitted. See docs/models.md."""

from matlake.regress.regressors.catalogue import (
    AUTO,
    AUTO_MODELS,
    AUTO_MODELS_OF_BLOCKS,
    MODELS,
    find_model,
    named_model,
)
from matlake.regress.regressors.fitting import Fit, Fitted, fit_model, fit_of
from matlake.regress.regressors.labelled_rows import LabelledRows, Weights
from matlake.regress.regressors.regressor import Blocks, Model, Parameters, Regressor

__all__ = [
    "AUTO",
    "AUTO_MODELS",
    "AUTO_MODELS_OF_BLOCKS",
    "MODELS",
    "Blocks",
    "Fit",
    "Fitted",
    "LabelledRows",
    "Model",
    "Parameters",
    "Regressor",
    "Weights",
    "find_model",
    "fit_model",
    "fit_of",
    "named_model",
]
