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
from matlake.networks.statistics import pooled_layers


class FastCHGNet(nn.Module):
    """CHGNet on padded tables of messages and angles."""

    def __init__(self, network: CHGNet) -> None:
        """Take over the weights."""
        super().__init__()
        whole = cast("Any", network)
        self.network = network
        self.atom_gates = nn.ModuleList(_Gate(layer.twoBody_atom) for layer in whole.atom_conv_layers)
        self.bond_gates = nn.ModuleList(_Gate(layer.twoBody_bond) for layer in whole.bond_conv_layers)
        self.angle_gates = nn.ModuleList(_Gate(layer["twoBody_bond"]) for layer in whole.angle_layers)
        self.atom_updates = nn.ModuleList(_negated(_out(layer)) for layer in whole.atom_conv_layers)
        self.bond_updates = nn.ModuleList(_for_both_ends(_negated(_out(layer))) for layer in whole.bond_conv_layers)
        self.angular = _Angular(whole.angle_basis_expansion["fourier_expansion"].frequencies, network.angle_embedding)
        table = whole.atom_embedding["embedding"].weight
        self.table = nn.Parameter(torch.cat([torch.zeros_like(table[:1]), table]))  # by atomic number

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
        x = _rows(numbers, self.table)
        radial, radial_bonds = (network.bond_basis_expansion[f"rbf_expansion_{g}"](lengths) for g in ("ag", "bg"))
        far = network.bond_embedding(radial)
        bonds = _rows(bond_lengths, far)
        weights = _rows(length_index, network.bond_weights_ag(radial))
        fade = _rows(bond_lengths, network.bond_weights_bg(radial_bonds))
        own_fade, other_fade = _rows(end_bonds, fade), _rows(angle_bonds, fade)
        width = self.angular(angles)
        at = (end_atoms, end_bonds, angle_ends, angle_bonds)

        found = [x]
        last = len(self.atom_gates) - 1
        for number in range(last):
            x = x + self._to_atoms(number, x, bonds, far, (targets, along, sources), weights, incoming, counts)
            found.append(x)
            messages = self.bond_gates[number](
                self._of_angles(self.bond_gates[number], x, bonds, width, at), other_fade
            )
            received = _total(messages, around, angle_counts) * own_fade
            update = self.bond_updates[number]
            bonds = bonds + update(functional.embedding(bond_ends, received).flatten(1))
            if update.bias is not None:
                far = far + update.bias
            if number < last - 1:
                gate = self.angle_gates[number]
                width = width - gate(self._of_angles(gate, x, bonds, width, at))
        x = x + self._to_atoms(last, x, bonds, far, (targets, along, sources), weights, incoming, counts)
        found.append(x)
        return (*pooled_layers(pool, found), pool @ network.energies(numbers, x))

    def _to_atoms(
        self,
        number: int,
        x: Tensor,
        bonds: Tensor,
        far: Tensor,
        index: tuple[Tensor, Tensor, Tensor],
        weights: Tensor,
        incoming: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """Return the update of the atoms by a convolution."""
        gate = cast("_Gate", self.atom_gates[number])
        hidden = []
        for parts in gate.project(x, torch.cat([bonds, far]), x):
            own, along, other = (_rows(rows, part) for rows, part in zip(index, parts, strict=True))
            hidden.append(own + along + other)
        update: Tensor = self.atom_updates[number](_total(gate(hidden, weights), incoming, counts))
        return update

    def _of_angles(
        self, gate: Any, x: Tensor, bonds: Tensor, width: Tensor, at: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> list[Tensor]:
        """Return what the first layers of core and gate make of each angle."""
        end_atoms, end_bonds, angle_ends, angle_bonds = at
        hidden = []
        for own, other, angle, atom in gate.project(bonds, bonds, width, x):
            end = _rows(end_bonds, own) + _rows(end_atoms, atom)
            hidden.append(_rows(angle_ends, end) + _rows(angle_bonds, other) + angle)
        return hidden


class _Angular(nn.Module):
    """The embedding of angles; its constant function becomes a bias."""

    def __init__(self, frequencies: Tensor, embedding: nn.Linear) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(frequencies.unsqueeze(0))
        weight = embedding.weight.double() / math.sqrt(math.pi)
        self.linear = _linear(weight[:, 1:], weight[:, 0] * math.sqrt(0.5))

    def forward(self, angles: Tensor) -> Tensor:
        phases = angles.unsqueeze(1) @ self.frequencies
        out: Tensor = self.linear(torch.cat([torch.sin(phases), torch.cos(phases)], dim=1))
        return out


class _Gate(nn.Module):
    """A gated layer, negated, whose first linear layers take their parts one by one.

    silu(core) · sigmoid(gate) is made of exponentials: ONNX Runtime's sigmoid is off by 1e-7, whatever its value, and
    trained gates pass a thousandth and less. What is normalised has the mean zero already, since the layer before is
    made so; and it has the other sign, since the exponentials want that.
    """

    def __init__(self, gated: nn.Module) -> None:
        super().__init__()
        whole = cast("Any", gated)
        self.firsts, self.biases, self.seconds = nn.ModuleList(), nn.ParameterList(), nn.ModuleList()
        self.norms = nn.ModuleList()
        for mlp, norm in ((whole.mlp_core, whole.bn1), (whole.mlp_gate, whole.bn2)):
            first, *others = mlp["layers"].values()
            layers = [first, *others]
            if isinstance(norm, nn.LayerNorm):
                layers[-1] = _centred(layers[-1])
                negative = nn.LayerNorm(norm.weight.shape[0])
                negative.weight, negative.bias = nn.Parameter(-norm.weight), nn.Parameter(-norm.bias)
                self.norms.append(negative)
            else:
                layers[-1] = _linear(-layers[-1].weight, -layers[-1].bias)
                self.norms.append(nn.Identity())
            size = layers[0].out_features
            blocks = torch.split(layers[0].weight.detach().T, size)
            self.firsts.append(nn.ParameterList(block.contiguous() for block in blocks))
            self.biases.append(nn.Parameter(layers[0].bias.detach()))
            self.seconds.extend(layers[1:])

    def project(self, *parts: Tensor) -> list[list[Tensor]]:
        """Return, for core and gate, the products of the first layer with each part; the bias is in the first one."""
        found = []
        for blocks, bias in zip(self.firsts, self.biases, strict=True):
            products = (part @ block for part, block in zip(parts, cast("nn.ParameterList", blocks), strict=True))
            first, *others = products
            found.append([first + bias, *others])
        return found

    def forward(self, hidden: list[Tensor], weights: Tensor | None = None) -> Tensor:
        """Return -silu(norm(core)) · sigmoid(norm(gate)), perhaps weighted, from what the first layers made."""
        if len(self.seconds):
            hidden = [layer(functional.silu(h)) for layer, h in zip(self.seconds, hidden, strict=True)]
        core, gate = (norm(h) for norm, h in zip(self.norms, hidden, strict=True))
        weighted: Tensor = core if weights is None else core * weights
        return weighted / ((torch.exp(core) + 1) * (torch.exp(gate) + 1))


def _rows(index: Tensor, table: Tensor) -> Tensor:
    return functional.embedding(index, table)


def _total(messages: Tensor, members: Tensor, counts: Tensor) -> Tensor:
    """Return the sums of the members of each row of a padded table, each as often as it counts."""
    return (counts.unsqueeze(1) @ functional.embedding(members, messages)).squeeze(1)


def _out(convolution: Any) -> nn.Linear:
    out: nn.Linear = convolution.mlp_out["layers"]["1"]
    return out


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach().float().contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().float())
    return layer


def _negated(layer: nn.Linear) -> nn.Linear:
    """Return a layer for the negated input."""
    return _linear(-layer.weight, layer.bias)


def _for_both_ends(layer: nn.Linear) -> nn.Linear:
    """Return a layer that takes the two ends of a bond behind each other and adds them up."""
    return _linear(torch.cat([layer.weight, layer.weight], dim=1), layer.bias)


def _centred(layer: nn.Linear) -> nn.Linear:
    """Return a layer whose outputs have the mean zero, as they get in the normalisation behind it.

    ONNX Runtime's takes the variance for the mean of squares less the square of the mean, which cancels otherwise.
    """
    weight, bias = layer.weight.double(), layer.bias.double()
    return _linear(weight - weight.mean(dim=0), bias - bias.mean())
