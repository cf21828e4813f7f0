"""TensorNet: a 3 by 3 matrix for each atom and channel, updated by messages and by products of matrices.

Source: Simeon and De Fabritiis, NeurIPS 2023, arXiv 2306.06482; equations are numbered as there. Parameter names are
those of matgl, whose variant has a basis of its own (``SmoothBessel``), squared norms where the paper says so, and a
gated network for the energy of an atom. Every matrix is the sum of a multiple of the identity, an antisymmetric and a
traceless symmetric part. This module computes with whole matrices, as the paper writes them, on all atoms and edges.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.matgl_layers import GatedMLP, SmoothBessel
from matlake.networks.statistics import layers_of_atoms
from matlake.networks.vector_batches import VectorBatch

PARTS = 3
"""Parts of a matrix: identity, antisymmetric, traceless symmetric."""


class TensorNet(nn.Module):
    """Embedding, interaction layers, energies of atoms; predictions are means over atoms."""

    references: Tensor
    std: Tensor

    def __init__(
        self, *, units: int = 64, num_blocks: int = 2, num_radial: int = 3, cutoff: float = 5.0, species: int = 95
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            units: Channels.
            num_blocks: Interaction layers.
            num_radial: Functions that a distance is expanded in.
            cutoff: In Å.
            species: Rows of the tables of elements; row z is of atomic number z.
        """
        super().__init__()
        self.cutoff = cutoff
        self.basis = SmoothBessel(num_radial, cutoff)
        self.tensor_embedding = _Embedding(units, num_radial, species)
        self.layers = nn.ModuleList(_Interaction(units, num_radial) for _ in range(num_blocks))
        self.out_norm = nn.LayerNorm(PARTS * units)
        self.linear = nn.Linear(PARTS * units, units)
        self.final_layer = nn.ModuleDict({"gated": GatedMLP((units, units, units, units, 1), activate_last=False)})
        self.register_buffer("references", torch.zeros(species))
        self.register_buffer("std", torch.ones(()))

    def forward(self, batch: VectorBatch) -> dict[str, Tensor]:
        """Return the layers by name, each [crystals, width]."""
        radial = self.basis(batch.distances)
        fade = 0.5 * (torch.cos(batch.distances * (math.pi / self.cutoff)) + 1.0)
        x = self.tensor_embedding(batch, radial, fade)
        found = [invariants(x)]
        for layer in self.layers:
            x = layer(x, batch, radial, fade)
            found.append(invariants(x))
        squares = torch.cat([square(part) for part in decompose(x)], dim=-1)
        energies = self.final_layer["gated"](self.linear(self.out_norm(squares))) * self.std
        energies = energies + self.references[batch.numbers][:, None]
        return {**layers_of_atoms(batch, found), "prediction": batch.pool(energies)}


def decompose(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the parts of matrices [..., 3, 3] (equation 1): identity, antisymmetric, traceless symmetric."""
    identity = torch.eye(3, dtype=x.dtype) * x.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    turned = x.transpose(-1, -2)
    return identity, (x - turned) / 2, (x + turned) / 2 - identity


def square(x: Tensor) -> Tensor:
    """Return the squared Frobenius norms of matrices [..., 3, 3]."""
    return torch.square(x).sum((-1, -2))


def invariants(x: Tensor) -> Tensor:
    """Return the features of atoms that no rotation changes.

    Args:
        x: [atoms, units, 3, 3].

    Returns:
        [atoms, 3 · units]: a third of the trace, and the norms of the antisymmetric and the traceless symmetric part.
    """
    identity, skew, traceless = decompose(x)
    return torch.cat([identity[..., 0, 0], torch.sqrt(square(skew)), torch.sqrt(square(traceless))], dim=-1)


def _mixed(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a linear layer to the channels of matrices [atoms, units, 3, 3]."""
    mixed: Tensor = layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return mixed


def _received(messages: Tensor, batch: VectorBatch) -> Tensor:
    return messages.new_zeros(len(batch.numbers), *messages.shape[1:]).index_add(0, batch.owner, messages)


class _Embedding(nn.Module):
    """Matrices from elements, distances and directions (equations 7 to 9)."""

    def __init__(self, units: int, radials: int, species: int) -> None:
        super().__init__()
        self.distance_proj1 = nn.Linear(radials, units)
        self.distance_proj2 = nn.Linear(radials, units)
        self.distance_proj3 = nn.Linear(radials, units)
        self.emb = nn.Embedding(species, units)
        self.emb2 = nn.Linear(2 * units, units)
        self.linears_tensor = nn.ModuleList(nn.Linear(units, units, bias=False) for _ in range(PARTS))
        self.linears_scalar = nn.ModuleList([nn.Linear(units, 2 * units), nn.Linear(2 * units, PARTS * units)])
        self.init_norm = nn.LayerNorm(units)

    def forward(self, batch: VectorBatch, radial: Tensor, fade: Tensor) -> Tensor:
        elements = self.emb(batch.numbers)
        pair = self.emb2(torch.cat([elements[batch.owner], elements[batch.neighbour]], dim=-1)) * fade[:, None]
        u = batch.directions
        identity = torch.eye(3, dtype=u.dtype).expand(len(u), 3, 3)
        skew = torch.linalg.cross(identity, u[:, None, :].expand(-1, 3, 3))  # the matrix of the cross product
        traceless = u[:, :, None] * u[:, None, :] - identity / 3
        weights = (self.distance_proj1(radial), self.distance_proj2(radial), self.distance_proj3(radial))
        parts = [
            _received((pair * weight)[..., None, None] * tensor[:, None], batch)
            for weight, tensor in zip(weights, (identity, skew, traceless), strict=True)
        ]
        scales = self.init_norm(square(parts[0] + parts[1] + parts[2]))
        for layer in self.linears_scalar:
            scales = functional.silu(layer(scales))
        return _weighted(scales, [_mixed(layer, p) for layer, p in zip(self.linears_tensor, parts, strict=True)])


class _Interaction(nn.Module):
    """Messages, products of matrices, and the update (equations 10 to 13)."""

    def __init__(self, units: int, radials: int) -> None:
        super().__init__()
        widths = (radials, units, 2 * units, PARTS * units)
        self.linears_scalar = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.linears_tensor = nn.ModuleList(nn.Linear(units, units, bias=False) for _ in range(2 * PARTS))

    def forward(self, x: Tensor, batch: VectorBatch, radial: Tensor, fade: Tensor) -> Tensor:
        filters = radial
        for layer in self.linears_scalar:
            filters = functional.silu(layer(filters))
        filters = filters * fade[:, None]
        x = x / (square(x) + 1)[..., None, None]
        parts = [_mixed(layer, p) for layer, p in zip(self.linears_tensor[:PARTS], decompose(x), strict=True)]
        y = parts[0] + parts[1] + parts[2]
        message = _received(_weighted(filters, [part[batch.neighbour] for part in parts]), batch)
        product = y @ message + message @ y
        product = product / (square(product) + 1)[..., None, None]
        after = [_mixed(layer, p) for layer, p in zip(self.linears_tensor[PARTS:], decompose(product), strict=True)]
        step = after[0] + after[1] + after[2]
        return x + step + step @ step


def _weighted(weights: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of parts [n, units, 3, 3], each times its column of weights [n, units · 3]."""
    columns = weights.view(len(weights), -1, PARTS)[..., None, None].unbind(2)
    return columns[0] * parts[0] + columns[1] * parts[1] + columns[2] * parts[2]
