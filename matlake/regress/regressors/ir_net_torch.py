"""Residual networks in torch, made from plain arrays and turned back into them. Imported only to train."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from matlake.regress.regressors.elemnet_numpy import Dense
from matlake.regress.regressors.ir_net_numpy import EPSILON, Block, ResidualNetwork
from matlake.regress.regressors.row_training import seeded


class TorchBlock(nn.Module):
    """relu(dropout(norm(x·W + b))) + shortcut(x)."""

    def __init__(self, dense: nn.Linear, norm: nn.Module, dropout: float, shortcut: nn.Module) -> None:
        """Take the parts."""
        super().__init__()
        self.dense, self.norm, self.shortcut = dense, norm, shortcut
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n, outputs] for [n, inputs]."""
        value: torch.Tensor = torch.relu(self.dropout(self.norm(self.dense(x)))) + self.shortcut(x)
        return value


class TorchNetwork(nn.Module):
    """Blocks and a linear output."""

    def __init__(self, blocks: Sequence[TorchBlock], output: nn.Linear) -> None:
        """Take the parts."""
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.output = output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n] for [n, features]."""
        value: torch.Tensor = self.output(self.blocks(x)).squeeze(1)
        return value

    def learn(self, rows: int) -> None:
        """Prepare for steps on so many rows at a time: one row has no variance to normalise by."""
        self.train()
        if rows < 2:  # noqa: PLR2004 - see above
            self.keep_statistics()

    def keep_statistics(self) -> None:
        """Let batch normalisations use and keep the statistics that they have."""
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()

    def arrays(self) -> ResidualNetwork:
        """Return a copy as plain arrays, batch normalisations folded."""
        blocks = (_block(module) for module in self.blocks if isinstance(module, TorchBlock))
        return ResidualNetwork(tuple(blocks), dense_of(self.output))


def fresh_network(
    inputs: int, widths: Sequence[int], norm: str, dropout: float, *, projected: bool, seed: int
) -> TorchNetwork:
    """Draw a network with torch's initialisation.

    Args:
        inputs: Number of features.
        widths: Of the blocks.
        norm: ``layer`` or ``batch``.
        dropout: Share of values that a block drops.
        projected: Whether every shortcut is a linear map; otherwise only where the width changes.
        seed: Of the draw.
    """
    with seeded(seed):
        blocks = []
        for before, after in pairwise((inputs, *widths)):
            dense = nn.Linear(before, after)
            shortcut = nn.Linear(before, after) if projected or before != after else nn.Identity()
            normed = nn.LayerNorm(after, EPSILON) if norm == "layer" else nn.BatchNorm1d(after)
            blocks.append(TorchBlock(dense, normed, dropout, shortcut))
        return TorchNetwork(blocks, nn.Linear((inputs, *widths)[-1], 1))


def from_arrays(network: ResidualNetwork, dropout: float) -> TorchNetwork:
    """Return a network that goes on from given weights; folded batch normalisations stay folded."""
    blocks = []
    for block in network.blocks:
        norm: nn.Module = nn.Identity()
        if block.norm is not None:
            scale, shift = block.norm
            norm = nn.LayerNorm(len(scale), EPSILON)
            _fill(norm, weight=scale, bias=shift)
        shortcut = nn.Identity() if block.shortcut is None else linear_of(block.shortcut)
        blocks.append(TorchBlock(linear_of(block.dense), norm, dropout, shortcut))
    return TorchNetwork(blocks, linear_of(network.output))


def _block(block: TorchBlock) -> Block:
    dense, norm = dense_of(block.dense), None
    if isinstance(block.norm, nn.LayerNorm):
        norm = (_array(block.norm.weight), _array(block.norm.bias))
    elif isinstance(block.norm, nn.BatchNorm1d):
        dense = _folded(dense, block.norm)
    return Block(dense, norm, dense_of(block.shortcut) if isinstance(block.shortcut, nn.Linear) else None)


def _folded(dense: Dense, norm: nn.BatchNorm1d) -> Dense:
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("the batch normalisation keeps no statistics")
    spread = torch.sqrt(norm.running_var.double() + norm.eps)
    factor = (norm.weight.detach().double() / spread).numpy()
    shift = norm.bias.detach().double().numpy() - norm.running_mean.double().numpy() * factor
    weights, biases = dense
    return (weights * factor).astype(np.float32), (biases * factor + shift).astype(np.float32)


def dense_of(linear: nn.Linear) -> Dense:
    """Return a copy of a linear map as plain arrays."""
    return np.ascontiguousarray(_array(linear.weight).T), _array(linear.bias)


def _array(values: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return values.detach().numpy().astype(np.float32, copy=True)


def linear_of(dense: Dense) -> nn.Linear:
    """Return a linear map in torch, from a copy of its arrays."""
    weights, biases = dense
    inputs, outputs = weights.shape
    linear = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # draws nothing
    _fill(linear, weight=weights.T, bias=biases)
    return linear


def _fill(module: nn.Module, **values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    """Copy arrays into parameters."""
    module.load_state_dict({name: torch.from_numpy(np.array(value, order="C")) for name, value in values.items()})
