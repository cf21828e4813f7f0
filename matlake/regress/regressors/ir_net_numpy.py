"""Networks of residual blocks of dense layers with a linear output, as plain arrays: they predict without torch."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matlake.networks.training_history import TrainingHistory

Dense: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Weights float32 [inputs, outputs] and biases float32 [outputs] of a linear map."""

EPSILON: Final = 1e-5
"""Added to the variance in a layer normalisation."""

_BATCH: Final = 1024
"""Rows at a time: the activations of a batch stay in the cache."""


@dataclass(frozen=True)
class Block:
    """relu(norm(x·W + b)) + shortcut(x).

    Attributes:
        dense: W and b.
        norm: Scale and shift, float32 [outputs] each, of a layer normalisation (Ba et al., arXiv:1607.06450); None
            where there is none. A batch normalisation is folded into ``dense``.
        shortcut: A linear map; None for the identity.
    """

    dense: Dense
    norm: Dense | None
    shortcut: Dense | None

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 [n, outputs] for float32 [n, inputs]."""
        weights, biases = self.dense
        values = x @ weights + biases
        if self.norm is not None:
            scale, shift = self.norm
            values -= values.mean(axis=1, keepdims=True)
            values /= np.sqrt(np.mean(values * values, axis=1, keepdims=True) + np.float32(EPSILON))
            values *= scale
            values += shift
        np.maximum(values, 0.0, out=values)
        if self.shortcut is None:
            return values + x
        return values + (x @ self.shortcut[0] + self.shortcut[1])


@dataclass(frozen=True)
class ResidualNetwork:
    """A fitted network, and as such a ``Regressor``.

    Attributes:
        blocks: In order.
        output: The linear map behind them, to one number.
        history: How it was trained; None where that is not known.
    """

    blocks: tuple[Block, ...]
    output: Dense
    history: "TrainingHistory | None" = field(default=None, compare=False)

    @property
    def inputs(self) -> int:
        """Number of features."""
        first = self.blocks[0].dense if self.blocks else self.output
        return len(first[0])

    def predict(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return predictions float32 [n] for features [n, d], computed in float32."""
        parts = [self._predict(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)

    def _predict(self, x: NDArray[Any]) -> NDArray[np.float32]:
        values = np.asarray(x, dtype=np.float32)
        for block in self.blocks:
            values = block.apply(values)
        weights, biases = self.output
        return np.asarray(values @ weights + biases, dtype=np.float32)[:, 0]
