"""M3GNet, rearranged for ONNX Runtime; the reference is in ``m3gnet``, the inputs in ``encoders.padded.triplets``."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.m3gnet import GatedMLP, M3GNet, envelope
from matlake.networks.statistics import pooled_layers


class FastM3GNet(nn.Module):
    """M3GNet on a list of edges and padded tables of the edges and bonds of each atom."""

    def __init__(self, network: M3GNet) -> None:
        """Take over the weights."""
        super().__init__()
        self.network = network

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
        atoms = functional.embedding(numbers, network.embedding["layer_node_embedding"].weight)
        edges = functional.embedding(length_index, network.embedding["layer_edge_embedding"](radial))
        found = [atoms]
        for interaction, layer in zip(network.three_body_interactions, network.graph_layers, strict=True):
            weighted = three_body * functional.embedding(neighbours, interaction.update_network_atom(atoms))
            parts = functional.embedding(coupled, weighted.view(len(weighted) * network.num_spherical, -1))
            sums = (couplings @ parts).reshape(-1, parts.shape[-1])
            sums = functional.embedding(rows, sums).reshape(-1, weighted.shape[1])
            edges = edges + interaction.update_network_bond(sums * fades)

            convolution = layer["conv"]
            ends = (functional.linear(atoms, w) for w in _ends(convolution, atoms.shape[1]))
            own, other = (functional.embedding(index, end) for index, end in zip((owners, neighbours), ends, strict=True))
            of_edges, of_atoms = (own + other).chunk(2, dim=1)
            along = functional.embedding(length_index, convolution.edge_weight_func(radial))
            edges = edges + _gated(convolution.edge_update_func, of_edges, edges) * along
            along = functional.embedding(length_index, convolution.node_weight_func(radial))
            messages = _gated(convolution.node_update_func, of_atoms, edges) * along
            atoms = atoms + (places @ functional.embedding(edge_table, messages)).squeeze(1)
            found.append(atoms)
        energies = network.final_layer["gated"](atoms) + functional.embedding(numbers, network.references)
        return (*pooled_layers(pool, found), pool @ energies)


def _ends(convolution: Any, width: int) -> tuple[Tensor, Tensor]:
    """Return what first layers do with the atom that an edge belongs to, and with the one at its other end.

    Each is [4 · hidden, width]: atoms go through it before edges gather them.
    """
    functions = (convolution.edge_update_func, convolution.node_update_func)
    weights = torch.cat([part[0].weight for function in functions for part in (function.layers, function.gates)])
    own, other, _ = torch.split(weights, [width, width, weights.shape[1] - 2 * width], dim=1)
    return own, other


def _gated(function: GatedMLP, ends: Tensor, edges: Tensor) -> Tensor:
    """Return a gated function of what the atoms at the ends contribute to its first layer, and of the edges."""
    values, gates = cast("Any", function.layers), cast("Any", function.gates)
    weights = torch.cat([values[0].weight, gates[0].weight])
    _, weight = torch.split(weights, [weights.shape[1] - edges.shape[1], edges.shape[1]], dim=1)
    bias = torch.cat([values[0].bias, gates[0].bias])
    value, gate = functional.silu(ends + functional.linear(edges, weight, bias)).chunk(2, dim=1)
    return cast("Tensor", values[2:](value) * gates[2:](gate))


@torch.no_grad()
def unfold_m3gnet(network: Any, weights: Mapping[str, Tensor]) -> None:
    """Give an M3GNet the weights of its exported file."""
    for name, tensor in network.state_dict().items():
        tensor.copy_(weights[f"network.{name}"])
