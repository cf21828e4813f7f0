"""The regressors on offer.

All but trees are fitted to standardised features, all to a standardised target, so that one grid serves every property.
See docs/science/models.md for what each is and for their errors on real properties.
"""

from typing import Any, Final

from matlake.errors import TrainingError
from matlake.plugins import PluginKind, check_kind, check_same_name
from matlake.regress.regressors.elemnet import ELEMNET, TransferMethod
from matlake.regress.regressors.gaussian_process import GAUSSIAN_PROCESS
from matlake.regress.regressors.hurdle import HURDLE
from matlake.regress.regressors.ir_net import IR_NET, IR_NET_17, IR_NETS
from matlake.regress.regressors.kernel_machines import KERNEL_RIDGE, NYSTROEM_SVR, SVR, SVR_LINEAR, SVR_RBF
from matlake.regress.regressors.linear import ELASTIC_NET, LASSO, LINEAR, RIDGE, SGD
from matlake.regress.regressors.mlp import MLP
from matlake.regress.regressors.neighbours import KNN
from matlake.regress.regressors.regressor import Model
from matlake.regress.regressors.trees import (
    ADABOOST,
    BAGGING,
    DECISION_TREE,
    EXTRA_TREES,
    GRADIENT_BOOSTING,
    HIST_GRADIENT_BOOSTING,
    RANDOM_FOREST,
)

AUTO: Final = "auto"
ENSEMBLE: Final = "ensemble"
AUTO_MODELS: Final = ("svr", "kernel-ridge", "mlp", "adaboost", "hist-gradient-boosting")
"""What ``auto`` chooses from: one of each kind that leads on a property in docs/science/models.md."""

AUTO_MODELS_OF_BLOCKS: Final = ("gaussian-process", *AUTO_MODELS)
"""The same for several features, with the kernel that learns what each is worth."""

FOR_MANY_ROWS: Final = {"svr": "nystroem-svr"}
"""What takes the place of a model that is meant for fewer rows."""

MODELS: Final[dict[str, Model]] = {model.name: model for model in (
    ADABOOST, ELASTIC_NET, LINEAR, SGD, RIDGE, SVR, SVR_LINEAR, SVR_RBF, KNN, DECISION_TREE, EXTRA_TREES, BAGGING,
    LASSO, RANDOM_FOREST, KERNEL_RIDGE, NYSTROEM_SVR, GAUSSIAN_PROCESS, GRADIENT_BOOSTING, HIST_GRADIENT_BOOSTING,
    HURDLE, MLP, ELEMNET, IR_NET, IR_NET_17,
)}  # fmt: skip


def _accept(name: str, found: Any) -> Model:
    """Return what an entry point adds, if it is a model of its name."""
    check_kind(found, Model, "matlake.regress.regressors.Model")
    model: Model = found
    check_same_name(name, model.name)
    return model


REGRESSOR_PLUGINS: Final = PluginKind(
    "matlake.regressors", "regressor", _accept, lambda: {*MODELS, *IR_NETS, *TransferMethod, AUTO, ENSEMBLE}
)
"""Models of other packages. ``auto`` does not choose from them."""


def named_model(name: str) -> Model:
    """Return the model of a name, of matlake or of a plug-in.

    Raises:
        TrainingError: Unknown model.
        PluginError: A plug-in has a model of this name, and it cannot be used.
    """
    model = MODELS.get(name) or REGRESSOR_PLUGINS.find(name)
    if model is None:
        methods = (f"{method}:ENCODER" for method in TransferMethod)
        raise TrainingError(
            f"unknown model {name!r}", f"models: {', '.join([*MODELS, *REGRESSOR_PLUGINS.names(), *methods, AUTO])}"
        )
    return model


def auto_models(n_rows: int, *, learns_blocks: bool) -> list[Model]:
    """Return what ``auto`` chooses from for a number of training rows.

    Args:
        n_rows: Number of them.
        learns_blocks: Whether the kernel that learns what each feature is worth takes part.
    """
    models = [MODELS[name] for name in (AUTO_MODELS_OF_BLOCKS if learns_blocks else AUTO_MODELS)]
    return [
        MODELS[FOR_MANY_ROWS[model.name]] if model.max_rows is not None and n_rows > model.max_rows else model
        for model in models
    ]


def find_model(model: str | Model, n_rows: int) -> Model:
    """Return a model, of that name or as it is, if it can be fitted to a number of rows.

    Raises:
        TrainingError: Unknown model, or more rows than it is meant for.
    """
    found = named_model(model) if isinstance(model, str) else model
    if found.max_rows is not None and n_rows > found.max_rows:
        unlimited = ", ".join(m.name for m in MODELS.values() if m.max_rows is None)
        raise TrainingError(
            f"{found.name} is limited to {found.max_rows:,} training rows, and there are {n_rows:,}",
            f"use one of {unlimited}, or select fewer rows",
        )
    return found
