"""Short trainings of crystal networks on one property, from scratch or from an encoder's weights.

They are short enough for a processor: symmetry-distinct atoms as in pretraining, a bounded number of epochs and of
steps, one cycle of the rate, and averaged weights.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import nn

from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.networks.checkpoints import BEST_FILE, last_weights, load_checkpoint
from matlake.networks.examples import GraphExamples
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
    while rows > 1 and rows % batch == 1:  # a batch of one atom has no variance to normalise by
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
    history = train_network(network, identity, parts, config, folder, on_epoch, device=device)
    state = load_checkpoint(folder / BEST_FILE)
    weights = last_weights(folder) if keep_last else state["network"]
    # not a network built anew: a checkpoint does not hold the shift that came with pretrained weights
    trained = network.cpu()
    trained.load_state_dict(weights)
    return TrainedNetwork(trained.eval(), state["target_mean"][0], state["target_std"][0], history)
