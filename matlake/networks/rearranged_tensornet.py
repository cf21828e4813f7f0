"""TensorNet rearranged for ONNX Runtime: the same function of the same weights, on symmetry-distinct atoms.

A matrix of an atom is held as nine numbers a channel: the multiple of the identity, the vector of the antisymmetric
part, and the traceless symmetric part in the basis of ``materials.vector_graphs``, each scaled such that the sum of the
squares is the squared Frobenius norm. What is rearranged, exactly: elements are projected before they are gathered;
functions of a distance are computed once a distinct distance; channels are mixed part by part; sums over neighbours are
products with padded tables, which hold the rotations of the neighbours' features as well.
"""

import math
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.materials.vector_graphs import BASIS
from matlake.networks.statistics import pooled_layers
from matlake.networks.tensornet import PARTS, TensorNet

_SIZES = [1, 3, 5]
_NUMBERS = 9


def components() -> Tensor:
    """Return, float64 [9, 9], what makes the entries of a matrix, row by row, out of the nine numbers; orthogonal."""
    levi_civita = np.zeros((3, 3, 3))
    levi_civita[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
    levi_civita[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1
    skew = -levi_civita / math.sqrt(2)  # the matrix of the cross product with each unit vector
    basis = np.concatenate([np.eye(3)[None] / math.sqrt(3), skew, BASIS])
    return torch.from_numpy(basis.reshape(_NUMBERS, _NUMBERS).T.copy())


class FastTensorNet(nn.Module):
    """TensorNet on padded tables of neighbours and their rotations."""

    def __init__(self, network: TensorNet) -> None:
        """Take over the weights."""
        super().__init__()
        self.basis = network.basis
        self.frequency = math.pi / network.cutoff
        self.embedding = _FastEmbedding(network.tensor_embedding)
        self.layers = nn.ModuleList(_FastInteraction(layer) for layer in network.layers)
        self.out_norm, self.linear, self.energy = network.out_norm, network.linear, network.final_layer["gated"]
        self.std = float(network.std)
        self.references = nn.Parameter(network.references[:, None].clone())
        owner = torch.repeat_interleave(torch.arange(PARTS), torch.tensor(_SIZES))
        sums = (owner == torch.arange(PARTS)[:, None]).float()  # of the squares of each part, [3, 9]
        self.sums, self.norms = nn.Parameter(sums), nn.Parameter(sums[1:].clone())
        self.trace = nn.Parameter(sums[:1] / math.sqrt(3))
        self.units = network.linear.out_features

    def forward(
        self,
        numbers: Tensor,
        lengths: Tensor,
        neighbours: Tensor,
        length_index: Tensor,
        moments: Tensor,
        turns: Tensor,
        pool: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        radial = self.basis(lengths)
        fade = (0.5 * torch.cos(lengths * self.frequency) + 0.5).unsqueeze(1)
        sides = torch.split(moments, _SIZES, dim=1)
        x = self.embedding(numbers, radial, fade, neighbours, length_index, sides)
        found = [self._invariants(x)]
        vectors, tensors = torch.split(turns, [size**2 for size in _SIZES[1:]], dim=1)
        by_part = ((sides[0],), torch.split(vectors, 3, dim=1), torch.split(tensors, 5, dim=1))
        for layer in self.layers:
            x = layer(x, radial, fade, neighbours, length_index, by_part)
            found.append(self._invariants(x))
        squares = (self.sums @ torch.square(x)).reshape(-1, PARTS * self.units)
        energies = self.energy(self.linear(self.out_norm(squares))) * self.std
        energies = energies + functional.embedding(numbers, self.references)
        return (*pooled_layers(pool, found), pool @ energies)

    def _invariants(self, x: Tensor) -> Tensor:
        """Return the features that no rotation changes, [atoms, 3 · units]."""
        norms = torch.sqrt(self.norms @ torch.square(x))
        return torch.cat([self.trace @ x, norms], dim=1).reshape(-1, PARTS * self.units)


class _Parts(nn.Module):
    """Mixes the channels of the nine numbers [atoms, 9, units], each part with weights of its own."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(layer.weight.T.contiguous()) for layer in layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the parts, [atoms, 1, 3 or 5, units]."""
        return tuple(part @ weight for part, weight in zip(torch.split(x, _SIZES, dim=1), self.weights, strict=True))


class _FastEmbedding(nn.Module):
    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        source = cast("Any", embedding)
        table = source.emb.weight.double()
        own, other = source.emb2.weight.double().chunk(2, dim=1)
        self.own = nn.Parameter((table @ own.T + source.emb2.bias.double()).float())
        self.other = nn.Parameter((table @ other.T).float())
        scales = zip((3, 2, 1), (source.distance_proj1, source.distance_proj2, source.distance_proj3), strict=True)
        scaled = [(math.sqrt(s) * layer.weight.double(), math.sqrt(s) * layer.bias.double()) for s, layer in scales]
        self.weight = nn.Parameter(torch.cat([weight for weight, _ in scaled]).float())
        self.bias = nn.Parameter(torch.cat([bias for _, bias in scaled]).float())
        self.mixing = _Parts(source.linears_tensor)
        self.norm = source.init_norm
        self.first, last = source.linears_scalar
        self.last = _by_part(last)

    def forward(
        self,
        numbers: Tensor,
        radial: Tensor,
        fade: Tensor,
        neighbours: Tensor,
        length_index: Tensor,
        sides: tuple[Tensor, ...],
    ) -> Tensor:
        filters = functional.embedding(length_index, functional.linear(radial, self.weight, self.bias) * fade)
        other = functional.embedding(neighbours, functional.embedding(numbers, self.other))
        pair = functional.embedding(numbers, self.own).unsqueeze(1) + other
        parts = [side @ (pair * part) for side, part in zip(sides, filters.chunk(PARTS, dim=2), strict=True)]
        x = torch.cat(parts, dim=1)
        scales = functional.silu(self.first(self.norm(_square(x).squeeze(1))))
        columns = functional.silu(self.last(scales)).unsqueeze(1).chunk(PARTS, dim=2)
        return torch.cat([a * b for a, b in zip(self.mixing(x), columns, strict=True)], dim=1)


class _FastInteraction(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        source = cast("Any", layer)
        self.first, self.second, last = source.linears_scalar
        self.last = _by_part(last)
        self.before = _Parts(source.linears_tensor[:PARTS])
        self.after = _Parts(source.linears_tensor[PARTS:])
        entries = components().float()
        self.entries = nn.Parameter(entries)
        self.numbers = nn.Parameter(entries.T.contiguous())

    def forward(
        self,
        x: Tensor,
        radial: Tensor,
        fade: Tensor,
        neighbours: Tensor,
        length_index: Tensor,
        turns: tuple[tuple[Tensor, ...], ...],
    ) -> Tensor:
        act = functional.silu
        filters = act(self.last(act(self.second(act(self.first(radial)))))) * fade
        places = functional.embedding(length_index, filters).chunk(PARTS, dim=2)
        x = _normed(x)
        parts = self.before(x)
        received = []
        for part, matrices, place in zip(parts, turns, places, strict=True):
            numbers = [number.squeeze(1) for number in torch.split(part, 1, dim=1)]
            sums = [
                matrix @ (functional.embedding(neighbours, number) * place)
                for matrix, number in zip(matrices, numbers, strict=True)
            ]
            received.append(sum(sums[1:], start=sums[0]))
        y, message = self._matrices(torch.cat(parts, dim=1)), self._matrices(torch.cat(received, dim=1))
        product = _normed(self._numbers(_product(y, message) + _product(message, y)))
        step = torch.cat(self.after(product), dim=1)
        matrix = self._matrices(step)
        return x + step + self._numbers(_product(matrix, matrix))

    def _matrices(self, x: Tensor) -> Tensor:
        return (self.entries @ x).reshape(-1, 3, 3, x.shape[2])

    def _numbers(self, matrices: Tensor) -> Tensor:
        return self.numbers @ matrices.reshape(-1, _NUMBERS, matrices.shape[3])


def _square(x: Tensor) -> Tensor:
    """Return the squared norms of [atoms, 9, units], [atoms, 1, units]."""
    return torch.ones(1, _NUMBERS, dtype=x.dtype) @ torch.square(x)


def _normed(x: Tensor) -> Tensor:
    return x / (_square(x) + 1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Return the products of matrices [atoms, 3, 3, units]: few enough to be written out."""
    products = [column * row for column, row in zip(torch.split(a, 1, dim=2), torch.split(b, 1, dim=1), strict=True)]
    total: Tensor = products[0] + products[1] + products[2]
    return total


def _by_part(layer: nn.Linear) -> nn.Linear:
    """Return a layer whose outputs [units · 3] stand part by part, [3 · units]."""
    ordered = nn.Linear(layer.in_features, layer.out_features)
    order = torch.arange(layer.out_features).view(-1, PARTS).T.flatten()
    ordered.weight = nn.Parameter(layer.weight[order])
    ordered.bias = nn.Parameter(layer.bias[order])
    return ordered
