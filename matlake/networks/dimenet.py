"""DimeNet++: messages along edges, updated through the angles between them.

Source: Gasteiger et al., arXiv 2011.14115 (2020), after DimeNet, ICLR 2020. Parameter names are those of PyTorch
Geometric, and so of Open Catalyst, whose state dicts load. The sum over triplets is a product with the angular
couplings of ``materials.angular_graphs``, exactly: a basis function of distance and angle is a product of two.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from matlake.networks.batches import AngularBatch
from matlake.networks.readout import Readout
from matlake.networks.statistics import normalised


class DimeNetPlusPlus(nn.Module):
    """Embedding, interaction and output blocks; predictions are means over atoms.

    Layers, for the embedding (0) and each interaction block, all of them means over atoms: ``sums_n`` of what the
    output block sums up over an atom's messages, normalised atom by atom; ``messages_n`` of the mean of these messages;
    ``n`` of what the dense layers of the output block make of the sums; and ``pooled``, the sum of these over blocks.
    Dense layers forget what the target does not need.
    """

    shift: torch.Tensor

    def __init__(
        self,
        *,
        hidden_channels: int = 128,
        num_blocks: int = 4,
        int_emb_size: int = 64,
        basis_emb_size: int = 8,
        out_emb_channels: int = 256,
        num_spherical: int = 7,
        num_radial: int = 6,
        cutoff: float = 5.0,
        envelope_exponent: int = 5,
        num_before_skip: int = 1,
        num_after_skip: int = 2,
        num_output_layers: int = 3,
        lin_up_bias: bool = False,
        targets: int = 1,
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            hidden_channels: Length of a message.
            num_blocks: Interaction blocks.
            int_emb_size: Length of a message inside the angular product.
            basis_emb_size: Length of the embedded basis.
            out_emb_channels: Length of an atom's vector.
            num_spherical: Legendre polynomials.
            num_radial: Radial functions for each of them.
            cutoff: In Å.
            envelope_exponent: Exponent of the envelope that takes the basis to zero at the cutoff.
            num_before_skip: Residual layers before the skip connection.
            num_after_skip: Residual layers behind it.
            num_output_layers: Dense layers of an output block.
            lin_up_bias: Whether the up-projection of the output blocks has a bias, as in CDVAE's variant.
            targets: Numbers predicted.
        """
        super().__init__()
        hidden = hidden_channels
        self.num_spherical = num_spherical
        self.register_buffer("shift", torch.zeros(targets), persistent=False)  # the outputs have no bias
        self.rbf = _BesselBasis(num_radial, cutoff, envelope_exponent)
        self.sbf = _SphericalBasis(num_spherical, num_radial, cutoff, envelope_exponent)
        self.emb = _Embedding(num_radial, hidden)
        self.output_blocks = nn.ModuleList(
            _Output(num_radial, hidden, out_emb_channels, targets, num_output_layers, bias=lin_up_bias)
            for _ in range(num_blocks + 1)
        )
        self.interaction_blocks = nn.ModuleList(
            _Interaction(
                hidden, int_emb_size, basis_emb_size, (num_spherical, num_radial), num_before_skip, num_after_skip
            )
            for _ in range(num_blocks)
        )

    def forward(self, batch: AngularBatch) -> dict[str, torch.Tensor]:
        """Return the layers by name, each [crystals, width]."""
        taps = self.taps(batch)
        before = {f"sums_{n}": batch.pool(normalised(tap.sums)) for n, tap in enumerate(taps)}
        before |= {f"messages_{n}": batch.pool(mean_received(tap.received, batch)) for n, tap in enumerate(taps)}
        behind = {str(n): batch.pool(tap.features) for n, tap in enumerate(taps)}
        pooled = torch.stack(tuple(behind.values())).sum(dim=0)
        return {**before, **behind, "pooled": pooled, "prediction": self._prediction(batch, taps)}

    def taps(self, batch: AngularBatch) -> "list[Tap]":
        """Return what the output blocks make of the messages, block by block."""
        radial = self.rbf(batch.distances)
        spherical = self.sbf(batch.distances)
        x = self.emb(batch, radial)
        taps = [self.output_blocks[0](x, radial, batch)]
        for interaction, output in zip(self.interaction_blocks, self.output_blocks[1:], strict=True):
            x = interaction(x, radial, spherical, batch)
            taps.append(output(x, radial, batch))
        return taps

    def _prediction(self, batch: AngularBatch, taps: "list[Tap]") -> torch.Tensor:
        return batch.pool(torch.stack([tap.prediction for tap in taps]).sum(dim=0)) + self.shift

    def predict(self, batch: AngularBatch) -> torch.Tensor:
        """Return only the prediction, [crystals, targets]."""
        return self._prediction(batch, self.taps(batch))

    def readout(self) -> Readout:
        """Return the outputs of all blocks as one, on the means of what comes into them."""
        blocks = cast("list[_Output]", self.output_blocks)

        def set_output(weight: torch.Tensor, bias: torch.Tensor) -> None:
            for block, part in zip(blocks, weight.chunk(len(blocks), dim=1), strict=True):
                block.lin.weight.copy_(part)
            self.shift.copy_(bias)

        def features(batch: AngularBatch) -> torch.Tensor:
            return torch.cat([batch.pool(tap.features) for tap in self.taps(batch)], dim=1)

        return Readout(features, set_output)

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        for block in cast("list[_Output]", self.output_blocks):
            block.lin.weight.mul_(std[:, None])
        self.shift.copy_(self.shift * std + mean)


