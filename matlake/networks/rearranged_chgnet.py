"""CHGNet rearranged for ONNX Runtime: the same function of the same weights, in other steps.

The first layer of a gated one is a sum over its parts, so atoms, bonds and angles are projected before they are
gathered, in one product for all layers that take them. What messages have in common that run between the same atoms,
and angles at one end of a bond, is added up once. Functions of a distance are computed once a distinct distance, and so
are the bonds beyond the bond cutoff, which nothing updates. Sums are products with padded tables.
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
        atoms, bonds = ([*layers] for layers in (whole.atom_conv_layers, whole.bond_conv_layers))
        self.atom_gates = nn.ModuleList(_Gate(layer.twoBody_atom) for layer in atoms)
        self.bond_gates = nn.ModuleList(_Gate(layer.twoBody_bond) for layer in bonds)
        self.angle_gates = nn.ModuleList(_Gate(layer["twoBody_bond"]) for layer in whole.angle_layers)
        self.atom_updates = nn.ModuleList(_negated(_out(layer)) for layer in atoms)
        self.bond_updates = nn.ModuleList(_for_both_ends(_negated(_out(layer))) for layer in bonds)
        self.angular = _Angular(whole.angle_basis_expansion["fourier_expansion"].frequencies, network.angle_embedding)
        self.far = nn.ModuleList(_far_bonds(self.atom_gates, network.bond_embedding, [_out(layer) for layer in bonds]))
        self.of_bond_angles, self.of_angle_angles = (
            nn.ModuleList(
                _OfAngles(name, gate, None if number else self.angular.linear) for number, gate in enumerate(gates)
            )
            for name, gates in (("bond", self.bond_gates), ("angle", self.angle_gates))
        )
        self.of_atoms, self.of_bonds = self._projections()
        table = whole.atom_embedding["embedding"].weight
        self.table = nn.Parameter(torch.cat([torch.zeros_like(table[:1]), table]))  # by atomic number

    def _projections(self) -> tuple[nn.ModuleList, nn.ModuleList]:
        """Return what is made of atoms and bonds after each convolution, by the layers that take it."""
        of_atoms, of_bonds = nn.ModuleList(), nn.ModuleList()
        for number, gate in enumerate(cast("Any", self.atom_gates)):
            atoms, bonds = {"own": gate.first(0), "other": gate.first(2)}, {"along": gate.first(1)}
            if number:
                atoms["bond"] = cast("Any", self.bond_gates)[number - 1].first(3)
            if number < len(self.bond_gates):
                constant = cast("Any", self.of_bond_angles)[number].constant
                bonds |= _ends(cast("Any", self.bond_gates)[number], constant, "bond")
            if 0 < number <= len(self.angle_gates):
                constant = cast("Any", self.of_angle_angles)[number - 1].constant
                atoms["angle"] = cast("Any", self.angle_gates)[number - 1].first(3)
                bonds |= _ends(cast("Any", self.angle_gates)[number - 1], constant, "angle")
            of_atoms.append(_Projections(atoms))
            of_bonds.append(_Projections(bonds))
        return of_atoms, of_bonds

    def forward(
        self,
        numbers: Tensor,
        lengths: Tensor,
        pair_targets: Tensor,
        pair_sources: Tensor,
        pairs: Tensor,
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
        expansions = network.bond_basis_expansion
        radial = expansions["rbf_expansion_ag"](lengths)
        weights = _rows(length_index, network.bond_weights_ag(radial))
        bonds = network.bond_embedding(_rows(bond_lengths, radial))
        fade = network.bond_weights_bg(expansions["rbf_expansion_bg"](lengths.index_select(0, bond_lengths)))
        own_fade, other_fade = _rows(end_bonds, fade), _rows(angle_bonds, fade)
        waves = self.angular.waves(angles)
        width = self.angular.linear(waves)
        at = (end_atoms, end_bonds, _twins(angle_ends), _twins(angle_bonds))
        messages, lines = _twins(pairs), _twins(along)

        x = _rows(numbers, self.table)
        found = [x]
        of_atoms, of_bonds = self.of_atoms[0](x), self.of_bonds[0](bonds)
        for number, gate in enumerate(self.atom_gates):
            between = _rows(pair_targets, of_atoms["own"]) + _rows(pair_sources, of_atoms["other"])
            table = torch.cat([of_bonds["along"], self.far[number](radial)])
            hidden = [
                _rows(pair, _both(between)) + _rows(line, _both(table))
                for pair, line in zip(messages, lines, strict=True)
            ]
            x = x + self.atom_updates[number](_total(gate(hidden, weights), incoming, counts))
            found.append(x)
            if number == len(self.bond_gates):
                break
            of_atoms = self.of_atoms[number + 1](x)
            made = waves if number == 0 else width
            hidden = self.of_bond_angles[number](of_atoms, of_bonds, made, at)
            received = _total(self.bond_gates[number](hidden, other_fade), around, angle_counts) * own_fade
            bonds = bonds + self.bond_updates[number](_rows(bond_ends, received).flatten(1))
            of_bonds = self.of_bonds[number + 1](bonds)
            if number < len(self.angle_gates):
                hidden = self.of_angle_angles[number](of_atoms, of_bonds, made, at)
                width = width - self.angle_gates[number](hidden)
        layers = pooled_layers(pool, found)
        if network.output is not None:
            return (*layers, network.output(torch.cat(layers[: len(found)], dim=1)))
        return (*layers, pool @ network.energies(numbers, x))


class _Angular(nn.Module):
    """The embedding of angles; its constant function becomes a bias."""

    def __init__(self, frequencies: Tensor, embedding: nn.Linear) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(frequencies.unsqueeze(0))
        weight = embedding.weight.double() / math.sqrt(math.pi)
        self.linear = _linear(weight[:, 1:], weight[:, 0] * math.sqrt(0.5))

    def waves(self, angles: Tensor) -> Tensor:
        """Return sines and cosines of angles, [angles, functions]."""
        phases = angles.unsqueeze(1) @ self.frequencies
        return torch.cat([torch.sin(phases), torch.cos(phases)], dim=1)


class _Gate(nn.Module):
    """A gated layer, negated, behind its first linear layers, of which ``first`` gives the parts: core, then gate.

    silu(core) · sigmoid(gate) is made of exponentials: ONNX Runtime's sigmoid is off by 1e-7, whatever its value, and
    trained gates pass a thousandth and less. What is normalised has the mean zero already, since the layer before is
    made so; and it has the other sign, since the exponentials want that.
    """

    def __init__(self, gated: nn.Module) -> None:
        super().__init__()
        whole = cast("Any", gated)
        firsts, self.seconds, self.norms = [], nn.ModuleList(), nn.ModuleList()
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
            firsts.append(layers[0])
            self.seconds.extend(layers[1:])
        self._bias = torch.cat([layer.bias.detach() for layer in firsts])
        weight = torch.cat([layer.weight.detach() for layer in firsts])
        self._blocks = torch.split(weight, firsts[0].out_features, dim=1)

    def first(self, part: int) -> nn.Linear:
        """Return the first layers for one of the parts that they add up; the bias comes with the first part."""
        return _linear(self._blocks[part], torch.zeros_like(self._bias) if part else self._bias)

    def forward(self, hidden: list[Tensor], weights: Tensor | None = None) -> Tensor:
        """Return -silu(norm(core)) · sigmoid(norm(gate)), perhaps weighted, from what the first layers made."""
        if len(self.seconds):
            hidden = [layer(functional.silu(h)) for layer, h in zip(self.seconds, hidden, strict=True)]
        core, gate = (norm(h) for norm, h in zip(self.norms, hidden, strict=True))
        weighted: Tensor = core if weights is None else core * weights
        return weighted / ((torch.exp(core) + 1) * (torch.exp(gate) + 1))


class _OfAngles(nn.Module):
    """The first layers of a gated one for angles, whose parts for the bonds and the atom are made already."""

    def __init__(self, name: str, gate: Any, embedding: nn.Linear | None) -> None:
        """Take the embedding of angles in, where angles are still that and nothing more."""
        super().__init__()
        self.name = name
        first = gate.first(2)
        whole = first if embedding is None else _composed(first, embedding)
        self.constant = whole.bias.detach()
        self.core, self.gate = (nn.Parameter(part.detach().T.contiguous()) for part in whole.weight.chunk(2))

    def forward(
        self,
        of_atoms: dict[str, Tensor],
        of_bonds: dict[str, Tensor],
        angles: Tensor,
        at: tuple[Tensor, Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> list[Tensor]:
        """Return what the first layers of core and gate make of each angle."""
        end_atoms, end_bonds, ends, others = at
        own_bond, other_bond = of_bonds[f"{self.name} own"], of_bonds[f"{self.name} other"]
        end, other = _both(_rows(end_bonds, own_bond) + _rows(end_atoms, of_atoms[self.name])), _both(other_bond)
        return [
            torch.addmm(_rows(own, end) + _rows(along, other), angles, weight)
            for own, along, weight in zip(ends, others, (self.core, self.gate), strict=True)
        ]


class _Projections(nn.Module):
    """Several linear layers that take the same input, in one product."""

    def __init__(self, layers: dict[str, nn.Linear]) -> None:
        super().__init__()
        self.names = list(layers)
        self.sizes = [layer.out_features for layer in layers.values()]
        weights, biases = (
            torch.cat([getattr(layer, name) for layer in layers.values()]) for name in ("weight", "bias")
        )
        self.linear = _linear(weights, biases)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the output of each layer."""
        return dict(zip(self.names, torch.split(self.linear(x), self.sizes, dim=1), strict=True))


