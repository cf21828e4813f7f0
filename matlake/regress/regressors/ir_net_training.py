"""Training of residual networks, with or without an adversary. Imported only to train.

The loss is smooth-L1 (Huber, Ann. Math. Stat. 35, 73, 1964), in which Li, Miklaucic and Hu (arXiv 2408.09297) measure;
the epoch that does best on the validation rows is kept where these are many.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.ir_net_torch import TorchNetwork
from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.row_training import Adversary, tensors, train_on_rows
from matlake.regress.regressors.training_settings import TrainingSettings

CHOOSING_ROWS = 200
"""Validation rows that can choose an epoch and end a training. Fewer choose by chance, and often an epoch whose rate
was high: the training then goes to its end, and the last epoch is kept."""

_ONE_THREAD = 1_000_000
"""Weights up to which a network is trained on one thread. Its steps are too short to share: on a busy machine, where
threads wait for each other, several take ten times as long."""

MakeAdversary: TypeAlias = Callable[[TorchNetwork, torch.Tensor, torch.Tensor], Adversary]
"""From a network, the rows [n, d] that are fitted and their standardised target [n] to its adversary."""


@dataclass(frozen=True)
class TrainedIrNet:
    """What a training gives.

    Attributes:
        best: The network of the epoch with the smallest validation error, with its history.
        last: That of the last epoch.
        kept: The best, where at least ``CHOOSING_ROWS`` rows have chosen it; otherwise the last.
    """

    best: ResidualNetwork
    last: ResidualNetwork
    kept: ResidualNetwork


def train_ir_net(
    network: TorchNetwork,
    fit: Rows,
    validation: Rows,
    settings: TrainingSettings,
    seed: int,
    make_adversary: MakeAdversary | None = None,
) -> TrainedIrNet:
    """Train a network.

    The result depends on seed, settings and data; of a network with more than a million weights in its last digits also
    on the number of threads that torch is set to.

    Args:
        network: Where the weights begin; it is changed.
        fit: Features [n, d] of the rows to fit, and their standardised target float64 [n].
        validation: The same of the validation rows, which choose the epoch and end the training where they are
            ``CHOOSING_ROWS``.
        settings: How to train.
        seed: Of the order of rows and of dropout.
        make_adversary: Where adversarial samples are to be learned from too.
    """
    from matlake.networks.training_history import TrainingHistory

    rows = tensors(fit)
    adversary = make_adversary(network, *rows) if make_adversary else None
    enough = len(validation[0]) >= CHOOSING_ROWS

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        network.learn(len(x))
        return torch.nn.functional.smooth_l1_loss(network(x), y)

    with _threads_for(network):
        found = train_on_rows(
            network,
            rows,
            tensors(validation),
            settings if enough else replace(settings, patience=settings.epochs),
            seed,
            loss=loss,
            weights=network.arrays,
            cut=_batches,
            adversary=adversary,
        )
    costs = adversary.weights if adversary else None
    best, last = (
        replace(arrays, history=TrainingHistory(found.history, epoch, costs))
        for arrays, epoch in ((found.best, found.best_epoch), (found.last, len(found.history)))
    )
    return TrainedIrNet(best, last, best if enough else last)


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
