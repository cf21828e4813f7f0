"""Training of a network on the rows of a table, which all fit into memory. Imported only to train.

Steps are bounded, batches grow with the number of rows, the rate follows one cycle, and gradients are clipped (see
``TrainingSettings``).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.training_settings import TrainingSettings, batch_rows, steps_an_epoch

if TYPE_CHECKING:
    from matlake.networks.training_history import Attack, EpochReport

_WARMUP = 0.1
"""Part of the steps in which the rate rises."""

_VALIDATED_AT_ONCE = 2048

_Weights = TypeVar("_Weights")


class Adversary(Protocol):
    """Makes samples that are hard for the network, and trains it on them."""

    def rows(self, epoch: int) -> torch.Tensor | None:
        """Return the rows that an epoch trains on as they are; None for all of them."""

    def turn(self, epoch: int, factor: float) -> "Attack | None":
        """Attack and train after an epoch, with rates times ``factor``; None where it is not its turn."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """The transport costs so far, float32 [turns + 1, d]."""


@dataclass(frozen=True)
class TrainedOnRows(Generic[_Weights]):
    """What a training gives.

    Attributes:
        best: Weights of the epoch with the smallest validation error.
        last: Those of the last epoch.
        best_epoch: Number of the best epoch, from 1; 0 for the start.
        history: One report an epoch.
    """

    best: _Weights
    last: _Weights
    best_epoch: int
    history: "tuple[EpochReport, ...]"


def train_on_rows(
    network: nn.Module,
    fit: tuple[torch.Tensor, torch.Tensor],
    validation: tuple[torch.Tensor, torch.Tensor],
    settings: TrainingSettings,
    seed: int,
    *,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    weights: Callable[[], _Weights],
    cut: Callable[[torch.Tensor, int], Sequence[torch.Tensor]],
    adversary: Adversary | None = None,
) -> TrainedOnRows[_Weights]:
    """Train a network.

    Args:
        network: Gives [n] for [n, d]; where the weights begin.
        fit: Features [n, d] and standardised target [n] of the rows to fit.
        validation: The same of the validation rows, which choose the epoch and end the training.
        settings: How to train.
        seed: Of the order of rows, and of dropout.
        loss: Returns the mean loss of rows [n, d] and their target [n], with the network set to learn.
        weights: Returns a copy of the network's weights.
        cut: Cuts shuffled rows into batches of about a size.
        adversary: Where adversarial samples are to be learned from, too.
    """
    from matlake.networks.training_loop import OneCycle, Training, run_epochs

    x, y = fit
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    cycle = OneCycle(settings.learning_rate, settings.epochs_for(len(x)), steps_an_epoch(len(x)), _WARMUP)
    order = torch.Generator().manual_seed(seed)
    best = weights()

    def batches(epoch: int) -> Sequence[torch.Tensor]:
        rows = adversary.rows(epoch) if adversary else None
        rows = torch.arange(len(x)) if rows is None else rows
        return cut(rows[torch.randperm(len(rows), generator=order)], batch_rows(len(x)))

    def keep() -> None:
        nonlocal best
        best = weights()

    training = Training(
        parameters=list(network.parameters()),
        batches=batches,
        loss=lambda rows: loss(x[rows], y[rows]),
        validate=lambda: mean_absolute_error(network, *validation),
        keep=keep,
        after_steps=(lambda epoch, factor, _: adversary.turn(epoch, factor)) if adversary else lambda *_: None,
    )
    history: list[EpochReport] = []
    start_error = mean_absolute_error(network, *validation)
    with seeded(seed):
        best_epoch = run_epochs(training, optimizer, cycle, settings.patience, history, start_error)
    return TrainedOnRows(best, weights(), best_epoch, tuple(history))


def predicted(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what a network gives for rows [n, d], without dropout and without gradients."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(rows) for rows in torch.split(x, _VALIDATED_AT_ONCE)])


def mean_absolute_error(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the mean absolute error on rows [n, d] with targets [n]."""
    return float((predicted(network, x) - y).abs().mean())


def tensors(rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features and target as float32 tensors."""
    x, y = rows
    return torch.from_numpy(np.array(x, dtype=np.float32, order="C")), torch.from_numpy(y.astype(np.float32))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from a seed inside, and leave torch's own state as it was."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        yield