def _ends(gate: Any, constant: Tensor, name: str) -> dict[str, nn.Linear]:
    """Return the first layers for the own bond of an angle, with all constants, and for the other bond."""
    own, other = gate.first(0), gate.first(1)
    return {f"{name} own": _linear(own.weight, own.bias + constant), f"{name} other": other}


def _far_bonds(gates: Any, embedding: nn.Linear, updates: list[nn.Linear]) -> list[nn.Linear]:
    """Return, for each convolution, the first layers on bonds beyond the cutoff, from their radial functions.

    What updates them are biases alone.
    """
    moved = torch.zeros(embedding.out_features)
    found = []
    for number, gate in enumerate(gates):
        found.append(_composed(gate.first(1), _linear(embedding.weight, moved)))
        if number < len(updates) and updates[number].bias is not None:
            moved = moved + updates[number].bias
    return found


def _composed(layer: nn.Linear, before: nn.Linear) -> nn.Linear:
    """Return two layers as one."""
    weight = layer.weight.double()
    return _linear(weight @ before.weight.double(), layer.bias.double() + weight @ before.bias.double())


def _rows(index: Tensor, table: Tensor) -> Tensor:
    return functional.embedding(index, table)


def _both(table: Tensor) -> Tensor:
    """Return a table of cores and gates side by side as one of twice as many rows; see ``_twins``."""
    return table.reshape(-1, table.shape[1] // 2)


def _twins(index: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the cores and the gates of rows are in ``_both``."""
    core = index * 2
    return core, core + 1


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
