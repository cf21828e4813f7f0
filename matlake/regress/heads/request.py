"""What to train."""

from dataclasses import dataclass, field
from typing import Final

from matlake.regress.heads.card import Budget
from matlake.regress.splits import Split
from matlake.sequences import as_list

RANDOM: Final = "random"


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        target: Property column of numbers; or of true and false, or of 0 and 1 only: then the head gives the probability
            of yes.
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, each layer embedded in the lake.
        model: A model of ``models.MODELS``, such as ``fine-tune:ENCODER`` (see ``resolve_model``), or ``auto``.
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
    """

    target: str
    features: list[str]
    model: str = "auto"
    dataset: str | None = None
    where: str | None = None
    split: str | Split = RANDOM
    name: str | None = None
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    adversarial: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    def __post_init__(self) -> None:
        """Take one feature as text for a list of one."""
        object.__setattr__(self, "features", as_list(self.features))
