"""M3GNet: features of atoms and of edges; edges are updated through the angles between the bonds of an atom.

Source: Chen and Ong, Nat. Comput. Sci. 2, 718 (2022), arXiv 2202.02450. Parameter names are those of matgl, whose state
dicts load. The sum over triplets is a sum over pairs of distinct bonds with the angular couplings of
``materials.triplet_graphs``, exactly: a basis function of distance and angle is a product of two.
"""

from typing import cast

import torch
from torch import nn

from matlake.networks.matgl_layers import Dense, GatedMLP, SmoothBessel
from matlake.networks.statistics import layers_of_atoms
from matlake.networks.triplet_batches import TripletBatch


class M3GNet(nn.Module):
    """Embedding, blocks of a three-body update and a convolution, and the energies of atoms."""

    references: torch.Tensor

    def __init__(
        self,
        *,
        atom_width: int = 64,
        edge_width: int = 64,
        hidden_width: int = 128,
        num_blocks: int = 3,
        num_spherical: int = 3,
        num_radial: int = 3,
        cutoff: float = 5.0,
        bond_cutoff: float = 4.0,
        elements: int = 95,
        targets: int = 1,
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            atom_width: Length of an atom's vector.
            edge_width: Length of an edge's vector.
            hidden_width: Length of the hidden layers.
            num_blocks: Blocks.
            num_spherical: Legendre polynomials.
            num_radial: Radial functions of edges, and of each Legendre polynomial.
            cutoff: Of the edges, in Å.
            bond_cutoff: Of the bonds, between which angles count, in Å.
            elements: Rows of the table of elements, one more than the largest atomic number.
            targets: Numbers predicted.
        """
        super().__init__()
        self.num_spherical = num_spherical
        self.bond_cutoff = bond_cutoff
        self.register_buffer("references", torch.zeros(elements, targets))
        functions = num_spherical * num_radial
        self.radial = SmoothBessel(num_radial, cutoff)
        self.three_body_radial = SmoothBessel(functions, cutoff)
        self.embedding = nn.ModuleDict(
            {
                "layer_node_embedding": nn.Embedding(elements, atom_width),
                "layer_edge_embedding": Dense(num_radial, edge_width, nn.SiLU()),
            }
        )
        self.three_body_interactions = nn.ModuleList(
            ThreeBody(atom_width, edge_width, functions) for _ in range(num_blocks)
        )
        inputs = 2 * atom_width + edge_width
        self.graph_layers = nn.ModuleList(
            nn.ModuleDict({"conv": Convolution(inputs, hidden_width, (edge_width, atom_width), num_radial)})
            for _ in range(num_blocks)
        )
        self.final_layer = nn.ModuleDict(
            {"gated": GatedMLP((atom_width, atom_width, hidden_width, hidden_width, targets), activate_last=False)}
        )

    def forward(self, batch: TripletBatch) -> dict[str, torch.Tensor]:
        """Return the layers by name, each [crystals, width]; the prediction is a mean over atoms."""
        radial = self.radial(batch.distances)
        fade = envelope(batch.distances, self.bond_cutoff)[:, None]
        three_body = self.three_body_radial(batch.distances) * fade
        atoms = self.embedding["layer_node_embedding"](batch.numbers)
        edges = self.embedding["layer_edge_embedding"](radial)
        found = [atoms]
        for interaction, layer in zip(self.three_body_interactions, self.graph_layers, strict=True):
            edges = interaction(atoms, edges, three_body, fade, batch)
            edges, atoms = cast("nn.ModuleDict", layer)["conv"](atoms, edges, radial, batch)
            found.append(atoms)
        energies = self.final_layer["gated"](atoms) + self.references.index_select(0, batch.numbers)
        return {**layers_of_atoms(batch, found), "prediction": batch.pool(energies)}

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        last = cast("GatedMLP", self.final_layer["gated"]).layers[-1]
        last.weight.mul_(std[:, None])  # type: ignore[operator]
        last.bias.mul_(std)  # type: ignore[operator]
        self.references.copy_(self.references * std + mean)


def envelope(distances: torch.Tensor, cutoff: float) -> torch.Tensor:
    """Return the polynomial of equation 8 of the DimeNet paper with p = 3, one at no distance and zero behind it."""
    x = distances / cutoff
    x = x - torch.relu(x - 1)  # exactly one from the cutoff on, where the polynomial is exactly zero
    return 1 + x**3 * (-10 + x * (15 - 6 * x))


class ThreeBody(nn.Module):
    """Equations 2 and 3: what an edge learns from the other bonds of its atom."""

    def __init__(self, atom_width: int, edge_width: int, functions: int) -> None:
        """Build the update of edges through so many functions of distance and angle."""
        super().__init__()
        self.update_network_atom = Dense(atom_width, functions, nn.Sigmoid())
        self.update_network_bond = GatedMLP((functions, edge_width), bias=False)

    def forward(
        self,
        atoms: torch.Tensor,
        edges: torch.Tensor,
        radial: torch.Tensor,
        fade: torch.Tensor,
        batch: TripletBatch,
    ) -> torch.Tensor:
        """Update edges [edges, width] with faded radial functions [edges, degrees · radials], l before n."""
        weighted = radial * self.update_network_atom(atoms).index_select(0, batch.neighbour)
        degrees = batch.legendre.shape[1]
        parts = weighted.index_select(0, batch.second).view(len(batch.second), degrees, -1)
        parts = (parts * batch.legendre[:, :, None]).flatten(1)
        sums = torch.zeros_like(weighted).index_add(0, batch.first, parts)
        return edges + self.update_network_bond(sums * fade)  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """Equations 4 and 5: edges from the atoms at both ends, then atoms from their edges."""

    def __init__(self, inputs: int, hidden: int, outputs: tuple[int, int], radials: int) -> None:
        """Build the updates of edges and atoms, of the widths given."""
        super().__init__()
        edge_width, atom_width = outputs
        self.edge_update_func = GatedMLP((inputs, hidden, hidden, edge_width))
        self.edge_weight_func = nn.Linear(radials, edge_width, bias=False)
        self.node_update_func = GatedMLP((inputs, hidden, hidden, atom_width))
        self.node_weight_func = nn.Linear(radials, atom_width, bias=False)

    def forward(
        self, atoms: torch.Tensor, edges: torch.Tensor, radial: torch.Tensor, batch: TripletBatch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return new edges and atoms."""
        ends = torch.cat([atoms.index_select(0, batch.owner), atoms.index_select(0, batch.neighbour)], dim=1)
        edges = edges + self.edge_update_func(torch.cat([ends, edges], dim=1)) * self.edge_weight_func(radial)
        messages = self.node_update_func(torch.cat([ends, edges], dim=1)) * self.node_weight_func(radial)
        return edges, atoms.index_add(0, batch.owner, messages * batch.counts[:, None])
