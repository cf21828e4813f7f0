"""How a network was trained, epoch by epoch. Imports no torch: a head keeps its history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Attack:
    """What a round of adversarial learning found; losses are smooth-L1 of the standardised target.

    Attributes:
        clean: Mean loss of the rows about to be attacked.
        attacked: The same after the attack.
        gamma: Price of moving the cheapest feature, 1/min(w).
    """

    clean: float
    attacked: float
    gamma: float


@dataclass(frozen=True)
class EpochReport:
    """What is known after an epoch.

    Pretraining reports errors in the target's unit; of several targets, the mean of each error over the standard
    deviation of its target in the training rows. Regressors report errors of the standardised target.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean loss over the epoch's steps; None where it had none.
        val_mae: Mean absolute error on the validation rows.
        learning_rate: At the end of the epoch.
        seconds: Duration.
        attack: Of adversarial learning; None where the epoch had no round of it.
        processor_seconds: Processor time of this process, all threads; None where it was not measured.
    """

    epoch: int
    train_loss: float | None
    val_mae: float
    learning_rate: float
    seconds: float
    attack: Attack | None = None
    processor_seconds: float | None = None

    def document(self) -> dict[str, Any]:
        """Return the report as checkpoints and ``history.json`` hold it, where the loss is the mean absolute error."""
        return {
            "epoch": self.epoch,
            "train_mae": self.train_loss,
            "val_mae": self.val_mae,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Read what ``document`` returned."""
        fields = dict(document)
        return cls(train_loss=fields.pop("train_mae"), **fields)


def best_epoch(history: Sequence[EpochReport], start_error: float = math.inf) -> int:
    """Return the number of the first epoch with the smallest validation error; 0 where none is below the start's."""
    best, number = start_error, 0
    for report in history:
        if report.val_mae < best:
            best, number = report.val_mae, report.epoch
    return number


def training_cost(history: Sequence[EpochReport]) -> dict[str, float]:
    """Return what epochs cost, those before an interruption included, as records and cards state it.

    Returns:
        ``seconds``; and where every epoch has measured it, ``processor_seconds`` and the ``cores`` that were busy on
        average.
    """
    seconds = sum(report.seconds for report in history)
    cost = {"seconds": round(seconds, 3)}
    measured = [report.processor_seconds for report in history if report.processor_seconds is not None]
    if len(measured) == len(history):
        cost["processor_seconds"] = round(sum(measured), 3)
        if seconds > 0:
            cost["cores"] = round(sum(measured) / seconds, 2)
    return cost


@dataclass(frozen=True)
class TrainingHistory:
    """The training of a head's network.

    Attributes:
        epochs: In order.
        best: Number of the epoch that was kept, from 1; 0 for the start.
        weights: float32 [rounds + 1, d], the transport cost of each feature before the first round of adversarial
            learning and after each; None without one.
    """

    epochs: tuple[EpochReport, ...]
    best: int
    weights: NDArray[np.float32] | None = None
