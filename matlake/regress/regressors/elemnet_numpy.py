"""Networks of ReLU layers with a linear output, as plain arrays: they predict without torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Dense: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights float32 [inputs, outputs] and biases float32 [outputs] of a linear map."""

Layers: TypeAlias = tuple[Dense, ...]
"""ReLU after all but the last."""

_BATCH: Final = 1024
"""Rows at a time: the activations of a batch stay in the cache."""


@dataclass(frozen=True)
class ReluNetwork:
    """A fitted network, and as such a ``Regressor``.

    Attributes:
        layers: Its layers; the last has one output.
    """

    layers: Layers

    def predict(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return predictions float32 [n] for features [n, d], computed in float32."""
        return predict_in_batches(lambda rows: activations(self.layers, rows), x)


@dataclass(frozen=True)
class Standard:
    """Takes activations to mean 0 and standard deviation 1 over some rows.

    Attributes:
        mean: float32 [d].
        spread: float32 [d], positive; 1 where the rows do not differ.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    @staticmethod
    def of(values: NDArray[np.float32]) -> "Standard":
        """Return that of rows [n, d]."""
        spread = values.std(axis=0)
        return Standard(values.mean(axis=0), np.where(spread > 0.0, spread, np.float32(1.0)))

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return rows [n, d], standardised."""
        scaled: NDArray[np.float32] = (values - self.mean) / self.spread
        return scaled

    def into(self, layers: Layers) -> Layers:
        """Return layers that give for standardised activations what these give for activations as they are."""
        (weights, biases), *others = layers
        return ((weights * self.spread[:, None], biases + self.mean @ weights), *others)

    def out_of(self, layers: Layers) -> Layers:
        """Return layers that give for activations as they are what these give for standardised ones."""
        return Standard(-self.mean / self.spread, 1.0 / self.spread).into(layers)


def predict_in_batches(network: Callable[[NDArray[Any]], NDArray[np.float32]], x: NDArray[Any]) -> NDArray[np.float32]:
    """Return the only output of a network, float32 [n], for features [n, d]."""
    parts = [network(x[start : start + _BATCH])[:, 0] for start in range(0, len(x), _BATCH)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def activations(layers: Layers, x: NDArray[Any]) -> NDArray[np.float32]:
    """Return the linear output of a network.

    Args:
        layers: Of the network, or of its first part: the output is then the input of that part's last ReLU.
        x: [n, inputs of the first layer].

    Returns:
        float32 [n, outputs of the last layer].
    """
    values = np.asarray(x, dtype=np.float32)
    for number, (weights, biases) in enumerate(layers):
        values = values @ weights
        values += biases
        if number < len(layers) - 1:
            np.maximum(values, 0.0, out=values)
    return values


def fresh_layers(widths: Sequence[int], seed: int) -> Layers:
    """Draw the weights of a network.

    He's normal initialisation, with biases of zero: without its factor for ReLU the signal shrinks from layer to layer,
    and a network of seventeen hardly moves in its first epochs. Source: He et al., ICCV 2015, p. 1026.

    Args:
        widths: Of the input, the hidden layers and the output.
        seed: Of the draw.
    """
    rng, layers = np.random.default_rng(seed), []
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        gain = 1.0 if number == len(widths) - 1 else 2.0
        weights = rng.standard_normal((inputs, outputs), dtype=np.float32) * np.float32(np.sqrt(gain / inputs))
        layers.append((weights, np.zeros(outputs, dtype=np.float32)))
    return tuple(layers)
