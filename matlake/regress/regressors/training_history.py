"""How a network was trained: losses by epoch, and the weights of adversarial learning."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Epoch:
    """What one epoch did; losses are smooth-L1 of the standardised target.

    Attributes:
        train: Mean loss in the epoch's steps on rows as they are; None where it had none.
        judged: Mean absolute error of the standardised target on the rows that choose the epoch.
        clean: Mean loss of the rows about to be attacked; None where none were.
        attacked: The same after the attack.
        gamma: Price of moving the cheapest feature, 1/min(w); None without an attack.
    """

    train: float | None
    judged: float
    clean: float | None = None
    attacked: float | None = None
    gamma: float | None = None


@dataclass(frozen=True)
class TrainingHistory:
    """One training.

    Attributes:
        epochs: In order.
        best: Number of the epoch that was kept, from 1; 0 for the start.
        weights: float32 [rounds + 1, d], the transport cost of each feature before the first round of adversarial
            learning and after each; None without one.
    """

    epochs: tuple[Epoch, ...]
    best: int
    weights: NDArray[np.float32] | None = None

    def document(self) -> dict[str, Any]:
        """Return the history as JSON, the weights by their quantiles."""
        document: dict[str, Any] = {"best_epoch": self.best, "epochs": [vars(epoch) for epoch in self.epochs]}
        if self.weights is not None:
            quantiles = np.quantile(self.weights[-1], (0.0, 0.25, 0.5, 0.75, 1.0))
            document["weight_quantiles"] = [float(value) for value in quantiles]
        return document
