"""The weights of a reference network from those of its rearranged form (``rearranged``).

What is rearranged can be undone up to the choice of coordinates: constants of shifted softplus come out of the biases;
the two factors of a product of linear layers come from its singular value decomposition; the table of atoms is solved
for the layer that made it; and a normalisation that was folded away begins as the identity, to be settled on training
rows (``settle_normalisation``).
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import nn

Weights: TypeAlias = Mapping[str, torch.Tensor]


@torch.no_grad()
def unfold_cgcnn(network: Any, weights: Weights) -> None:
    """Give a CGCNN the weights of its exported file."""
    features = network.atom_features.double()
    known = features.any(dim=1)
    design = torch.cat([features[known], torch.ones(int(known.sum()), 1, dtype=torch.float64)], dim=1)
    # of minimum norm: many layers give the same table
    solved = torch.linalg.lstsq(design, weights["table"][known], driver="gelsd").solution
    _set(network.embedding, solved[:-1].T, solved[-1])
    for number, convolution in enumerate(network.convs):
        part = f"convolutions.{number}"
        full = torch.cat([weights[f"{part}.{name}"] for name in ("own", "other", "bond")]).T
        _set(convolution.fc_full, full, weights[f"{part}.bias"])
        _make_affine(convolution.bn1, torch.ones(1), torch.zeros(1))
        _make_affine(convolution.bn2, weights[f"{part}.scale"], weights[f"{part}.shift"])
    for number, layer in enumerate([network.conv_to_fc, *getattr(network, "fcs", ())]):
        _set(layer, weights[f"hidden.{number}.weight"], weights[f"hidden.{number}.bias"])
    _set(network.fc_out, weights["fc_out.weight"], weights["fc_out.bias"])


@torch.no_grad()
def unfold_schnet(network: Any, weights: Weights) -> None:
    """Give a SchNet the weights of its exported file."""
    network.embedding.weight.copy_(weights["table"])
    for number, interaction in enumerate(network.interactions):
        part = f"interactions.{number}"
        _set(interaction.mlp[0], weights[f"{part}.first.weight"], weights[f"{part}.first.bias"])
        _set_behind_shift(interaction.mlp[2], weights, f"{part}.second")
        interaction.conv.lin1.weight.copy_(weights[f"{part}.into.weight"])
        _set(interaction.conv.lin2, weights[f"{part}.out_of.weight"], weights[f"{part}.out_of.bias"])
        _set_behind_shift(interaction.lin, weights, f"{part}.lin")
    _set(network.lin1, weights["lin1.weight"], weights["lin1.bias"])
    _set_behind_shift(network.lin2, weights, "lin2")


@torch.no_grad()
def unfold_dimenet(network: Any, weights: Weights) -> None:
    """Give a DimeNet++ the weights of its exported file."""
    prefix = "network."
    kept = {name.removeprefix(prefix): tensor.float() for name, tensor in weights.items() if name.startswith(prefix)}
    folded = ("lin_rbf1", "lin_rbf2", "lin_sbf1", "lin_sbf2")
    for name, parameter in network.named_parameters():
        if not any(f".{part}." in name for part in folded):
            parameter.copy_(kept[name])
    network.shift.copy_(kept["shift"])
    for number, block in enumerate(network.interaction_blocks):
        radial, spherical = (weights[f"factors.{number}.{name}"] for name in ("radial", "spherical"))
        _set_factors(block.lin_rbf1, block.lin_rbf2, radial.T)
        degrees = block.degrees
        blocks = spherical.reshape(degrees, len(spherical) // degrees, degrees, -1)  # [l, n, l, inner]
        mixed = torch.cat([blocks[degree, :, degree] for degree in range(degrees)]).T  # [inner, l · n]
        _set_factors(block.lin_sbf1, block.lin_sbf2, mixed)


def _set(layer: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)


def _set_behind_shift(layer: nn.Linear, weights: Weights, name: str) -> None:
    """Set a layer that takes shifted softplus from one that takes softplus, which is ln 2 more."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    _set(layer, weight, bias + math.log(2) * weight.sum(dim=1))


def _set_factors(first: nn.Linear, second: nn.Linear, product: torch.Tensor) -> None:
    """Set two linear layers without activation between them to a product [outputs, inputs], of equal size."""
    left, sizes, right = torch.linalg.svd(product, full_matrices=False)
    rank = first.out_features
    roots = torch.zeros(rank, dtype=sizes.dtype)
    count = min(rank, len(sizes))
    roots[:count] = sizes[:count].sqrt()
    first.weight.zero_()
    second.weight.zero_()
    first.weight[:count] = (roots[:count, None] * right[:count]).to(first.weight.dtype)
    second.weight[:, :count] = (left[:, :count] * roots[:count]).to(second.weight.dtype)


def _make_affine(norm: nn.BatchNorm1d, scale: torch.Tensor, shift: torch.Tensor) -> None:
    """Make a normalisation compute ``scale · x + shift`` in evaluation mode."""
    norm.weight.copy_(scale.expand_as(norm.weight))
    norm.bias.copy_(shift.expand_as(norm.bias))
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
