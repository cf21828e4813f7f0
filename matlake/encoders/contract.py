"""What the contracts of all encoders share: a check, how outputs are compared, and the clauses for any input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, Vectors
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import covered_materials
from matlake.encoders.rejections import Materials

SMALLEST_TOLERANCE: Final = 1e-5
_BATCH_SHARE: Final = 0.1
_BATCHES: Final = (1, 7, 17, 1000)
_MOST: Final = 1000
_FEW: Final = 40

Clause = Callable[[Encoder, Path], "Check"]
"""Holds an opened encoder, and the folder that it came from, to one clause of the contract."""


@dataclass(frozen=True)
class Check:
    """One clause of the contract.

    Attributes:
        name: What must hold.
        passed: Whether it does.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


def batch_tolerance(parity_tolerance: float) -> float:
    """Return how far a vector may move with its batch, relative to the layer's largest value.

    Matrix products add up in another order in another batch; quantised ones may then round to the next level.
    A tenth of what the encoder's precision costs anyway leaves room for that, and for nothing more.
    """
    return max(SMALLEST_TOLERANCE, _BATCH_SHARE * parity_tolerance)


def worst_difference(
    expected: Sequence[NDArray[np.floating]], found: Sequence[NDArray[np.floating]], scale: Sequence[float]
) -> float:
    """Return the largest absolute difference over all layers, each relative to its scale; NaN where a value is NaN."""
    return float(np.max([np.abs(a - b).max() / s for a, b, s in zip(expected, found, scale, strict=True)]))


def largest(outputs: Sequence[NDArray[np.floating]]) -> list[float]:
    """Return the largest absolute value of each layer, one for a layer of zeros."""
    return [float(np.abs(output).max()) or 1.0 for output in outputs]


def within(check: Callable[..., Check], worst: float, tolerance: float) -> Check:
    """Return a check of a difference against what is allowed."""
    return Check(
        name_of(check), worst <= tolerance, f"largest relative difference {worst:.1e}, allowed {tolerance:.0e}"
    )


def name_of(check: Callable[..., Any]) -> str:
    """Return what a check's docstring says must hold."""
    return (check.__doc__ or "").rstrip(".")


def some(encoder: Encoder) -> Materials:
    """Return a few materials that an encoder takes, the hard cases at the end included."""
    materials = covered_materials(encoder)
    return materials.take(np.arange(max(0, len(materials) - _FEW), len(materials)))


def all_layers(encoder: Encoder, materials: Materials) -> Vectors:
    """Return the vectors of all layers."""
    return encoder.encode_inputs(encoder.inputs(materials), [layer.name for layer in encoder.card.layers])


def compare(check: Clause, encoder: Encoder, expected: Vectors, found: Vectors) -> Check:
    """Return a check that vectors are the same within what an encoder's precision allows."""
    worst = worst_difference(expected, found, largest(expected))
    return within(check, worst, batch_tolerance(encoder.card.parity_tolerance))


def _dimensions(encoder: Encoder, _: Path) -> Check:
    """Every layer has the dimension of the card."""
    materials, layers = some(encoder), encoder.card.layers
    outputs = encoder.session.run([layer.output for layer in layers], encoder.feed(encoder.inputs(materials)))
    wrong = [
        f"{layer.name}: {output.dtype} {output.shape}, the card says {layer.dim}"
        for layer, output in zip(layers, outputs, strict=True)
        if output.dtype != np.float32 or output.reshape(len(materials), -1).shape[1] != layer.dim
    ]
    return Check(name_of(_dimensions), not wrong, "; ".join(wrong) or f"{len(layers)} layers")


def _batch_independent(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on its batch."""
    materials = _many(encoder)
    whole = all_layers(encoder, materials)
    scale, worst = largest(whole), 0.0
    for size in _BATCHES:
        for start in range(0, min(len(materials), _FEW * size), size):
            rows = np.arange(start, min(len(materials), start + size))
            part = all_layers(encoder, materials.take(rows))
            worst = max(worst, worst_difference([output[rows] for output in whole], part, scale))
    return within(_batch_independent, worst, batch_tolerance(encoder.card.parity_tolerance))


def _threads(encoder: Encoder, folder: Path) -> Check:
    """A vector does not depend on the number of threads."""
    materials = _many(encoder)
    other = open_encoder(folder, threads=2)
    return compare(_threads, encoder, all_layers(encoder, materials), all_layers(other, materials))


def _partial(encoder: Encoder, _: Path) -> Check:
    """One layer alone equals that layer of a full run."""
    materials = some(encoder)
    whole = all_layers(encoder, materials)
    alone = [encoder.encode(materials, layer.name) for layer in encoder.card.layers]
    return within(_partial, worst_difference(whole, alone, largest(whole)), SMALLEST_TOLERANCE)


def _input_untouched(encoder: Encoder, _: Path) -> Check:
    """The input is not changed."""
    materials = some(encoder)
    before = [array.copy() for array in vars(materials).values()]
    all_layers(encoder, materials)
    same = all((a == b).all() for a, b in zip(before, vars(materials).values(), strict=True))
    return Check(name_of(_input_untouched), same, f"{len(materials):,} materials compared")


SHARED_CONTRACT: Final[tuple[Clause, ...]] = (_dimensions, _batch_independent, _threads, _partial, _input_untouched)
"""What holds for encoders of any input."""


def _many(encoder: Encoder) -> Materials:
    materials = covered_materials(encoder)
    return materials.take(np.arange(min(len(materials), _MOST)))
