"""Networks of residual blocks of dense layers with a linear output, as plain arrays: they predict without torch."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.elemnet_numpy import Dense, predict_in_batches

if TYPE_CHECKING:
    from matlake.networks.training_history import TrainingHistory

EPSILON: Final = 1e-5
"""Added to the variance in a layer normalisation."""


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
    norm: tuple[NDArray[np.float32], NDArray[np.float32]] | None
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
        history: How it was trained; None if unknown.
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
        return predict_in_batches(self._forward, x)

    def _forward(self, x: NDArray[Any]) -> NDArray[np.float32]:
        values = np.asarray(x, dtype=np.float32)
        for block in self.blocks:
            values = block.apply(values)
        weights, biases = self.output
        return np.asarray(values @ weights + biases, dtype=np.float32)
