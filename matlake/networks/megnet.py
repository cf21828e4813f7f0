"""MEGNet: features of atoms, of edges and of the whole crystal, read out by set2set.

Source: Chen et al., Chem. Mater. 31, 3564 (2019), arXiv 1812.05055; set2set: Vinyals et al., ICLR 2016, arXiv
1511.06391. Parameter names are those of matgl, whose state dicts load. The state of the crystal begins at zero, as
there, since nothing but the structure is given.
"""

import math
from itertools import pairwise
from typing import Any, Final, cast

import torch
from torch import nn

from matlake.networks.batches import PairBatch
from matlake.networks.statistics import layers_of_atoms

UPDATES: Final = {"edge_func": 4, "node_func": 3, "state_func": 3}
"""The updates of a convolution, and how many things of one width each takes side by side."""

_LEAST: Final = 1e-12  # of a total that is not one of nothing


class MEGNet(nn.Module):
    """Encoders, blocks and read-out; the prediction is of the crystal as a whole."""

    centers: torch.Tensor

    def __init__(
        self,
        *,
        atom_width: int = 16,
        num_gaussians: int = 100,
        gaussian_exponent: float = 0.5,
        state_width: int = 2,
        hidden_width: int = 64,
        width: int = 32,
        convolution_width: int = 64,
        output_width: int = 32,
        last_width: int = 16,
        num_blocks: int = 3,
        iterations: int = 2,
        cutoff: float = 4.0,
        elements: int = 95,
        targets: int = 1,
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            atom_width: Length of the vector of an element.
            num_gaussians: Gaussians that a distance is expanded in.
            gaussian_exponent: Of exp(-a (d - c)²), in 1/Å².
            state_width: Length of the state of a crystal before the first layer.
            hidden_width: Length of the hidden layer before a convolution.
            width: Length of an atom's, an edge's and a state's vector.
            convolution_width: Length of the hidden layers of a convolution.
            output_width: Length of the first layer behind the read-out.
            last_width: Length of the second one.
            num_blocks: Blocks.
            iterations: Steps of set2set.
            cutoff: In Å; the Gaussians go 1 Å further.
            elements: Rows of the table of elements, one more than the largest atomic number.
            targets: Numbers predicted.
        """
        super().__init__()
        self.state_width = state_width
        self.gaussian_exponent = gaussian_exponent
        self.register_buffer("centers", torch.linspace(0.0, cutoff + 1.0, num_gaussians))
        self.embedding = nn.Embedding(elements, atom_width)
        self.edge_encoder = MLP(num_gaussians, hidden_width, width)
        self.node_encoder = MLP(atom_width, hidden_width, width)
        self.state_encoder = MLP(state_width, hidden_width, width)
        self.blocks = nn.ModuleList(
            _Block(width, hidden_width if number else 0, convolution_width) for number in range(num_blocks)
        )
        self.edge_s2s = _SetToSet(width, iterations)
        self.node_s2s = _SetToSet(width, iterations)
        self.output_proj = MLP(5 * width, output_width, last_width, targets, activate_last=False)

    def forward(self, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Return the layers by name, each [crystals, width]."""
        of_edges = batch.crystal.index_select(0, batch.owner)
        multiplicity = batch.weights.index_select(0, batch.owner) * batch.counts
        edges = self.edge_encoder(gaussians(batch.distances, self.centers, self.gaussian_exponent))
        atoms = self.node_encoder(self.embedding(batch.numbers))
        states = self.state_encoder(batch.distances.new_zeros(batch.size, self.state_width))
        found = [atoms]
        for block in self.blocks:
            edges, atoms, states = block(edges, atoms, states, batch)
            found.append(atoms)
        readout = torch.cat(
            [
                self.node_s2s(atoms, batch.crystal, batch.weights, batch.size),
                self.edge_s2s(edges, of_edges, multiplicity, batch.size),
                states,
            ],
            dim=1,
        )
        return {**layers_of_atoms(batch, found), "readout": readout, "prediction": self.output_proj(readout)}

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        last = self.output_proj.layers[-1]
        last.weight.mul_(std[:, None])  # type: ignore[operator]
        last.bias.copy_(last.bias * std + mean)  # type: ignore[operator]


def gaussians(distances: torch.Tensor, centers: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return exp(-a (d - c)²) of distances in Å, [n, Gaussians]."""
    return torch.exp(-exponent * torch.square(distances[:, None] - centers))


class ShiftedSoftplus(nn.Module):
    """ln(1 + eˣ) - ln 2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return an array of the same shape; for ONNX Runtime without its slow operator Softplus."""
        return torch.relu(x) + torch.log(0.5 + torch.exp(-math.log(2) - torch.abs(x)))


class MLP(nn.Module):
    """Linear layers with shifted softplus between them and, mostly, behind them."""

    def __init__(self, *widths: int, activate_last: bool = True) -> None:
        """Build layers between the widths."""
        super().__init__()
        self.layers = nn.Sequential()
        for inputs, outputs in pairwise(widths):
            self.layers.append(nn.Linear(inputs, outputs))
            self.layers.append(ShiftedSoftplus())
        if not activate_last:
            del self.layers[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n, last width]."""
        return self.layers(x)  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Dense layers, except in the first block, and a convolution, with a skip connection around both."""

    def __init__(self, width: int, hidden: int, convolution: int) -> None:
        super().__init__()
        for name in UPDATES:
            self.add_module(name, MLP(width, hidden, width) if hidden else nn.Identity())
        self.conv = nn.ModuleDict(
            {name: MLP(parts * width, convolution, convolution, width) for name, parts in UPDATES.items()}
        )

    def forward(
        self, edges: torch.Tensor, atoms: torch.Tensor, states: torch.Tensor, batch: PairBatch
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Update edges from the atoms at their ends, atoms from their edges, and the state from all of both."""
        dense = cast("Any", self)
        e, v, u = dense.edge_func(edges), dense.node_func(atoms), dense.state_func(states)
        u_atoms = u.index_select(0, batch.crystal)
        ends = (v.index_select(0, batch.owner), v.index_select(0, batch.neighbour))
        e = self.conv["edge_func"](torch.cat([*ends, e, u_atoms.index_select(0, batch.owner)], dim=1))
        received = torch.zeros_like(v).index_add(0, batch.owner, e * batch.counts[:, None])
        degree = v.new_zeros(len(v)).index_add(0, batch.owner, batch.counts)[:, None]
        v = self.conv["node_func"](torch.cat([v, received / not_zero(degree), u_atoms], dim=1))
        of_edges = batch.pool(received) / not_zero(batch.pool(degree))
        u = self.conv["state_func"](torch.cat([u, of_edges, batch.pool(v)], dim=1))
        return edges + e, atoms + v, states + u


def not_zero(totals: torch.Tensor) -> torch.Tensor:
    """Return totals that sums of nothing can be divided by: one where there is nothing."""
    return totals + (totals < _LEAST).to(totals.dtype)


class _SetToSet(nn.Module):
    """A vector of a set of any size: a memory cell that asks the members again and again."""

    def __init__(self, width: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.lstm = nn.LSTM(2 * width, width)

    def forward(self, members: torch.Tensor, owner: torch.Tensor, weights: torch.Tensor, size: int) -> torch.Tensor:
        """Return [sets, 2 · width]; a member counts as many times as its weight says."""
        width = members.shape[1]
        asked = members.new_zeros(size, 2 * width)
        memory = (members.new_zeros(1, size, width), members.new_zeros(1, size, width))
        for _ in range(self.iterations):
            query, memory = self.lstm(asked[None], memory)
            logits = (members * query[0].index_select(0, owner)).sum(dim=1)
            largest = logits.new_full((size,), -math.inf).scatter_reduce(0, owner, logits, "amax")
            shares = weights * torch.exp(logits - largest.index_select(0, owner))
            total = not_zero(shares.new_zeros(size).index_add(0, owner, shares))
            answer = members.new_zeros(size, width).index_add(0, owner, shares[:, None] * members) / total[:, None]
            asked = torch.cat([query[0], answer], dim=1)
        return asked
