"""CHGNet rearranged for ONNX Runtime: the same function of the same weights, in other steps.

The first layer of a gated one is a sum over its parts, so atoms, bonds and angles are projected before they are
gathered; functions of a distance are computed once a distinct distance, and so are the bonds beyond the bond cutoff,
which nothing updates; what one end of a bond has in common is added up before the angles are; sums are products with
padded tables.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.chgnet import CHGNet


class FastCHGNet(nn.Module):
    """CHGNet on padded tables of messages and angles."""

    def __init__(self, network: CHGNet) -> None:
        """Take over the weights."""
        super().__init__()
        whole = cast("Any", network)
        self.network = network
        self.atoms = nn.ModuleList(_Gate(c.twoBody_atom) for c in network.atom_conv_layers)
        self.bonds = nn.ModuleList(_Gate(c.twoBody_bond) for c in network.bond_conv_layers)
        self.angles = nn.ModuleList(_Gate(a["twoBody_bond"]) for a in network.angle_layers)
        self.atom_table = whole.atom_embedding["embedding"].weight
        self.radial, self.radial_bonds = (whole.bond_basis_expansion[f"rbf_expansion_{g}"] for g in ("ag", "bg"))
        self.frequencies = whole.angle_basis_expansion["fourier_expansion"].frequencies
        self.widths = nn.Linear(2 * len(self.frequencies), network.angle_embedding.out_features)
        constant, rest = torch.split(network.angle_embedding.weight.detach() / math.sqrt(math.pi), [1, 2 * len(self.frequencies)], dim=1)
        self.widths.weight, self.widths.bias = nn.Parameter(rest), nn.Parameter(constant[:, 0] * math.sqrt(0.5))

    def forward(
        self,
        numbers: Tensor,
        lengths: Tensor,
        targets: Tensor,
        sources: Tensor,
        length_index: Tensor,
        along: Tensor,
        incoming: Tensor,
        counts: Tensor,
        bond_lengths: Tensor,
        bond_ends: Tensor,
        end_atoms: Tensor,
        end_bonds: Tensor,
        angles: Tensor,
        angle_ends: Tensor,
        angle_bonds: Tensor,
        around: Tensor,
        angle_counts: Tensor,
        pool: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        network = cast("Any", self.network)
        x = self.atom_table.index_select(0, numbers - 1)
        radial = self.radial(lengths)
        far = network.bond_embedding(radial)
        weights = network.bond_weights_ag(radial).index_select(0, length_index)
        bonds = far.index_select(0, bond_lengths)
        fade = network.bond_weights_bg(self.radial_bonds(lengths)).index_select(0, bond_lengths)
        own_fade, other_fade = fade.index_select(0, end_bonds), fade.index_select(0, angle_bonds)
        phases = angles.unsqueeze(1) * self.frequencies
        width = self.widths(torch.cat([torch.sin(phases), torch.cos(phases)], dim=1))

        found = [x]
        last = len(self.atoms) - 1
        for number, gate in enumerate(self.atoms):
            parts = gate.project(x, torch.cat([bonds, far]), x)
            messages = gate.second(
                [
                    own.index_select(0, targets) + bond.index_select(0, along) + other.index_select(0, sources)
                    for own, bond, other in parts
                ]
            )
            update = _out(network.atom_conv_layers[number])
            x = x + update(_total(messages * weights, incoming, counts))
            found.append(x)
            if number == last:
                break
            messages = self.bonds[number].second(
                self._of_angles(self.bonds[number], x, bonds, width, end_atoms, end_bonds, angle_ends, angle_bonds)
            )
            received = _total(messages * other_fade, around, angle_counts) * own_fade
            update = _out(network.bond_conv_layers[number])
            both = torch.cat([update.weight, update.weight], dim=1)
            bonds = bonds + functional.linear(
                functional.embedding(bond_ends, received).view(-1, both.shape[1]), both, update.bias
            )
            if update.bias is not None:
                far = far + update.bias
            if number < last - 1:
                gate = self.angles[number]
                width = width + gate.last(
                    self._of_angles(gate, x, bonds, width, end_atoms, end_bonds, angle_ends, angle_bonds)
                )
        means = [pool @ features for features in found]
        members = pool.bool().float().T
        deviations = [
            torch.sqrt(pool @ torch.square(features - members @ mean))
            for features, mean in zip(found, means, strict=True)
        ]
        return (*means, *deviations, pool @ network._energies(numbers, x))

    def _of_angles(
        self,
        gate: "_Gate",
        x: Tensor,
        bonds: Tensor,
        width: Tensor,
        end_atoms: Tensor,
        end_bonds: Tensor,
        angle_ends: Tensor,
        angle_bonds: Tensor,
    ) -> list[Tensor]:
        """Return what the first layers of core and gate make of each angle."""
        found = []
        for own, other, angle, atom in gate.project(bonds, bonds, width, x):
            end = own.index_select(0, end_bonds) + atom.index_select(0, end_atoms)
            found.append(end.index_select(0, angle_ends) + other.index_select(0, angle_bonds) + angle)
        return found


class _Gate(nn.Module):
    """A gated layer whose first linear layers take their parts one by one."""

    def __init__(self, gated: nn.Module) -> None:
        super().__init__()
        whole = cast("Any", gated)
        self.norms = nn.ModuleList([whole.bn1, whole.bn2])
        self.firsts, self.seconds = nn.ModuleList(), nn.ModuleList()
        for mlp in (whole.mlp_core, whole.mlp_gate):
            first, *others = mlp["layers"].values()
            self.firsts.append(first)
            self.seconds.extend(others)

    def project(self, *parts: Tensor) -> list[list[Tensor]]:
        """Return, for core and gate, the products of the first layer with each part; the bias is in the first one."""
        found = []
        for layer in self.firsts:
            blocks = torch.split(cast("Tensor", layer.weight), parts[0].shape[1], dim=1)
            products = [part @ block.T for part, block in zip(parts[1:], blocks[1:], strict=True)]
            found.append([functional.linear(parts[0], blocks[0], cast("Tensor", layer.bias)), *products])
        return found

    def second(self, hidden: list[Tensor]) -> Tensor:
        """Return the messages, from what the first layers made."""
        return self.last([layer(functional.silu(h)) for layer, h in zip(self.seconds, hidden, strict=True)])

    def last(self, hidden: list[Tensor]) -> Tensor:
        """Return silu(norm(core)) · sigmoid(norm(gate))."""
        core, gate = (norm(h) for norm, h in zip(self.norms, hidden, strict=True))
        return functional.silu(core) * torch.sigmoid(gate)


def _out(convolution: Any) -> Any:
    return convolution.mlp_out["layers"]["1"]


def _total(messages: Tensor, members: Tensor, counts: Tensor) -> Tensor:
    """Return the sums of the members of each row of a padded table, each as often as it counts."""
    return (counts.unsqueeze(1) @ functional.embedding(members, messages)).squeeze(1)
