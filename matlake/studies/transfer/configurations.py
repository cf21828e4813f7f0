"""What a transfer study is asked for: the methods that it compares, under the names of the cross-property study.

Gupta et al., Nat. Commun. 12, 6595 (2021): SC is from scratch, TL by transfer; ML is a regressor, DL a network; EF are
element fractions, PA physical attributes. What the study does not have is marked with ``+``.
"""

import re
from dataclasses import dataclass
from typing import Final

from matlake.errors import TrainingError
from matlake.sequences import as_list

BASE: Final = "Base"
SC_ML_EF: Final = "SC:ML(EF)"
SC_ML_PA: Final = "SC:ML(PA)"
SC_DL_EF: Final = "SC:DL(EF)"
SC_DL_PA: Final = "SC:DL(PA)"
TL_ML: Final = "TL:ML(FeatExtr)"
TL_DL: Final = "TL:DL(FeatExtr)"
FINE_TUNE: Final = "TL:FineTune"
MOD_FINE_TUNE: Final = "TL:ModFineTune"
FREEZING: Final = "TL:freezing"
SC_BOTH: Final = "SC+:ML(EF,PA)"
SC_ENSEMBLE: Final = "SC+:Ensemble"
TL_CONCAT: Final = "TL+:Concat"
TL_ENSEMBLE: Final = "TL+:Ensemble"

CONFIGURATIONS: Final[dict[str, str]] = {
    BASE: "mean of the training rows",
    SC_ML_EF: "best of the regressors on element fractions",
    SC_ML_PA: "best of the regressors on the 145 physical attributes",
    SC_DL_EF: "ElemNet from scratch on element fractions",
    SC_DL_PA: "ElemNet from scratch on the 145 physical attributes",
    TL_ML: "best of the regressors on a hidden layer of a source",
    TL_DL: "ElemNet trained on a hidden layer of a source",
    FINE_TUNE: "a source, all of its weights trained further",
    MOD_FINE_TUNE: "the same with a new last layer",
    FREEZING: "a new last layer on the last hidden layer of a source",
    SC_BOTH: "best regressor on fractions and attributes side by side",
    SC_ENSEMBLE: "mean of the best from scratch",
    TL_CONCAT: "best regressor on layers of several sources and the attributes side by side",
    TL_ENSEMBLE: "mean of the best of all",
}
"""Name -> what it is."""

FRACTIONS: Final = "fractions"
ATTRIBUTES: Final = "magpie"
"""Layer of a source that holds what it predicts."""

REGRESSORS: Final = (
    "adaboost",
    "elastic-net",
    "linear",
    "sgd",
    "ridge",
    "svr-rbf",
    "knn",
    "decision-tree",
    "extra-trees",
    "bagging",
    "lasso",
    "random-forest",
)
"""The twelve of the study."""

SCOUTS: Final = ("ridge", "svr-rbf")
"""Regressors that find the layers worth more: one linear, one not, both quick."""

SLOW: Final = ("bagging",)
"""Left out where a target has many rows."""

BEYOND: Final = ("svr", "kernel-ridge", "extra-trees", "adaboost")
"""Regressors of what goes beyond the study."""

ELEMNET: Final = "elemnet"

NETWORKS: Final[dict[str, str]] = {
    SC_DL_EF: ELEMNET,
    SC_DL_PA: ELEMNET,
    TL_DL: ELEMNET,
    FINE_TUNE: "fine-tune",
    MOD_FINE_TUNE: "mod-fine-tune",
    FREEZING: "freezing",
}
"""Configuration -> the network model that it trains."""

ON_MANY_ROWS: Final = frozenset(CONFIGURATIONS) - {SC_DL_PA, TL_DL, FINE_TUNE, FREEZING}
"""What is run where a target has many rows, unless all is asked for: the rest costs most and decides least."""

FIRST_LAYERS: Final = 4
"""Layers of a source that are tried where a target has many rows: those that transfer best in the study."""

SMALL: Final = 8000
"""Rows up to which a target gets every configuration and every layer."""


@dataclass(frozen=True)
class TransferRequest:
    """What to evaluate.

    Attributes:
        targets: Numeric property columns; default: all.
        sources: Encoders of compositions; default: the registered ElemNets.
        configurations: Names, comma-separated; default: all.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split_column: Column that says ``test`` for the rows to test on; default: a tenth of the compositions.
        features: Embedded layers of encoders of crystals, to put beside the others.
        name: Of the evaluation: a later one of the same name resumes it.
        small: Targets with more rows get fewer configurations and layers.
        folds: Of the cross-validation of what was chosen; 0 for none.
        curves: Whether to measure learning curves.
        seconds: Time after which nothing is begun; None for no limit.
        seed: Seeds everything random.
    """

    targets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    configurations: str | None = None
    dataset: str | None = None
    where: str | None = None
    split_column: str | None = None
    features: tuple[str, ...] = ()
    name: str = "transfer"
    small: int = SMALL
    folds: int = 5
    curves: bool = True
    seconds: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Take one name as text for a tuple of one."""
        for name in ("targets", "sources", "features"):
            object.__setattr__(self, name, tuple(as_list(getattr(self, name))))


@dataclass(frozen=True)
class Trial:
    """One method with all that it leaves open: features, model, parameters.

    Attributes:
        configuration: Key of ``CONFIGURATIONS``.
        features: ``NAME`` or ``NAME@LAYER``, side by side in this order.
        model: Regressor, ``elemnet``, or ``fine-tune:SOURCE`` and its kin.
        variant: Place in the model's grid of parameters; 0 is the default.
    """

    configuration: str
    features: tuple[str, ...]
    model: str
    variant: int = 0


def parse_configurations(text: str | None) -> tuple[str, ...]:
    """Read a list of configurations; None stands for all.

    Args:
        text: Names, comma-separated, where a comma inside brackets is part of a name.

    Raises:
        TrainingError: One is unknown.
    """
    if text is None:
        return tuple(CONFIGURATIONS)
    names = [re.sub(r",\s+", ",", name.strip()) for name in re.split(r",(?![^(]*\))", text)]
    for name in names:
        if name not in CONFIGURATIONS:
            raise TrainingError(f"unknown configuration {name!r}", f"configurations: {'; '.join(CONFIGURATIONS)}")
    return tuple(name for name in CONFIGURATIONS if name in names)


def is_transfer(configuration: str) -> bool:
    """Say whether a configuration uses a pretrained encoder."""
    return configuration.startswith("TL")


def goes_beyond(configuration: str) -> bool:
    """Say whether the study does not have a configuration."""
    return configuration.startswith(("SC+", "TL+"))
