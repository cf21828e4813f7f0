"""M3GNet, rearranged for ONNX Runtime; the reference is in ``m3gnet``, the inputs in ``encoders.padded.triplets``."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.m3gnet import M3GNet, envelope
from matlake.networks.statistics import pooled_layers


class FastM3GNet(nn.Module):
    """M3GNet on a list of edges and padded tables of the edges and bonds of each atom."""

    def __init__(self, network: M3GNet) -> None:
        """Take over the weights."""
        super().__init__()
        self.network = network
        self.firsts = nn.ModuleList(_FirstLayers(layer["conv"]) for layer in cast("Any", network.graph_layers))

    def forward(
        self,
        numbers: Tensor,
        lengths: Tensor,
        owners: Tensor,
        neighbours: Tensor,
        length_index: Tensor,
        edge_table: Tensor,
        counts: Tensor,
        coupled: Tensor,
        couplings: Tensor,
        rows: Tensor,
        pool: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        network = cast("Any", self.network)
        radial = network.radial(lengths)
        fade = envelope(lengths, network.bond_cutoff).unsqueeze(1)
        three_body = functional.embedding(length_index, network.three_body_radial(lengths) * fade)
        fades = functional.embedding(length_index, fade)
        places = counts.unsqueeze(1)
        radials = three_body.shape[1] // network.num_spherical
        atoms = functional.embedding(numbers, network.embedding["layer_node_embedding"].weight)
        edges = functional.embedding(length_index, network.embedding["layer_edge_embedding"](radial))
        found = [atoms]
        blocks = zip(network.three_body_interactions, network.graph_layers, cast("Any", self.firsts), strict=True)
        for interaction, layer, first in blocks:
            weighted = three_body * functional.embedding(neighbours, interaction.update_network_atom(atoms))
            parts = functional.embedding(coupled, weighted.view(-1, radials))
            sums = (couplings @ parts).reshape(-1, radials)
            sums = functional.embedding(rows, sums).reshape(-1, three_body.shape[1])
            edges = edges + interaction.update_network_bond(sums * fades)

            convolution = layer["conv"]
            of_edges, of_atoms = first(atoms, owners, neighbours)
            along = functional.embedding(length_index, convolution.edge_weight_func(radial))
            edges = edges + first.edge_update_func(of_edges, edges) * along
            along = functional.embedding(length_index, convolution.node_weight_func(radial))
            messages = first.node_update_func(of_atoms, edges) * along
            atoms = atoms + (places @ functional.embedding(edge_table, messages)).squeeze(1)
            found.append(atoms)
        energies = network.final_layer["gated"](atoms) + functional.embedding(numbers, network.references)
        return (*pooled_layers(pool, found), pool @ energies)


class _FirstLayers(nn.Module):
    """The first layers of a convolution's gated functions side by side: [values, gates] of edges, then of messages.

    Atoms go through their part before edges gather them.
    """

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        functions = (convolution.edge_update_func, convolution.node_update_func)
        weights = [torch.cat([part[0].weight for part in (f.layers, f.gates)]).T.detach() for f in functions]
        width = (len(weights[0]) - len(convolution.edge_weight_func.weight)) // 2
        self.own = nn.Parameter(torch.cat([w[:width] for w in weights], dim=1))
        self.other = nn.Parameter(torch.cat([w[width : 2 * width] for w in weights], dim=1))
        parts = (_Gated(f, w[2 * width :]) for f, w in zip(functions, weights, strict=True))
        self.edge_update_func, self.node_update_func = parts

    def forward(self, atoms: Tensor, owners: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the atoms at the ends of edges contribute to the first layers."""
        ends = functional.embedding(owners, atoms @ self.own) + functional.embedding(neighbours, atoms @ self.other)
        of_edges, of_messages = ends.chunk(2, dim=1)
        return of_edges, of_messages


class _Gated(nn.Module):
    """A gated function whose first layer is split between the atoms at the ends of an edge and the edge."""

    def __init__(self, function: Any, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous())
        self.bias = nn.Parameter(torch.cat([function.layers[0].bias, function.gates[0].bias]).detach())
        self.layers, self.gates = function.layers[2:], function.gates[2:]

    def forward(self, ends: Tensor, edges: Tensor) -> Tensor:
        value, gate = functional.silu(ends + (edges @ self.weight + self.bias)).chunk(2, dim=1)
        return cast("Tensor", self.layers(value) * self.gates(gate))