def envelope(x: torch.Tensor, exponent: int) -> torch.Tensor:
    """Return u(x)/x with u of equation 8 of the DimeNet paper, zero from x = 1 on."""
    p = exponent + 1
    a, b, c = -(p + 1) * (p + 2) / 2, p * (p + 2), -p * (p + 1) / 2
    inside = 1 / x + x ** (p - 1) * (a + x * (b + x * c))
    return inside * (x < 1)


class _BesselBasis(nn.Module):
    """Equation 7 of the DimeNet paper; the frequencies are learnt."""

    def __init__(self, count: int, cutoff: float, exponent: int) -> None:
        super().__init__()
        self.cutoff, self.exponent = cutoff, exponent
        self.freq = nn.Parameter(torch.arange(1, count + 1) * math.pi)

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        x = distances[:, None] / self.cutoff
        return envelope(x, self.exponent) * torch.sin(self.freq * x)


class _SphericalBasis(nn.Module):
    """Equation 6 of the DimeNet paper without the angular part: spherical Bessel functions, normalised."""

    zeros: torch.Tensor
    norms: torch.Tensor

    def __init__(self, degrees: int, count: int, cutoff: float, exponent: int) -> None:
        super().__init__()
        self.cutoff, self.exponent = cutoff, exponent
        zeros, norms = bessel_zeros(degrees, count)
        self.register_buffer("zeros", torch.from_numpy(zeros), persistent=False)
        self.register_buffer("norms", torch.from_numpy(norms), persistent=False)

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        """Return [messages, degrees, radial functions]; in float64 inside, since the recurrence loses digits."""
        x = distances.double()[:, None, None] / self.cutoff
        values = spherical_bessel(x * self.zeros.double())
        return (envelope(x, self.exponent) * self.norms.double() * values).to(distances.dtype)


def spherical_bessel(x: torch.Tensor) -> torch.Tensor:
    """Return j_l(x) for [..., degrees, count] arguments, row l with degree l, by upward recurrence."""
    before = torch.sin(x) / x
    rows = [before[..., 0, :]]
    now = before / x - torch.cos(x) / x
    for degree in range(1, x.shape[-2]):
        rows.append(now[..., degree, :])
        before, now = now, (2 * degree + 1) / x * now - before
    return torch.stack(rows, dim=-2)


