"""Training of residual networks, with or without an adversary. Imported only to train.

As for plain ReLU networks (see ``deep_training``), steps are bounded, batches grow with the rows, the rate follows one
cycle, and gradients are clipped; the epoch that does best on rows set aside is kept where these are many. The loss is
smooth-L1 (Huber, Ann. Math. Stat. 35, 73, 1964), in which Li, Miklaucic and Hu (arXiv 2408.09297) measure.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.regress.regressors.elemnet_training import TrainingSettings, batch_rows, one_cycle, steps_an_epoch
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.ir_net_torch import TorchNetwork, seeded
from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.training_history import Epoch, TrainingHistory

JUDGES = 200
"""Rows that can choose an epoch and end a training. Fewer choose by chance, and often an epoch whose rate was high: the
training then goes to its end, and the last epoch is kept."""

_ONE_THREAD = 1_000_000
"""Weights up to which a network is trained on one thread. Its steps are too short to share: on a busy machine, where
threads wait for each other, several take ten times as long."""

_CLIP_NORM = 1.0
_JUDGED_AT_ONCE = 2048


@dataclass(frozen=True)
class Attack:
    """What an adversary's turn found.

    Attributes:
        clean: Mean loss of the rows about to be attacked.
        attacked: The same after the attack.
        gamma: Price of moving the cheapest feature.
    """

    clean: float
    attacked: float
    gamma: float


class Adversary(Protocol):
    """Makes samples that are hard for the network, and trains it on them."""

    def rows(self, epoch: int) -> torch.Tensor | None:
        """Return the rows that an epoch trains on as they are; None for all of them."""

    def turn(self, epoch: int, factor: float) -> Attack | None:
        """Attack and train after an epoch, with rates times ``factor``; None where it is not its turn."""

    @property
    def weights(self) -> NDArray[np.float32]:
        """The transport costs so far, float32 [turns + 1, d]."""


class MakeAdversary(Protocol):
    """Makes an adversary of a network."""

    def __call__(self, network: TorchNetwork, x: torch.Tensor, y: torch.Tensor, /) -> Adversary:
        """Return it for the rows [n, d] that are fitted, and their standardised target [n]."""


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        best: The network of the epoch with the smallest error on the rows that judge, with its history.
        last: That of the last epoch.
        kept: The best, where at least ``JUDGES`` rows have chosen it; otherwise the last.
    """

    best: ResidualNetwork
    last: ResidualNetwork
    kept: ResidualNetwork


def train_network(
    network: TorchNetwork,
    fit: Rows,
    judge: Rows,
    settings: TrainingSettings,
    seed: int,
    make_adversary: MakeAdversary | None = None,
    device: str = "cpu",
) -> Trained:
    """Train a network.

    The result depends on seed, settings and data; of a network with more than a million weights in its last digits also
    on the number of threads that torch is set to.

    Args:
        network: Where the weights begin; it is changed.
        fit: Features [n, d] of the rows to fit, and their standardised target float64 [n].
        judge: The same of rows that choose the epoch and end the training, where they are ``JUDGES``.
        settings: How to train.
        seed: Of the order of rows and of dropout.
        make_adversary: Where adversarial samples are to be learned from too.
        device: A torch device.
    """
    network.to(device)
    (x, y), (x_judge, y_judge) = (tensors(*rows, device) for rows in (fit, judge))
    adversary = make_adversary(network, x, y) if make_adversary else None
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    size, steps, epochs = batch_rows(len(x)), steps_an_epoch(len(x)), settings.epochs_for(len(x))
    enough = len(x_judge) >= JUDGES
    patience = settings.patience if enough else epochs
    best, best_error, best_epoch = network.arrays(), error(network, x_judge, y_judge), 0
    told: list[Epoch] = []
    order = torch.Generator().manual_seed(seed)
    with seeded(seed, device), _threads_for(network):
        for epoch in range(1, epochs + 1):
            rows = adversary.rows(epoch) if adversary else None
            rows = torch.arange(len(x), device=device) if rows is None else rows
            losses = []
            shuffled = rows[torch.randperm(len(rows), generator=order).to(device)]
            done = (epoch - 1) * steps
            for step, batch in enumerate(_batches(shuffled, size), start=done):
                factor = one_cycle(step, epochs * steps)
                network.learn(len(batch))
                losses.append(descend(network, x[batch], y[batch], optimizer, factor * settings.learning_rate))
            ended = one_cycle(done + steps - 1, epochs * steps)
            attack = adversary.turn(epoch, ended) if adversary else None
            judged = error(network, x_judge, y_judge)
            told.append(Epoch(float(np.mean(losses)) if losses else None, judged, **(vars(attack) if attack else {})))
            if judged < best_error:
                best, best_error, best_epoch = network.arrays(), judged, epoch
            elif epoch - best_epoch >= patience:
                break
    weights = adversary.weights if adversary else None
    chosen, final = (
        ResidualNetwork(arrays.blocks, arrays.output, TrainingHistory(tuple(told), epoch, weights))
        for arrays, epoch in ((best, best_epoch), (network.arrays(), len(told)))
    )
    return Trained(chosen, final, chosen if enough else final)


def descend(
    network: TorchNetwork, x: torch.Tensor, y: torch.Tensor, optimizer: torch.optim.Optimizer, rate: float
) -> float:
    """Take one step on the mean loss, with clipped gradients, unless one is not finite; return the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = torch.nn.functional.smooth_l1_loss(network(x), y)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP_NORM)
    if torch.isfinite(norm):
        optimizer.step()
    return float(loss.detach())


def losses_of(network: TorchNetwork, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the loss of each row [n], without dropout."""
    network.eval()
    with torch.no_grad():
        parts = [network(rows) for rows in torch.split(x, _JUDGED_AT_ONCE)]
        return torch.nn.functional.smooth_l1_loss(torch.cat(parts), y, reduction="none")


def error(network: TorchNetwork, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the mean absolute error, without dropout."""
    network.eval()
    with torch.no_grad():
        parts = [network(rows) for rows in torch.split(x, _JUDGED_AT_ONCE)]
        return float((torch.cat(parts) - y).abs().mean())


def tensors(x: NDArray[Any], y: NDArray[np.float64], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features and target as float32 tensors."""
    return (
        torch.from_numpy(np.array(x, dtype=np.float32, order="C")).to(device),
        torch.from_numpy(y.astype(np.float32)).to(device),
    )


def _batches(rows: torch.Tensor, size: int) -> tuple[torch.Tensor, ...]:
    """Cut rows into batches of nearly equal size: none of one row, which batch normalisation cannot take."""
    return torch.tensor_split(rows, math.ceil(len(rows) / size)) if len(rows) else ()


@contextmanager
def _threads_for(network: TorchNetwork) -> Iterator[None]:
    """Let torch use one thread for a small network."""
    before = torch.get_num_threads()
    weights = sum(weight.numel() for weight in network.parameters())
    torch.set_num_threads(1 if weights <= _ONE_THREAD else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
