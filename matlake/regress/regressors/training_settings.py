"""How long, in which batches and at which rate regressors that are networks are trained: economical on a CPU.

Gupta et al., Nat. Commun. 12, 6595 (2021), train for at most 4,000 epochs with a patience of 200, in batches of 32 with
a constant rate of 1e-4 (Adam); a network of ElemNet's size then takes hours on a processor. Here the number of steps is
bounded, batches grow with the number of rows, and the rate follows one cycle, so that a short training ends with small
steps.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from matlake.extras import require_extra

BATCHES: Final = ((2_000, 32), (5_000, 64), (10_000, 128))
"""Most rows, and the batch size up to them."""

LARGEST_BATCH: Final = 256
"""Beyond: the update of 4.6 million weights then takes less time than their gradient."""


@dataclass(frozen=True)
class TrainingSettings:
    """What determines a training, apart from data, start and seed.

    Attributes:
        learning_rate: Peak of the cycle: linear warm-up, then a half cosine to zero.
        epochs: Most epochs.
        steps: Steps after which no epoch is begun: bounds the time for many rows.
        patience: Epochs without a better validation error after which training stops.
        weight_decay: Decoupled (Loshchilov and Hutter, ICLR 2019); 0 is Adam.
    """

    learning_rate: float
    epochs: int
    steps: int
    patience: int
    weight_decay: float = 0.0

    @classmethod
    def among(cls, parameters: dict[str, Any]) -> Self:
        """Return those of a model's parameters that are about the training."""
        return cls(**{field.name: parameters[field.name] for field in fields(cls) if field.name in parameters})

    def epochs_for(self, n_rows: int) -> int:
        """Return how many epochs a training on a number of rows has, at least one."""
        return max(1, min(self.epochs, round(self.steps / steps_an_epoch(n_rows))))


def batch_rows(n_rows: int) -> int:
    """Return the batch size for a number of rows: the paper's 32 where they are few, more where steps would be many."""
    return next((size for most, size in BATCHES if n_rows <= most), LARGEST_BATCH)


def steps_an_epoch(n_rows: int) -> int:
    """Return how many batches a number of rows makes."""
    return math.ceil(n_rows / batch_rows(n_rows))


def require_torch() -> None:
    """Raise MissingExtraError unless torch is installed."""
    require_extra("train", "training a deep network", "torch")
