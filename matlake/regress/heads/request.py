"""What to train."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, Final

from matlake.errors import TrainingError
from matlake.regress.features.row_counts import RowCounts
from matlake.regress.heads.card import Budget, check_name
from matlake.regress.regressors import Estimator, Model
from matlake.regress.regressors.elemnet import TransferMethod
from matlake.regress.splits import Split
from matlake.regress.targets.expressions import Target
from matlake.regress.targets.transforms import Transform
from matlake.sequences import as_list

RANDOM: Final = "random"
AUTO_TRANSFORM: Final = "auto"
_FINE_TUNED: Final = tuple(f"{method}:" for method in TransferMethod)
"""Starts of the names of models that take what an encoder takes."""

_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        target: Property column of numbers, or an SQL expression over ``materials`` with one value a row; or one of true
            and false, or of 0 and 1 only: then the head gives the probability of yes. A logarithm (``log10``, ``log``,
            ``log2``, ``ln``) or ``sqrt`` around all of it says on which scale the property is learned. Several, with
            commas or as a list, make one head that predicts all of them.
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, each layer embedded in the lake. None
            for ``fine-tune:ENCODER``: the network takes the crystals themselves, or an ElemNet element fractions.
        model: A model of ``models.MODELS``, such as ``fine-tune:ENCODER`` (see ``resolve_model``), or ``auto``; or a
            regressor or classifier of scikit-learn's, which is fitted as it is.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split: A method of ``splits``, with its argument, or a split that was made by hand.
        name: Name of the head; by default the target and the model.
        seed: Decides split, folds and what models draw.
        budget: Bounds the search for model and parameters.
        adversarial: ``cal`` or ``sal``: the model, an IR-net, learns from adversarial samples too.
        minimum: Smallest value that the target can have, in its unit: predictions and intervals keep to it. Default: 0
            if the training labels are plain about it (see ``find_bounds``); minus infinity for none.
        maximum: Largest value; default: none.
        transform: ``log`` or ``sqrt``: what is learned in place of a positive property; ``none``; or ``auto``, which
            decides by cross-validation (see ``choose_transform``). With ``none``, a logarithm in the target is a part
            of the property.
        weights: Column or SQL expression: how much each row counts. Only ratios matter.
        uncertainty: Column or SQL expression: standard uncertainty of the target, in its unit (see
            ``weights_of_uncertainty``).

    An estimator learns the property as it is, on no other scale, unless ``transform`` or the target says so: its
    parameters have been chosen for that.
    """

    target: str | list[str]
    features: list[str] = field(default_factory=list)
    model: str | Model | Estimator = "auto"
    dataset: str | None = None
    where: str | None = None
    split: str | Split = RANDOM
    name: str | None = None
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    adversarial: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    transform: str = AUTO_TRANSFORM
    weights: str | None = None
    uncertainty: str | None = None

    def __post_init__(self) -> None:
        """Take one feature as text for a list of one.

        Raises:
            TrainingError: No features or targets, no seed, or unknown transform.
        """
        object.__setattr__(self, "features", as_list(self.features))
        if not self.features and needs_features(self.model_name):
            raise TrainingError("no features are named", "name some, such as ['magpie']")
        if not self.targets:
            raise TrainingError("no target is named", "name a column, such as 'band_gap_eV'")
        object.__setattr__(self, "seed", _whole_seed(self.seed))
        known = [*Transform, AUTO_TRANSFORM]
        if self.transform not in known:
            raise TrainingError(f"unknown transform {self.transform!r}", f"transforms: {', '.join(known)}")

    @property
    def targets(self) -> list[str]:
        """What the user wrote as targets."""
        return as_list(self.target)

    @property
    def model_name(self) -> str:
        """The name of the model, or of the estimator's class."""
        if isinstance(self.model, str):
            return self.model
        return self.model.name if isinstance(self.model, Model) else type(self.model).__name__

    def head_name(self, targets: Sequence[Target]) -> str:
        """Return the name of the head: where none is given its targets and its model.

        Raises:
            HeadError: The name is not valid.
        """
        words = [*(target.head_name for target in targets), self.model_name, self.adversarial]
        name = self.name or "-".join(filter(None, words)).replace(":", "-")[:_LONGEST_NAME]
        check_name(name)
        return name

    @property
    def counts(self) -> RowCounts:
        """What says how much each row counts."""
        return RowCounts(self.weights, self.uncertainty)


def needs_features(model: str) -> bool:
    """Return whether a model learns from features that are named; a fine-tuned encoder takes materials themselves."""
    return not model.startswith(_FINE_TUNED)


def _whole_seed(seed: Any) -> int:
    """Return a seed, one of numpy's types too, as Python's number."""
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise TrainingError(f"the seed is {seed!r}", "give a whole number from 0 up")
    return number
