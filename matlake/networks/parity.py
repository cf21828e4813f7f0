"""How far an ONNX file is from the PyTorch network that it was made from."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.encoder import Encoder
from matlake.encoders.reference import covered_rows, reference_crystals, reference_fractions
from matlake.errors import EncoderError
from matlake.materials.crystal import CrystalColumns
from matlake.networks.architectures import Architecture
from matlake.networks.reading import crystal_layers

TOLERANCES: Final = {"float32": 1e-5, "float16": 2e-3, "int8": 5e-2}
"""Of a layer's largest value. Half precision changes a weight by up to 5e-4 of it, and a network amplifies that."""

_BATCH_SIZES: Final = (1, 2, 17, 1000)
_REPEATS: Final = 3


def measure_parity(
    architecture: Architecture, network: nn.Module, encoder: Encoder, crystals: CrystalColumns | None = None
) -> dict[str, float]:
    """Compare every layer of an exported encoder with the reference network on real materials.

    Compositions are run in several batch sizes, each with different rows, against the network in float32. Crystals are
    run as the encoder runs them, on symmetry-distinct atoms, against the network in float64 on *all* atoms and edges.

    Args:
        architecture: What the network is.
        network: The reference network.
        encoder: What was made of it.
        crystals: For an encoder of crystals: compare on these; by default on ``reference_crystals``.

    Returns:
        For each layer the largest absolute difference divided by the layer's largest absolute value.
    """
    pairs: Sequence[tuple[Sequence[NDArray[np.floating]], Sequence[NDArray[np.float32]]]]
    if isinstance(encoder, CrystalEncoder):
        crystals = crystals or reference_crystals()
        pairs = [crystal_layers(architecture, network, encoder, crystals.take(covered_rows(encoder, crystals)))]
    else:
        pairs = _composition_pairs(network, encoder, reference_fractions())
    names = [layer.name for layer in encoder.card.layers]
    difference, largest = np.zeros(len(names)), np.zeros(len(names))
    for expected, found in pairs:
        for k, (a, b) in enumerate(zip(expected, found, strict=True)):
            if a.shape != b.shape or not np.isfinite(b).all():
                raise EncoderError(f"layer {names[k]} is {b.shape} instead of {a.shape}, or not finite")
            difference[k] = max(difference[k], float(np.abs(a - b).max()))
            largest[k] = max(largest[k], float(np.abs(a).max()))
    return dict(zip(names, (difference / np.where(largest > 0, largest, 1.0)).tolist(), strict=True))


def check_parity(parity: dict[str, float], precision: str, tolerance: float | None = None) -> None:
    """Raise EncoderError when a layer differs by more than what the precision, a key of ``TOLERANCES``, allows.

    Args:
        parity: See ``measure_parity``.
        precision: Of the file.
        tolerance: Another one than that of the precision.
    """
    tolerance = tolerance or TOLERANCES[precision]
    failing = {name: error for name, error in parity.items() if not error <= tolerance}
    if failing:
        worst = max(failing, key=lambda name: failing[name])
        raise EncoderError(
            f"the exported file is not the network: {len(failing)} of {len(parity)} layers differ by more than "
            f"{tolerance:.0e}, layer {worst} by {failing[worst]:.1e}",
            "no card was written" + ("; export in the precision float32" if precision != "float32" else ""),
        )


def _composition_pairs(
    network: nn.Module, encoder: Encoder, fractions: NDArray[np.float32]
) -> list[tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]]:
    names = [layer.output for layer in encoder.card.layers]
    pairs = []
    for size in _BATCH_SIZES:
        for repeat in range(_REPEATS):
            batch = np.take(fractions, np.arange(size) + repeat * size, axis=0, mode="wrap")
            with torch.no_grad():
                expected = [output.numpy() for output in network(torch.from_numpy(batch))]
            pairs.append((expected, encoder.session.run(names, encoder.feed(batch))))
    return pairs
