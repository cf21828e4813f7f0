"""The weights of CHGNet, read back from its rearranged form: what ``FastCHGNet`` does to them, undone.

The function is the same; the weights need not be those that were exported. Layers in front of a normalisation come
without the mean that it takes off. Where the embedding of angles was multiplied into the layers behind it, these are
solved for with the least norm: only what they make of such embeddings is known.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from matlake.networks.chgnet import CHGNet
from matlake.networks.rearranged import Weights
from matlake.networks.rearranged_chgnet import FastCHGNet

_KEPT = (
    *("bond_embedding.", "bond_weights_", "bond_basis_expansion."),
    *("composition_model.", "readout_norm.", "mlp.", "output."),
)
"""Parts of the network that the rearranged one takes as they are."""


@torch.no_grad()
def unfold_chgnet(network: CHGNet, weights: Weights) -> None:
    """Give a CHGNet the weights of its exported file."""
    whole: Any = network
    fast = FastCHGNet(network)
    file = _completed(weights, fast)
    for name, parameter in network.named_parameters():
        if name.startswith(_KEPT):
            parameter.copy_(file[f"network.{name}"])
    whole.atom_embedding["embedding"].weight.copy_(file["table"][1:])
    # the embedding of angles, [width, functions], and the constant among them
    waves, constant = file["angular.linear.weight"], file["angular.linear.bias"]
    whole.angle_basis_expansion["fourier_expansion"].frequencies.copy_(file["angular.frequencies"][0])
    columns = torch.cat([constant[:, None] / math.sqrt(0.5), waves], dim=1)
    whole.angle_embedding.weight.copy_(columns * math.sqrt(math.pi))
    embedding = torch.linalg.pinv(waves), constant

    first = _Firsts.of(fast, file)
    for number, convolution in enumerate(whole.atom_conv_layers):
        layer = _joined(first.atoms[number, "own"], first.bonds[number, "along"], first.atoms[number, "other"])
        _set_gated(convolution.twoBody_atom, layer, file, f"atom_gates.{number}")
        _set_update(convolution, file, f"atom_updates.{number}")
    for number, convolution in enumerate(whole.bond_conv_layers):
        layer = first.with_angles("bond", number, number, embedding)
        _set_gated(convolution.twoBody_bond, layer, file, f"bond_gates.{number}")
        _set_update(convolution, file, f"bond_updates.{number}")
    for number, update in enumerate(whole.angle_layers):
        layer = first.with_angles("angle", number, number + 1, embedding)
        _set_gated(update["twoBody_bond"], layer, file, f"angle_gates.{number}")


def _completed(weights: Weights, fast: FastCHGNet) -> dict[str, Tensor]:
    """Return the weights under their names in the rearranged network.

    The exporter leaves out biases that add nothing. Reference energies, which it transposes, and frequencies become
    constants whose names say nothing: they are known by their shapes, and by the order in which they are used.
    """
    found = dict(weights)
    for name, tensor in fast.state_dict().items():
        if name.startswith("angular.linear."):
            found.setdefault(
                name, tensor.double()
            )  # of two convolutions: it is in the file only multiplied, any will do
        elif name.endswith(".bias"):
            found.setdefault(name, torch.zeros(tensor.shape, dtype=torch.float64))
    network: Any = fast.network
    name = "network.composition_model.fc.weight"
    if network.output is None and name not in found:
        found[name] = _constants(weights, network.composition_model["fc"].weight.T.shape)[0].T
    for place, (expansion, radial) in enumerate(network.bond_basis_expansion.items()):
        name = f"network.bond_basis_expansion.{expansion}.frequencies"
        if name not in found:
            constants = _constants(weights, (1, len(radial.frequencies)))
            found[name] = constants[min(place, len(constants) - 1)][0]  # equal ones may have become one
    return found


def _constants(weights: Weights, shape: tuple[int, ...]) -> list[Tensor]:
    """Return the weights of a shape whose names are none of the rearranged network's."""
    return [tensor for name, tensor in weights.items() if "." not in name and tensor.shape == shape]


_Layer = tuple[Tensor, Tensor]
"""The weight [2 · width, inputs] and the bias of core and gate, one below the other."""


@dataclass(frozen=True)
class _Firsts:
    """The first layers of gated ones, part by part, as they stand in the products for atoms and for bonds."""

    atoms: dict[tuple[int, str], _Layer]
    bonds: dict[tuple[int, str], _Layer]
    file: Weights

    @classmethod
    def of(cls, fast: Any, file: Weights) -> "_Firsts":
        """Take the products apart; ``fast`` says what is in them."""

        def parts(kind: str) -> dict[tuple[int, str], _Layer]:
            found = {}
            for number, product in enumerate(getattr(fast, kind)):
                weight, bias = (
                    torch.split(file[f"{kind}.{number}.linear.{name}"], product.sizes) for name in ("weight", "bias")
                )
                layers = zip(product.names, weight, bias, strict=True)
                found.update({(number, name): (w, b) for name, w, b in layers})
            return found

        return cls(parts("of_atoms"), parts("of_bonds"), file)

    def with_angles(self, kind: str, number: int, place: int, embedding: tuple[Tensor, Tensor]) -> _Layer:
        """Return the first layers on two bonds, the angle between them and its atom.

        ``embedding`` is the inverse of that of angles, and its constant.
        """
        name = f"of_{kind}_angles.{number}"
        angle = torch.cat([self.file[f"{name}.core"], self.file[f"{name}.gate"]], dim=1).T
        own, moved = self.bonds[place, f"{kind} own"]
        if not number:  # angles are still their embedding
            inverse, constant = embedding
            angle = angle @ inverse
            moved = moved - angle @ constant
        nothing = torch.zeros_like(moved)
        return _joined((own, moved), self.bonds[place, f"{kind} other"], (angle, nothing), self.atoms[number + 1, kind])


def _joined(*parts: _Layer) -> _Layer:
    """Return one layer that takes what the parts take, side by side."""
    weights, biases = zip(*parts, strict=True)
    return torch.cat(weights, dim=1), torch.stack(biases).sum(dim=0)


def _set_gated(gated: Any, first: _Layer, file: Weights, name: str) -> None:
    """Set a gated layer from its first layers and the rest, which stands in the file negated."""
    halves = zip(*(part.chunk(2) for part in first), strict=True)
    for place, (mlp, norm, (weight, bias)) in enumerate(
        zip((gated.mlp_core, gated.mlp_gate), (gated.bn1, gated.bn2), halves, strict=True)
    ):
        layers = [*mlp["layers"].values()]
        values = [(weight, bias)]
        if len(layers) > 1:
            second = f"{name}.seconds.{place}"
            values.append((file[f"{second}.weight"], file[f"{second}.bias"]))
        if isinstance(norm, nn.LayerNorm):
            values.append((file[f"{name}.norms.{place}.weight"], file[f"{name}.norms.{place}.bias"]))
            layers.append(norm)
        values[-1] = tuple(-value for value in values[-1])
        for layer, (of_layer, shift) in zip(layers, values, strict=True):
            layer.weight.copy_(of_layer)
            layer.bias.copy_(shift)


def _set_update(convolution: Any, file: Weights, name: str) -> None:
    """Set the layer that sums of messages pass; the file has it negated, and for both ends of a bond."""
    layer = convolution.mlp_out["layers"]["1"]
    layer.weight.copy_(-file[f"{name}.weight"][:, : layer.in_features])
    if layer.bias is not None:
        layer.bias.copy_(file[f"{name}.bias"])
