"""How far an ONNX file is from the PyTorch network that it was made from."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder
from matlake.errors import EncoderError
from matlake.export.elemnet import ElemNet

BATCH_SIZES: Final = (1, 2, 17, 1000)
REPEATS: Final = 3
TOLERANCES: Final = {"float32": 1e-5, "float16": 1e-3, "int8": 5e-2}


def measure_parity(network: ElemNet, encoder: Encoder, fractions: NDArray[np.float32]) -> dict[str, float]:
    """Compare every output at several batch sizes, each with different rows.

    Args:
        network: The original, in float32, predicting in the target's unit.
        encoder: The exported file, opened.
        fractions: float32 [n, 86], real compositions, n ≥ 1000.

    Returns:
        For each layer the largest absolute difference divided by the layer's largest absolute value.
    """
    difference = dict.fromkeys((layer.name for layer in encoder.card.layers), 0.0)
    largest = dict.fromkeys(difference, 0.0)
    names = [layer.output for layer in encoder.card.layers]
    for size in BATCH_SIZES:
        for repeat in range(REPEATS):
            batch = np.take(fractions, np.arange(size) + repeat * size, axis=0, mode="wrap")
            with torch.no_grad():
                expected = [output.numpy() for output in network(torch.from_numpy(batch))]
            found = encoder.session.run(names, {"fractions": batch})
            for layer, a, b in zip(encoder.card.layers, expected, found, strict=True):
                if a.shape != b.shape or not np.isfinite(b).all():
                    raise EncoderError(f"layer {layer.name} is {b.shape} instead of {a.shape}, or not finite")
                difference[layer.name] = max(difference[layer.name], float(np.abs(a - b).max()))
                largest[layer.name] = max(largest[layer.name], float(np.abs(a).max()))
    return {name: difference[name] / (largest[name] or 1.0) for name in difference}


def check_parity(parity: dict[str, float], tolerance: float) -> None:
    """Raise EncoderError when a layer differs by more than the tolerance."""
    failing = {name: error for name, error in parity.items() if not error <= tolerance}
    if failing:
        worst = max(failing, key=lambda name: failing[name])
        raise EncoderError(
            f"the exported file is not the network: {len(failing)} of {len(parity)} layers differ by more than "
            f"{tolerance:.0e}, layer {worst} by {failing[worst]:.1e}",
            "no card was written; export with --precision float32",
        )
