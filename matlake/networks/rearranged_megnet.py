"""MEGNet, rearranged for ONNX Runtime; the reference is in ``megnet``, the inputs in ``encoders.padded.pairs``."""

import math
from collections.abc import Callable
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.megnet import UPDATES, MEGNet, not_zero
from matlake.networks.statistics import pooled_layers, spread

_FAR: Final = 1e30


class FastMEGNet(nn.Module):
    """MEGNet on padded tables of the edges of each atom."""

    def __init__(self, network: MEGNet) -> None:
        """Take over the weights; the state before the first block is a constant."""
        super().__init__()
        self.network = network
        self.factor = math.sqrt(network.gaussian_exponent)
        self.offsets = nn.Parameter(network.centers.double().mul(self.factor).float())
        self.state = nn.Parameter(network.state_encoder(torch.zeros(1, network.state_width)).detach())
        self.firsts = nn.ModuleList(_FirstLayers(cast("Any", block).conv) for block in network.blocks)
        self.node_s2s, self.edge_s2s = _NodeSet(network.node_s2s), _EdgeSet(network.edge_s2s)

    def forward(
        self, numbers: Tensor, lengths: Tensor, neighbours: Tensor, length_index: Tensor, counts: Tensor, pool: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        network = cast("Any", self.network)
        belongs = spread(pool)
        places = counts.unsqueeze(1)
        degree = counts.sum(dim=1, keepdim=True)
        expanded = torch.exp(-torch.square(lengths.unsqueeze(1) * self.factor - self.offsets))
        edges = functional.embedding(length_index, network.edge_encoder(expanded))  # [a, k, width]
        atoms = network.node_encoder(functional.embedding(numbers, network.embedding.weight))
        states = self.state  # of all crystals at first
        found = [atoms]
        for number, (block, first) in enumerate(zip(network.blocks, cast("Any", self.firsts), strict=True)):
            e, v, u = block.edge_func(edges), block.node_func(atoms), block.state_func(states)
            own, other, along, state = first.edge_func
            ends = v @ own + (belongs @ (u @ state) if number else u @ state)
            ends = ends.unsqueeze(1) + functional.embedding(neighbours, v @ other)
            e = first.rest("edge_func")(ends + e @ along)
            received = (places @ e).squeeze(1)
            own, along, state = first.node_func
            summed = v @ own + (received / not_zero(degree)) @ along
            v = first.rest("node_func")(summed + (belongs @ (u @ state) if number else u @ state))
            own, along, of_atoms = first.state_func
            of_edges = (pool @ received) / not_zero(pool @ degree)
            u = first.rest("state_func")(u @ own + of_edges @ along + (pool @ v) @ of_atoms)
            edges, atoms, states = edges + e, atoms + v, states + u
            found.append(atoms)
        vectors = [self.node_s2s(atoms, pool, belongs), self.edge_s2s(edges, counts, pool, belongs), states]
        readout = torch.cat(vectors, dim=1)
        return (*pooled_layers(pool, found), readout, network.output_proj(readout))


class _FirstLayers(nn.Module):
    """The updates of a convolution, with the weights [inputs, outputs] of their first layers split by input."""

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        self.convolution = convolution
        for name, parts in UPDATES.items():
            split = convolution[name].layers[0].weight.detach().T.chunk(parts)
            setattr(self, name, nn.ParameterList(nn.Parameter(part.contiguous()) for part in split))

    def rest(self, name: str) -> Callable[[Tensor], Tensor]:
        """Return what an update does with the sum of what its first layer takes."""
        layers = self.convolution[name].layers
        return lambda summed: layers[1:](summed + layers[0].bias)


class _SetToSet(nn.Module):
    """The memory cell: what it asks is also what it remembers, so that both weights of a query become one.

    The first query does not look at the crystal: it is a constant.
    """

    def __init__(self, cell: Any) -> None:
        super().__init__()
        lstm, self.iterations = cell.lstm, cell.iterations
        of_query, of_answer = lstm.weight_ih_l0.detach().double().chunk(2, dim=1)
        bias = (lstm.bias_ih_l0.double() + lstm.bias_hh_l0.double()).detach()
        self.query = nn.Parameter((of_query + lstm.weight_hh_l0.detach().double()).T.float().contiguous())
        self.answer = nn.Parameter(of_answer.T.float().contiguous())
        self.bias = nn.Parameter(bias.float())
        write, _, value, read = bias.unsqueeze(0).chunk(4, dim=1)
        memory = torch.sigmoid(write) * torch.tanh(value)
        self.first_query = nn.Parameter((torch.sigmoid(read) * torch.tanh(memory)).float())
        self.first_memory = nn.Parameter(memory.float())

    def ask(self, query: Tensor, answer: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next query and memory."""
        gates = query @ self.query + answer @ self.answer + self.bias
        write, forget, value, read = gates.chunk(4, dim=1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(write) * torch.tanh(value)
        return torch.sigmoid(read) * torch.tanh(memory), memory


class _NodeSet(_SetToSet):
    def forward(self, atoms: Tensor, pool: Tensor, belongs: Tensor) -> Tensor:
        """Return [crystals, 2 · width]; an atom counts by its weight in the pool."""
        outside = (1 - belongs.T) * _FAR
        query, memory = cast("tuple[Tensor, Tensor]", (self.first_query, self.first_memory))
        for step in range(self.iterations):
            logits = query @ atoms.T - outside
            shares = pool * torch.exp(logits - logits.amax(dim=1, keepdim=True))
            answer = (shares @ atoms) / shares.sum(dim=1, keepdim=True)
            if step + 1 < self.iterations:
                query, memory = self.ask(query, answer, memory)
        return torch.cat([query, answer], dim=1)


class _EdgeSet(_SetToSet):
    def forward(self, edges: Tensor, counts: Tensor, pool: Tensor, belongs: Tensor) -> Tensor:
        """Return [crystals, 2 · width]; an edge counts as often as it occurs, times the weight of its atom."""
        outside = (1 - belongs.T) * _FAR
        absent = (1 - (-counts < 0).to(counts.dtype)) * _FAR
        query, memory = cast("tuple[Tensor, Tensor]", (self.first_query, self.first_memory))
        for step in range(self.iterations):
            asked = belongs @ query if step else query
            logits = (edges @ asked.unsqueeze(2)).squeeze(2)
            of_atoms = (logits - absent).amax(dim=1).unsqueeze(0)
            largest = (of_atoms - outside).amax(dim=1, keepdim=True)
            # what is absent may be larger: it stays finite, and counts zero
            shares = counts * torch.exp(-torch.relu(belongs @ largest - logits))
            summed, total = (shares.unsqueeze(1) @ edges).squeeze(1), shares.sum(dim=1, keepdim=True)
            answer = (pool @ summed) / not_zero(pool @ total)
            if step + 1 < self.iterations:
                query, memory = self.ask(query, answer, memory)
        return torch.cat([query, answer], dim=1)
