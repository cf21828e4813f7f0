"""Short trainings of crystal networks on one property, from scratch or from an encoder's weights.

They are short enough for a processor: symmetry-distinct atoms as in pretraining, a bounded number of epochs and of
steps, one cycle of the rate, and averaged weights.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.networks.architectures import Architecture
from matlake.networks.checkpoints import BEST_FILE, last_weights, load_checkpoint
from matlake.networks.examples import GraphExamples
from matlake.networks.normalisation import settle_normalisation
from matlake.networks.training import train_network
from matlake.networks.training_config import TrainingConfig
from matlake.networks.training_history import EpochReport

STEPS: Final = 6000
"""Many rows get fewer epochs, so that a training takes an hour rather than a night; never fewer than ``FEWEST``."""

FEWEST: Final = 10

GENTLER: Final = 0.5
"""Peak rate of a training that begins with pretrained weights, as a part of that from scratch."""

SMALL_BATCH: Final = 32
SMALL_ROWS: Final = 4000
"""Up to so many rows batches are small: there are few steps anyway."""

_MOST_AVERAGING: Final = 0.998
_LEAST_AVERAGING: Final = 0.9
_LARGEST_Z: Final = 94
_ALPHAS: Final = np.logspace(-1, 5, 25)
"""Penalties of the ridge regression that an output layer begins as; features are standardised."""

_FLOOR: Final = 0.01
"""Smallest standard deviation that features are divided by, as a part of the largest."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network after its training.

    Attributes:
        network: It predicts the standardised target; in evaluation mode, on the processor.
        mean: Of the target in the rows that it was trained on.
        std: Of the same.
        history: A report for each epoch.
    """

    network: nn.Module
    mean: float
    std: float
    history: list[EpochReport]


def short_config(config: TrainingConfig, rows: int, seed: int) -> TrainingConfig:
    """Fit batch size, averaging and epochs of a training to the number of rows.

    Args:
        config: Settings of the architecture; its epochs are the most there will be.
        rows: Crystals to fit to.
        seed: Of fresh weights and the order of rows.
    """
    batch = min(config.batch_size, SMALL_BATCH) if rows <= SMALL_ROWS else config.batch_size
    while rows % batch == 1:  # a batch of one atom has no variance to normalise by
        batch += 1
    steps = -(-rows // batch)
    return replace(
        config,
        epochs=min(config.epochs, max(FEWEST, STEPS // steps)),
        batch_size=batch,
        averaging=float(np.clip(1.0 - 1.0 / steps, _LEAST_AVERAGING, _MOST_AVERAGING)),
        seed=seed,
    )


def check_elements(crystals: CrystalColumns) -> None:
    """Raise TrainingError where a crystal has an element that networks have no place for."""
    unknown = np.unique(crystals.numbers[crystals.numbers > _LARGEST_Z])
    if len(unknown):
        raise TrainingError(
            f"crystals hold elements beyond Z = {_LARGEST_Z}: {', '.join(map(str, unknown))}",
            "leave them out with a predicate",
        )


def fresh_output(architecture: Architecture, network: nn.Module, source: nn.Module) -> nn.Module:
    """Give a network with fresh weights all weights of another one but those of its output layers; return it.

    Before it is trained, its normalisation is to be settled (``settle_normalisation``).
    """
    own = _output_names(architecture, source)
    kept = {name: value for name, value in source.state_dict().items() if name not in own}
    network.load_state_dict(kept, strict=False)
    return network


def ridge_output(architecture: Architecture, network: nn.Module, examples: GraphExamples) -> nn.Module:
    """Make the output layers of a network the ridge regression of the standardised target on what enters them.

    The prediction is linear in the weights of the output layers, so its derivative by them is what they weigh, summed
    over atoms as the network does. The penalty is that of least leave-one-out error. An architecture that does not name
    its output layers keeps them: they are scaled and shifted to the target.

    Args:
        architecture: What the network is.
        network: A network of one target.
        examples: The rows to fit to, with their target in the first column.

    Returns:
        The network, in evaluation mode, predicting the standardised target, with its normalisation settled.
    """
    network.eval()
    y = examples.targets[:, 0]
    wanted = (y - y.mean()) / y.std()
    names = _output_names(architecture, network)
    outputs = [parameter for name, parameter in network.named_parameters() if name in names]
    x = _derivatives(network, outputs, examples) if outputs else _predicted(network, examples)
    weights = _ridge(x, wanted)
    intercept = float(np.mean(wanted - x @ weights))
    one = torch.ones(1)
    settle_normalisation(network, examples)
    if outputs:
        network.fold_target_scaling(torch.zeros(1), torch.zeros(1))  # type: ignore[operator] - all of the output is zero
        with torch.no_grad():
            for parameter, part in zip(outputs, _parts(weights, outputs), strict=True):
                parameter.copy_(torch.from_numpy(part).view_as(parameter))
        network.fold_target_scaling(torch.full((1,), intercept), one)  # type: ignore[operator]
    else:
        network.fold_target_scaling(torch.full((1,), intercept), one * float(weights[0]))  # type: ignore[operator]
    return network


def train_short(
    network: nn.Module,
    identity: dict[str, Any],
    parts: tuple[GraphExamples, GraphExamples],
    config: TrainingConfig,
    folder: Path,
    on_epoch: Callable[[list[EpochReport]], None] = lambda _: None,
    device: str = "cpu",
    *,
    keep_last: bool = False,
) -> TrainedNetwork:
    """Train a network, and return it with the weights of the epoch that was best on validation rows.

    Args:
        network: The start; it predicts the standardised target.
        identity: See ``train_network``.
        parts: Rows to fit, and validation rows.
        config: See ``short_config``.
        folder: Receives a checkpoint after each epoch; a training found in it goes on.
        on_epoch: Called after each epoch; what it raises ends the training.
        device: A torch device.
        keep_last: Return the weights of the last epoch instead, so that nothing is chosen by the validation rows.

    Raises:
        TrainingError: The loss is not finite; see ``train_network``.
    """
    with flushed_denormals():
        history = train_network(network, identity, parts, config, folder, on_epoch, device=device)
    state = load_checkpoint(folder / BEST_FILE)
    weights = last_weights(folder) if keep_last else state["network"]
    # not a network built anew: a checkpoint does not hold the shift that came with pretrained weights
    trained = network.cpu()
    trained.load_state_dict(weights)
    return TrainedNetwork(trained.eval(), state["target_mean"][0], state["target_std"][0], history)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let numbers below the smallest normal one count as zero, which halves the time of a training on a processor."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _output_names(architecture: Architecture, network: nn.Module) -> set[str]:
    """Return the names of the parameters of the output layers; none where the architecture does not say."""
    pattern = architecture.output_layers
    return {name for name, _ in network.named_parameters() if pattern and re.match(pattern, name)}


def _derivatives(network: nn.Module, outputs: list[nn.Parameter], examples: GraphExamples) -> NDArray[np.float64]:
    """Return the derivatives of the predictions of n crystals by some weights, float64 [n, weights]."""
    found = np.empty((len(examples), sum(one.numel() for one in outputs)))
    chosen = {id(one) for one in outputs}
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) in chosen)
    try:
        for rows in examples.chunks():
            predicted = network.predict(examples.inputs(rows, "cpu")).view(-1)  # type: ignore[operator]
            for row, value in zip(rows, predicted, strict=True):
                parts = torch.autograd.grad(value, outputs, retain_graph=True)
                found[row] = torch.cat([part.reshape(-1) for part in parts]).double().numpy()
    finally:
        for parameter in network.parameters():
            parameter.requires_grad_(True)
    return found


@torch.no_grad()
def _predicted(network: nn.Module, examples: GraphExamples) -> NDArray[np.float64]:
    found = np.empty((len(examples), 1))
    for rows in examples.chunks():
        found[rows, 0] = network.predict(examples.inputs(rows, "cpu")).view(-1).double().numpy()  # type: ignore[operator]
    return found


def _ridge(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of a ridge regression with an intercept, float64 [d], of the least leave-one-out error.

    Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), 7.10 (the error of linear fits
    without a row, from the fit to all rows).
    """
    scale = x.std(axis=0)
    scale = np.maximum(scale, _FLOOR * scale.max())  # what hardly varies would get weights that no step can mend
    left, sizes, right = np.linalg.svd((x - x.mean(axis=0)) / scale, full_matrices=False)
    along = left.T @ (y - y.mean())

    def error(alpha: float) -> float:
        kept = sizes**2 / (sizes**2 + alpha)
        leverage = (left**2) @ kept + 1.0 / len(y)
        residual = y - y.mean() - left @ (kept * along)
        return float(np.mean(np.abs(residual / np.maximum(1.0 - leverage, 1e-6))))

    alpha = min(_ALPHAS, key=error)
    weights: NDArray[np.float64] = (right.T @ (sizes / (sizes**2 + alpha) * along)) / scale
    return weights


def _parts(weights: NDArray[np.float64], outputs: list[nn.Parameter]) -> list[NDArray[np.float32]]:
    ends = np.cumsum([one.numel() for one in outputs])[:-1]
    return [part.astype(np.float32) for part in np.split(weights, ends)]
