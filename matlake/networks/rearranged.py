"""The graph networks rearranged for ONNX Runtime: the same functions of the same weights, in other steps.

Each module takes the arrays of ``encoders.graph_inputs`` and returns the layers of its reference network. What is
rearranged, exactly: batch normalisation is folded into the weights; functions of a distance alone are computed once a
distinct distance; atoms are projected before they are gathered; sums over neighbours are products with padded tables.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from matlake.networks.cgcnn import CGCNN, GAUSSIAN_STEP_A
from matlake.networks.dimenet import DimeNetPlusPlus
from matlake.networks.normalisation import affine
from matlake.networks.schnet import SchNet


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
        features, prediction = self._output(0, x, radial, length_index, incoming, places)
        found = [features]
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
            features, share = self._output(number, x, radial, length_index, incoming, places)
            found.append(features)
            prediction = prediction + share
        pooled = [pool @ features for features in found]
        total = pooled[0]
        for more in pooled[1:]:
            total = total + more
        return (*pooled, total, pool @ prediction + network.shift)

    def _output(
        self, number: int, x: Tensor, radial: Tensor, length_index: Tensor, incoming: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        block = cast("Any", self.network.output_blocks[number])
        weighted = block.lin_rbf(radial).index_select(0, length_index) * x
        features = block.lin_up((places @ functional.embedding(incoming, weighted)).squeeze(1))
        for layer in block.lins:
            features = functional.silu(layer(features))
        return features, block.lin(features)


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
