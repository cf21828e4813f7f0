"""CHGNet: atoms, bonds and angles that update one another through gated layers.

Source: Deng et al., Nat. Mach. Intell. 5, 1031 (2023). Parameter names are those of the published code, so that its
state dicts load. Left out is what reaches none of the layers here: the head for magnetic moments, and the last update
of the angles.
"""

import math
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from matlake.networks.bond_batches import BondBatch
from matlake.networks.readout import Readout
from matlake.networks.statistics import layers_of_atoms

ELEMENTS = 94


class CHGNet(nn.Module):
    """Means over atoms after the embedding and each convolution, their deviations, and the energy in eV/atom."""

    def __init__(
        self,
        *,
        width: int = 64,
        num_radial: int = 31,
        num_angular: int = 31,
        n_conv: int = 4,
        cutoff: float = 6.0,
        bond_cutoff: float = 3.0,
        cutoff_exponent: int = 8,
        energy_layers: int = 3,
        norms: bool = True,
        update_bias: bool = False,
        linear_output: bool = False,
        targets: int = 1,
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            width: Length of the features of atoms, bonds and angles.
            num_radial: Functions of a distance.
            num_angular: Functions of an angle, an odd number.
            n_conv: Convolutions of atoms; of bonds there is one less, of angles two less.
            cutoff: Of messages between atoms, in Å.
            bond_cutoff: Of bonds, in Å.
            cutoff_exponent: Exponent p of the polynomial that takes the radial functions to zero at a cutoff.
            energy_layers: Hidden layers of the energy.
            norms: Whether gated layers and the energy have layer normalisation, as from version 0.3.0 on.
            update_bias: Whether the sums over messages pass a layer with bias, as up to version 0.2.0.
            linear_output: Whether the output is a linear layer on all other layers but the deviations, in place of that
                of a potential: dense layers behind the last convolution, and energies of the elements.
            targets: Numbers predicted: one, the energy, of a potential.
        """
        super().__init__()
        self.cutoff, self.bond_cutoff, self.n_conv = cutoff, bond_cutoff, n_conv
        self.atom_embedding = nn.ModuleDict({"embedding": nn.Embedding(ELEMENTS, width)})
        self.bond_basis_expansion = nn.ModuleDict(
            {
                "rbf_expansion_ag": _Radial(num_radial, cutoff, cutoff_exponent),
                "rbf_expansion_bg": _Radial(num_radial, bond_cutoff, cutoff_exponent),
            }
        )
        self.bond_embedding = nn.Linear(num_radial, width, bias=False)
        self.bond_weights_ag = nn.Linear(num_radial, width, bias=False)
        self.bond_weights_bg = nn.Linear(num_radial, width, bias=False)
        self.angle_basis_expansion = nn.ModuleDict({"fourier_expansion": _Fourier(num_angular // 2)})
        self.angle_embedding = nn.Linear(num_angular, width, bias=False)
        self.atom_conv_layers = nn.ModuleList(
            _Convolution("twoBody_atom", 3, width, norms=norms, bias=update_bias) for _ in range(n_conv)
        )
        self.bond_conv_layers = nn.ModuleList(
            _Convolution("twoBody_bond", 4, width, norms=norms, bias=update_bias) for _ in range(n_conv - 1)
        )
        self.angle_layers = nn.ModuleList(
            nn.ModuleDict({"twoBody_bond": _Gated(4, width, hidden=False, norms=norms)}) for _ in range(n_conv - 2)
        )
        self.output: nn.Linear | None = None
        if linear_output:
            self.output = nn.Linear((n_conv + 1) * width, targets)
            return
        self.composition_model = nn.ModuleDict({"fc": nn.Linear(ELEMENTS, targets, bias=False)})
        nn.init.zeros_(cast("Any", self.composition_model)["fc"].weight)
        self.readout_norm = nn.LayerNorm(width) if norms else nn.Identity()
        energy = {str(2 * k): nn.Linear(width, width) for k in range(energy_layers)}
        self.mlp = nn.ModuleDict(
            {"layers": nn.ModuleDict({**energy, str(2 * energy_layers + 1): nn.Linear(width, targets)})}
        )

    def forward(self, batch: BondBatch) -> dict[str, torch.Tensor]:
        """Return the layers by name, each [crystals, width]."""
        found = self._atoms(batch)
        return {**layers_of_atoms(batch, found), "prediction": self._prediction(batch, found)}

    def _prediction(self, batch: BondBatch, found: list[torch.Tensor]) -> torch.Tensor:
        if self.output is not None:
            return self.output(batch.pool(torch.cat(found, dim=1)))  # type: ignore[no-any-return]
        return batch.pool(self.energies(batch.numbers, found[-1]))

    def _atoms(self, batch: BondBatch) -> list[torch.Tensor]:
        """Return the atoms' vectors after the embedding and each convolution, [atoms, width]."""
        parts: Any = self
        x = parts.atom_embedding["embedding"](batch.numbers - 1)
        along_atoms = parts.bond_basis_expansion["rbf_expansion_ag"](batch.distances)
        weights = self.bond_weights_ag(along_atoms) * batch.counts[:, None]
        bonds = self.bond_embedding(parts.bond_basis_expansion["rbf_expansion_ag"](batch.bond_distances))
        fade = self.bond_weights_bg(parts.bond_basis_expansion["rbf_expansion_bg"](batch.bond_distances))
        own_fade = fade.index_select(0, batch.end_bond)
        angle_weights = fade.index_select(0, batch.angle_bond) * batch.angle_counts[:, None]
        angles = self.angle_embedding(parts.angle_basis_expansion["fourier_expansion"](batch.angles))
        # beyond the bond cutoff nothing but a constant moves what messages run along
        is_far = batch.along < 0
        far = self.bond_embedding(along_atoms[is_far])
        lines = torch.where(is_far, torch.cumsum(is_far, 0) - 1 + len(bonds), batch.along)

        found = [x]
        for number, convolution in enumerate(self.atom_conv_layers):
            gated = convolution.twoBody_atom
            own, along, other = gated.first()
            hidden = (
                functional.linear(x, *own).index_select(0, batch.target)
                + functional.linear(torch.cat([bonds, far]), *along).index_select(0, lines)
                + functional.linear(x, *other).index_select(0, batch.source)
            )
            x = x + convolution.update(_total(gated(hidden) * weights, batch.target, len(x)))
            found.append(x)
            if number == self.n_conv - 1:
                break
            bond_convolution = cast("Any", self.bond_conv_layers[number])
            gated = bond_convolution.twoBody_bond
            hidden = _of_angles(gated, batch, x, bonds, angles)
            received = _total(gated(hidden) * angle_weights, batch.angle_end, len(batch.end_atom)) * own_fade
            both = received.index_select(0, batch.bond_ends.view(-1)).view(len(bonds), 2, -1).sum(dim=1)
            bonds = bonds + bond_convolution.update(both)
            far = far + bond_convolution.update(torch.zeros_like(far))  # its bias, where it has one
            if number < self.n_conv - 2:
                gated = parts.angle_layers[number]["twoBody_bond"]
                angles = angles + gated(_of_angles(gated, batch, x, bonds, angles))
        return found

    def predict(self, batch: BondBatch) -> torch.Tensor:
        """Return only the prediction, [crystals, targets]: the mean over the atoms."""
        return self._prediction(batch, self._atoms(batch))

    def readout(self) -> Readout:
        """Return the last layer, on the mean of what comes into it; energies of the elements become zero."""

        def set_output(weight: torch.Tensor, bias: torch.Tensor) -> None:
            last = self._last()
            last.weight.copy_(weight)
            last.bias.copy_(bias)
            if self.output is None:
                cast("Any", self.composition_model)["fc"].weight.zero_()

        def features(batch: BondBatch) -> torch.Tensor:
            found = self._atoms(batch)
            return batch.pool(torch.cat(found, dim=1) if self.output is not None else self._before_output(found[-1]))

        return Readout(features, set_output)

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        last = self._last()
        last.weight.mul_(std[:, None])
        last.bias.mul_(std).add_(mean)
        if self.output is None:
            cast("Any", self.composition_model)["fc"].weight.mul_(std[:, None])

    def _last(self) -> nn.Linear:
        """Return the last layer."""
        return self.output if self.output is not None else [*cast("Any", self.mlp)["layers"].values()][-1]

    def energies(self, numbers: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the energies of atoms, their reference energies included, in eV, [atoms, targets]."""
        references = cast("Any", self.composition_model)["fc"].weight.T
        return self._last()(self._before_output(x)) + references.index_select(0, numbers - 1)

    def _before_output(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the last layer takes of each atom, [atoms, width]."""
        *hidden, _ = cast("Any", self.mlp)["layers"].values()
        x = self.readout_norm(x)
        for layer in hidden:
            x = functional.silu(layer(x))
        return x


def fading(x: torch.Tensor, exponent: int) -> torch.Tensor:
    """Return u(x) = 1 - (p + 1)(p + 2)/2 xᵖ + p(p + 2) xᵖ⁺¹ - p(p + 1)/2 xᵖ⁺², zero from x = 1 on.

    Written as (1 - x)³ Σ (k + 1)(k + 2)/2 xᵏ, k < p, whose terms do not cancel.
    """
    total: torch.Tensor | float = 0.0
    for k in reversed(range(exponent)):
        total = total * x + (k + 1) * (k + 2) / 2
    rest = torch.relu(1 - x)
    return rest * rest * rest * total


class _Radial(nn.Module):
    """Bessel functions of a distance whose frequencies are learnt, times the polynomial that fades them out."""

    def __init__(self, count: int, cutoff: float, exponent: int) -> None:
        super().__init__()
        self.cutoff, self.exponent = cutoff, exponent
        self.frequencies = nn.Parameter(torch.arange(1, count + 1) * math.pi)

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        x = distances / self.cutoff
        heights = math.sqrt(2 / self.cutoff) * fading(x, self.exponent) / distances
        return heights[:, None] * torch.sin(x[:, None] @ self.frequencies[None])


class _Fourier(nn.Module):
    """1/√2, sines and cosines of an angle, all over √π; the frequencies are learnt, and are not whole numbers."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.arange(1, order + 1, dtype=torch.float32))

    def forward(self, angles: torch.Tensor) -> torch.Tensor:
        phases = angles[:, None] * self.frequencies
        constant = torch.full_like(angles[:, None], math.sqrt(0.5))
        return torch.cat([constant, torch.sin(phases), torch.cos(phases)], dim=1) / math.sqrt(math.pi)


class _Gated(nn.Module):
    """silu(norm(core)) · sigmoid(norm(gate)); core and gate have one hidden layer or none.

    What comes in stands side by side in the published code. Here it passes the first layers part by part, so that
    atoms and bonds pass before they are gathered, and what these make of them is added up.
    """

    def __init__(self, parts: int, width: int, *, hidden: bool, norms: bool) -> None:
        super().__init__()
        self.width = width
        self.mlp_core = nn.ModuleDict({"layers": _dense(parts * width, width, hidden=hidden)})
        self.mlp_gate = nn.ModuleDict({"layers": _dense(parts * width, width, hidden=hidden)})
        self.bn1 = nn.LayerNorm(width) if norms else nn.Identity()
        self.bn2 = nn.LayerNorm(width) if norms else nn.Identity()

    def _layers(self) -> list[list[nn.Linear]]:
        """Return the layers of core and gate."""
        return [[*cast("Any", mlp)["layers"].values()] for mlp in (self.mlp_core, self.mlp_gate)]

    def first(self) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Return the weight [2 · width, width] of core and gate for each part, and the bias with the first."""
        layers = [of_one[0] for of_one in self._layers()]
        weights = torch.cat([layer.weight for layer in layers]).split(self.width, dim=1)
        bias = torch.cat([layer.bias for layer in layers])
        return [(weight, None if number else bias) for number, weight in enumerate(weights)]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return [rows, width] from what the first layers made, [rows, 2 · width]."""
        made = []
        parts = zip(self._layers(), (self.bn1, self.bn2), hidden.split(self.width, dim=1), strict=True)
        for (_, *others), norm, part in parts:
            x = part
            for layer in others:
                x = layer(functional.silu(x))
            made.append(norm(x))
        return functional.silu(made[0]) * torch.sigmoid(made[1])


def _of_angles(
    gated: _Gated, batch: BondBatch, x: torch.Tensor, bonds: torch.Tensor, angles: torch.Tensor
) -> torch.Tensor:
    """Return what the first layers make of an angle's own bond, its other bond, itself and its atom."""
    own, other, angle, atom = gated.first()
    ends = functional.linear(bonds, *own).index_select(0, batch.end_bond)
    ends = ends + functional.linear(x, *atom).index_select(0, batch.end_atom)
    others = functional.linear(bonds, *other).index_select(0, batch.angle_bond)
    return ends.index_select(0, batch.angle_end) + others + functional.linear(angles, *angle)


def _total(messages: torch.Tensor, owner: torch.Tensor, size: int) -> torch.Tensor:
    """Return the sum of the messages [messages, width] of each owner, [size, width]."""
    return messages.new_zeros(size, messages.shape[1]).index_add(0, owner, messages)


def _dense(inputs: int, width: int, *, hidden: bool) -> nn.ModuleDict:
    """Return linear layers under the numbers that they have in the published code."""
    if hidden:
        return nn.ModuleDict({"0": nn.Linear(inputs, width), "3": nn.Linear(width, width)})
    return nn.ModuleDict({"1": nn.Linear(inputs, width)})


class _Convolution(nn.Module):
    """A sum of gated, weighted messages, taken through a linear layer."""

    def __init__(self, name: str, parts: int, width: int, *, norms: bool, bias: bool) -> None:
        super().__init__()
        self.add_module(name, _Gated(parts, width, hidden=True, norms=norms))
        self.mlp_out = nn.ModuleDict({"layers": nn.ModuleDict({"1": nn.Linear(width, width, bias=bias)})})

    def update(self, sums: torch.Tensor) -> torch.Tensor:
        """Return what sums of messages change, of the same shape."""
        out: torch.Tensor = cast("Any", self.mlp_out)["layers"]["1"](sums)
        return out
