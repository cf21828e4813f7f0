"""An output for another target: a ridge regression on what the network hands it, which training then goes on from.

A fresh output begins with noise, and the network is bent to it before it says anything. All outputs here are linear in
what they take, so the best start is known in closed form.
"""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.networks.architectures import Architecture
from matlake.networks.examples import Examples
from matlake.networks.readout import Readout

Float = NDArray[np.float64]

_RIDGES: Final = tuple(10.0**power for power in range(-6, 2))
"""To choose from, for features of variance one, a row."""

_FLAT: Final = 1e-7


def with_fresh_output(architecture: Architecture, sizes: dict[str, Any], source: nn.Module, targets: int) -> nn.Module:
    """Return a network with the weights of another, but for its output, which is fresh.

    Args:
        architecture: Of both.
        sizes: Of the network: those of ``source``, but for what its output takes.
        source: Read from an encoder, say.
        targets: Numbers to be predicted.
    """
    network: nn.Module = architecture.network(**sizes, targets=targets)
    kept = {name: tensor for name, tensor in source.state_dict().items() if not architecture.output_pattern.match(name)}
    network.load_state_dict(kept, strict=False)
    return network


@torch.no_grad()
def start_output(network: nn.Module, examples: Examples) -> None:
    """Fit the output to standardised targets, in evaluation mode; nothing else changes.

    The ridge of each target is that of the smallest leave-one-out error: with the hat matrix H it is what is left of a
    row, divided by 1 - Hᵢᵢ. Rows without a value take no part.
    """
    readout: Readout = network.readout()  # type: ignore[operator]
    network.eval()
    found, order = [], []
    for rows in examples.chunks():
        found.append(readout.features(examples.inputs(rows, "cpu")).double())
        order.append(rows)
    features = torch.cat(found).numpy()
    y = examples.targets[np.concatenate(order)]
    y = (y - np.nanmean(y, axis=0)) / np.nanstd(y, axis=0)
    fits = [_ridge(features[known], column[known]) for column in y.T for known in [np.isfinite(column)]]
    weights, biases = (np.array(part) for part in zip(*fits, strict=True))
    readout.set(torch.from_numpy(weights).float(), torch.from_numpy(biases).float())


def _ridge(x: Float, y: Float) -> tuple[Float, float]:
    """Return the coefficients [features] and the constant of a ridge regression."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    kept = scale > _FLAT * np.maximum(np.abs(mean), 1.0)
    scale = np.where(kept, scale, 1.0)
    left, sizes, right = np.linalg.svd((x - mean) / scale * kept, full_matrices=False)
    along = left.T @ (y - y.mean())
    best, found = np.inf, np.zeros(len(sizes))
    for ridge in _RIDGES:
        shrunk = sizes**2 / (sizes**2 + ridge * len(x))
        hat = 1 / len(x) + left**2 @ shrunk
        error = float(np.abs((y - y.mean() - left @ (shrunk * along)) / (1 - hat).clip(_FLAT)).mean())
        if error < best:
            best, found = error, sizes / (sizes**2 + ridge * len(x)) * along
    weight = right.T @ found / scale * kept
    return weight, float(y.mean() - mean @ weight)