@cache
def bessel_zeros(degrees: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return, as [degrees, count] each, zeros z_ln of the spherical Bessel functions and norms √2 / |j_(l+1)(z_ln)|."""
    from scipy.optimize import brentq
    from scipy.special import spherical_jn

    zeros = np.empty((degrees, count))
    roots = np.arange(1, count + degrees) * np.pi
    zeros[0] = roots[:count]
    for degree in range(1, degrees):  # the zeros of j_(l-1) enclose those of j_l
        roots = np.array(
            [brentq(lambda x, n=degree: spherical_jn(n, x), low, high, xtol=1e-14) for low, high in pairwise(roots)]
        )
        zeros[degree] = roots[:count]
    following = np.stack([spherical_jn(degree + 1, zeros[degree]) for degree in range(degrees)])
    return zeros, np.sqrt(2.0) / np.abs(following)


class _Embedding(nn.Module):
    def __init__(self, radials: int, hidden: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(95, hidden)
        self.lin_rbf = nn.Linear(radials, hidden)
        self.lin = nn.Linear(3 * hidden, hidden)
        nn.init.uniform_(self.emb.weight, -math.sqrt(3), math.sqrt(3))

    def forward(self, batch: AngularBatch, radial: torch.Tensor) -> torch.Tensor:
        x = self.emb(batch.numbers)
        parts = [
            x.index_select(0, batch.target),
            x.index_select(0, batch.source),
            functional.silu(self.lin_rbf(radial)),
        ]
        return functional.silu(self.lin(torch.cat(parts, dim=-1)))


class _Residual(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lin1 = _dense(hidden, hidden)
        self.lin2 = _dense(hidden, hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + functional.silu(self.lin2(functional.silu(self.lin1(x))))


class _Interaction(nn.Module):
    def __init__(self, hidden: int, inner: int, basis: int, counts: tuple[int, int], before: int, after: int) -> None:
        super().__init__()
        degrees, radials = counts
        self.degrees = degrees
        self.lin_rbf1 = _dense(radials, basis, bias=False)
        self.lin_rbf2 = _dense(basis, hidden, bias=False)
        self.lin_sbf1 = _dense(degrees * radials, basis, bias=False)
        self.lin_sbf2 = _dense(basis, inner, bias=False)
        self.lin_kj = _dense(hidden, hidden)
        self.lin_ji = _dense(hidden, hidden)
        self.lin_down = _dense(hidden, inner, bias=False)
        self.lin_up = _dense(inner, hidden, bias=False)
        self.layers_before_skip = nn.ModuleList(_Residual(hidden) for _ in range(before))
        self.lin = _dense(hidden, hidden)
        self.layers_after_skip = nn.ModuleList(_Residual(hidden) for _ in range(after))

    def forward(
        self, x: torch.Tensor, radial: torch.Tensor, spherical: torch.Tensor, batch: AngularBatch
    ) -> torch.Tensor:
        """Update messages [messages, hidden] with bases [messages, radials] and [messages, degrees, radials]."""
        act = functional.silu
        x_ji = act(self.lin_ji(x))
        x_kj = act(self.lin_kj(x)) * self.lin_rbf2(self.lin_rbf1(radial))
        x_kj = act(self.lin_down(x_kj))
        degrees, radials = spherical.shape[1:]
        mixed = self.lin_sbf2.weight @ self.lin_sbf1.weight  # [inner, degrees · radials]
        inner = len(mixed)
        per_degree = mixed.view(inner, degrees, radials).permute(1, 2, 0)  # [degrees, radials, inner]
        filters = torch.matmul(spherical.transpose(0, 1), per_degree)  # [degrees, messages, inner]
        weighted = (filters * x_kj).transpose(0, 1).reshape(len(x), degrees * inner)
        weighted = torch.cat([weighted, weighted.new_zeros(1, degrees * inner)])  # what padding points at
        updates = []
        for block in batch.blocks:
            atoms, most_in = block.incoming.shape
            gathered = weighted.index_select(0, block.incoming.view(-1)).view(atoms, most_in * degrees, inner)
            updates.append(torch.bmm(block.couplings, gathered).view(-1, inner))
        x_kj = act(self.lin_up(torch.cat(updates).index_select(0, batch.rows)))
        h = x_ji + x_kj
        for layer in self.layers_before_skip:
            h = layer(h)
        h = act(self.lin(h)) + x
        for layer in self.layers_after_skip:
            h = layer(h)
        return h


class _Output(nn.Module):
    def __init__(self, radials: int, hidden: int, width: int, targets: int, layers: int, *, bias: bool) -> None:
        super().__init__()
        self.lin_rbf = _dense(radials, hidden, bias=False)
        self.lin_up = _dense(hidden, width, bias=bias)
        self.lins = nn.ModuleList(_dense(width, width) for _ in range(layers))
        self.lin = nn.Linear(width, targets, bias=False)
        nn.init.zeros_(self.lin.weight)

    def forward(self, x: torch.Tensor, radial: torch.Tensor, batch: AngularBatch) -> "Tap":
        """Return what the block makes of messages [messages, hidden]."""
        sums = _received(self.lin_rbf(radial) * x, batch)
        features = self.lin_up(sums)
        for layer in self.lins:
            features = functional.silu(layer(features))
        return Tap(sums, x, features, self.lin(features))


@dataclass(frozen=True)
class Tap:
    """What an output block makes of the messages into atoms.

    Attributes:
        sums: [atoms, hidden], of the messages, each weighted by its distance.
        received: [messages, hidden], the messages.
        features: [atoms, width], behind the dense layers.
        prediction: [atoms, targets], their share of the prediction.
    """

    sums: torch.Tensor
    received: torch.Tensor
    features: torch.Tensor
    prediction: torch.Tensor


def _received(messages: torch.Tensor, batch: AngularBatch) -> torch.Tensor:
    """Return the sums of the messages [messages, width] that come into each atom, [atoms, width]."""
    each = messages.index_select(0, batch.incoming) * batch.counts[:, None]
    return messages.new_zeros(len(batch.numbers), messages.shape[1]).index_add(0, batch.owner, each)


def mean_received(messages: torch.Tensor, batch: AngularBatch) -> torch.Tensor:
    """Return the means of the messages that come into each atom, [atoms, width]; zeros where there are none."""
    return _received(messages, batch) / _received(torch.ones_like(messages[:, :1]), batch).clamp(min=1.0)


def _dense(inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear layer with DimeNet's initial weights: orthogonal, with the variance of Glorot's."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.orthogonal_(layer.weight)
    with torch.no_grad():
        layer.weight.mul_(torch.sqrt(2.0 / ((inputs + outputs) * layer.weight.var())))
        if bias:
            layer.bias.zero_()
    return layer
