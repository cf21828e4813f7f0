from .catalogue import AUTO as AUTO
from .catalogue import AUTO_MODELS as AUTO_MODELS
from .catalogue import AUTO_MODELS_OF_BLOCKS as AUTO_MODELS_OF_BLOCKS
from .catalogue import MODELS as MODELS
from .catalogue import auto_models as auto_models
from .catalogue import find_model as find_model
from .catalogue import named_model as named_model
from .fitting import Fit as Fit
from .fitting import Fitted as Fitted
from .fitting import fit_model as fit_model
from .fitting import fit_of as fit_of
from .fitting import settled as settled
from .labelled_rows import LabelledRows as LabelledRows
from .labelled_rows import Weights as Weights
from .regressor import Blocks as Blocks
from .regressor import Model as Model
from .regressor import Parameters as Parameters
from .regressor import Regressor as Regressor
from .sklearn_model import Estimator as Estimator
from .sklearn_model import check_suits as check_suits
from .sklearn_model import model_of_estimator as model_of_estimator

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
