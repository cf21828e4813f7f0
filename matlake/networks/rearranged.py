"""The graph networks rearranged for ONNX Runtime: the same functions of the same weights, in other steps.

Each module takes the arrays of ``encoders.graph_inputs`` and returns the layers of its reference network. What is
rearranged, exactly: batch normalisation is folded into the weights; functions of a distance alone are computed once a
distinct distance; atoms are projected before they are gathered; sums over neighbours are products with padded tables.

``unfold_…`` gives a reference network its weights back, up to the choice of coordinates: constants of shifted softplus
come out of the biases; the two factors of a product of linear layers come from its singular value decomposition; the
table of atoms is solved for the layer that made it; and a normalisation that was folded away begins as the identity, to
be settled on training rows (``settle_normalisation``).
"""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.cgcnn import CGCNN, GAUSSIAN_STEP_A
from matlake.networks.dimenet import DimeNetPlusPlus
from matlake.networks.normalisation import affine
from matlake.networks.schnet import SchNet
from matlake.networks.statistics import normalised

Weights: TypeAlias = Mapping[str, Tensor]


class FastCGCNN(nn.Module):
    """CGCNN on padded neighbour tables."""

    def __init__(self, network: CGCNN) -> None:
        """Take over the weights, with batch normalisation folded in."""
        super().__init__()
        weights = network.embedding.weight.double()
        table = network.atom_features.double() @ weights.T + network.embedding.bias.double()
        self.table = nn.Parameter(table.float())
        self.offsets = nn.Parameter(network.offsets / GAUSSIAN_STEP_A)
        self.convolutions = nn.ModuleList(_FoldedConvolution(c) for c in network.convs)
        self.hidden = nn.ModuleList([network.conv_to_fc, *getattr(network, "fcs", ())])
        self.fc_out = network.fc_out

    def forward(
        self, numbers: Tensor, lengths: Tensor, neighbours: Tensor, length_index: Tensor, counts: Tensor, pool: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        x = functional.embedding(numbers, self.table)
        bonds = torch.exp(-torch.square(lengths.unsqueeze(1) * (1 / GAUSSIAN_STEP_A) - self.offsets))
        places = counts.unsqueeze(1)
        found = []
        for convolution in self.convolutions:
            x = convolution(x, bonds, neighbours, length_index, places)
            found.append(pool @ x)
        hidden = softplus(found[-1])
        for layer in self.hidden:
            hidden = softplus(layer(hidden))
        return (*found, hidden, self.fc_out(hidden))


class _FoldedConvolution(nn.Module):
    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        full = cast("nn.Linear", convolution.fc_full)
        first, second = (cast("nn.BatchNorm1d", getattr(convolution, name)) for name in ("bn1", "bn2"))
        scale, shift = affine(first)
        weight = full.weight.double() * scale[:, None]
        bias = full.bias.double() * scale + shift
        width = second.num_features
        own, other, bond = weight[:, :width], weight[:, width : 2 * width], weight[:, 2 * width :]
        self.own = nn.Parameter(own.T.float().contiguous())
        self.bias = nn.Parameter(bias.float())
        self.other = nn.Parameter(other.T.float().contiguous())
        self.bond = nn.Parameter(bond.T.float().contiguous())
        scale, shift = affine(second)
        self.scale = nn.Parameter(scale.float())
        self.shift = nn.Parameter(shift.float())

    def forward(self, x: Tensor, bonds: Tensor, neighbours: Tensor, length_index: Tensor, places: Tensor) -> Tensor:
        gated = (
            (x @ self.own + self.bias).unsqueeze(1)
            + functional.embedding(neighbours, x @ self.other)
            + functional.embedding(length_index, bonds @ self.bond)
        )
        gate, core = gated.chunk(2, dim=-1)
        received = (places @ (torch.sigmoid(gate) * softplus(core))).squeeze(1)
        return softplus(x + received * self.scale + self.shift)


class FastSchNet(nn.Module):
    """SchNet on padded neighbour tables."""

    def __init__(self, network: SchNet) -> None:
        """Take over the weights; the constants of shifted softplus go into the biases behind it."""
        super().__init__()
        self.table = network.embedding.weight
        offset = network.distance_expansion.offset
        spacing = float(offset[1] - offset[0])
        self.factor = 1 / (math.sqrt(2) * spacing)
        self.offsets = nn.Parameter(offset.double().mul(self.factor).float())
        self.interactions = nn.ModuleList(_FastInteraction(i) for i in network.interactions)
        self.lin1 = network.lin1
        self.lin2 = _behind_shift(network.lin2)

    def forward(
        self, numbers: Tensor, lengths: Tensor, neighbours: Tensor, length_index: Tensor, counts: Tensor, pool: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        h = functional.embedding(numbers, self.table)
        expanded = torch.exp(-torch.square(lengths.unsqueeze(1) * self.factor - self.offsets))
        places = counts.unsqueeze(1)
        found = []
        for interaction in self.interactions:
            h = h + interaction(h, lengths, expanded, neighbours, length_index, places)
            found.append(pool @ h)
        return (*found, pool @ self.lin2(softplus(self.lin1(h))))


class _FastInteraction(nn.Module):
    def __init__(self, interaction: nn.Module) -> None:
        super().__init__()
        mlp = cast("nn.Sequential", interaction.mlp)
        convolution = cast("nn.Module", interaction.conv)
        self.first = mlp[0]
        self.second = _behind_shift(cast("nn.Linear", mlp[2]))
        self.into = cast("nn.Linear", convolution.lin1)
        self.out_of = cast("nn.Linear", convolution.lin2)
        self.lin = _behind_shift(cast("nn.Linear", interaction.lin))
        self.frequency = math.pi / cast("float", convolution.cutoff)

    def forward(
        self, h: Tensor, lengths: Tensor, expanded: Tensor, neighbours: Tensor, length_index: Tensor, places: Tensor
    ) -> Tensor:
        fade = 0.5 * torch.cos(lengths * self.frequency) + 0.5
        filters = self.second(softplus(self.first(expanded))) * fade.unsqueeze(1)
        messages = functional.embedding(neighbours, self.into(h)) * functional.embedding(length_index, filters)
        received = (places @ messages).squeeze(1)
        out: Tensor = self.lin(softplus(self.out_of(received)))
        return out


class FastDimeNetPlusPlus(nn.Module):
    """DimeNet++ on padded tables of incoming messages and their angular couplings."""

    def __init__(self, network: DimeNetPlusPlus) -> None:
        """Take over the weights; products of linear layers without activation between them become one."""
        super().__init__()
        self.network = network
        self.degrees = network.num_spherical
        self.factors = nn.ModuleList(_FoldedBasis(block) for block in network.interaction_blocks)

    def forward(
        self,
        numbers: Tensor,
        lengths: Tensor,
        sources: Tensor,
        targets: Tensor,
        length_index: Tensor,
        incoming: Tensor,
        counts: Tensor,
        coupled: Tensor,
        couplings: Tensor,
        rows: Tensor,
        pool: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return the layers in the order of the reference network."""
        network, act = cast("Any", self.network), functional.silu
        radial = network.rbf(lengths)
        spherical = network.sbf(lengths).flatten(1)
        places = counts.unsqueeze(1)

        embedding = network.emb
        atoms = embedding.emb.weight
        into, out_of, along = torch.split(embedding.lin.weight, atoms.shape[1], dim=1)
        x = act(
            functional.embedding(numbers, atoms @ into.T).index_select(0, targets)
            + functional.embedding(numbers, atoms @ out_of.T).index_select(0, sources)
            + functional.linear(act(embedding.lin_rbf(radial)), along, embedding.lin.bias).index_select(0, length_index)
        )
        taps = [self._output(0, x, radial, length_index, incoming, places)]
        for number, (block, basis) in enumerate(zip(network.interaction_blocks, self.factors, strict=True), start=1):
            x_kj = act(block.lin_kj(x)) * (radial @ basis.radial).index_select(0, length_index)
            x_kj = act(block.lin_down(x_kj))
            inner = x_kj.shape[1]
            filters = (spherical @ basis.spherical).index_select(0, length_index)  # [m, degrees · inner]
            weighted = filters.view(-1, self.degrees, inner) * x_kj.unsqueeze(1)
            updates = couplings @ functional.embedding(coupled, weighted.reshape(-1, inner))  # [a, p, inner]
            h = act(block.lin_ji(x)) + act(block.lin_up(updates.reshape(-1, inner).index_select(0, rows)))
            for layer in block.layers_before_skip:
                h = layer(h)
            h = act(block.lin(h)) + x
            for layer in block.layers_after_skip:
                h = layer(h)
            x = h
            taps.append(self._output(number, x, radial, length_index, incoming, places))
        pooled = [[pool @ part for part in parts] for parts in zip(*taps, strict=True)]
        total, prediction = (_sum(parts) for parts in pooled[2:])
        return (*pooled[0], *pooled[1], *pooled[2], total, prediction + network.shift)

    def _output(
        self, number: int, x: Tensor, radial: Tensor, length_index: Tensor, incoming: Tensor, places: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the atoms' normalised sums, mean messages, vectors behind the dense layers, and predictions."""
        block = cast("Any", self.network.output_blocks[number])
        weighted = block.lin_rbf(radial).index_select(0, length_index) * x
        sums = (places @ functional.embedding(incoming, weighted)).squeeze(1)
        # no message comes in where padding alone stands, which counts as none
        means = places / torch.relu(places.sum(dim=2, keepdim=True) - 1).add(1)
        messages = (means @ functional.embedding(incoming, x)).squeeze(1)
        features = block.lin_up(sums)
        for layer in block.lins:
            features = functional.silu(layer(features))
        return normalised(sums), messages, features, block.lin(features)


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for more in parts[1:]:
        total = total + more
    return total


class _FoldedBasis(nn.Module):
    def __init__(self, block: Any) -> None:
        super().__init__()
        product = block.lin_rbf2.weight.double() @ block.lin_rbf1.weight.double()
        self.radial = nn.Parameter(product.T.float().contiguous())
        mixed = block.lin_sbf2.weight.double() @ block.lin_sbf1.weight.double()  # [inner, degrees · radials]
        inner = len(mixed)
        degrees, radials = block.degrees, mixed.shape[1] // block.degrees
        blocks = torch.zeros(degrees, radials, degrees, inner, dtype=torch.float64)
        for degree in range(degrees):  # a function of degree l feeds the part of degree l
            blocks[degree, :, degree] = mixed[:, degree * radials : (degree + 1) * radials].T
        self.spherical = nn.Parameter(blocks.reshape(degrees * radials, degrees * inner).float())


def softplus(x: Tensor) -> Tensor:
    """Return ln(1 + eˣ); ONNX Runtime's own operator takes two and a half times as long on a CPU."""
    return torch.relu(x) + torch.log(1 + torch.exp(-torch.abs(x)))


def _behind_shift(layer: nn.Linear) -> nn.Linear:
    """Return a layer that takes softplus where the given one takes shifted softplus, which is ln 2 less."""
    shifted = nn.Linear(layer.in_features, layer.out_features)
    weight, bias = layer.weight.double(), layer.bias.double()
    shifted.weight = nn.Parameter(layer.weight)
    shifted.bias = nn.Parameter((bias - math.log(2) * weight.sum(dim=1)).float())
    return shifted


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


def _set(layer: nn.Linear, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)


def _set_behind_shift(layer: nn.Linear, weights: Weights, name: str) -> None:
    """Set a layer that takes shifted softplus from one that takes softplus, which is ln 2 more."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    _set(layer, weight, bias + math.log(2) * weight.sum(dim=1))


def _set_factors(first: nn.Linear, second: nn.Linear, product: Tensor) -> None:
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


def _make_affine(norm: nn.BatchNorm1d, scale: Tensor, shift: Tensor) -> None:
    """Make a normalisation compute ``scale · x + shift`` in evaluation mode."""
    norm.weight.copy_(scale.expand_as(norm.weight))
    norm.bias.copy_(shift.expand_as(norm.bias))
    norm.running_mean.zero_()  # type: ignore[union-attr]
    norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]
