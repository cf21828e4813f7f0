"""From an encoder's ONNX file back to a network that can be trained on, and the layers of both side by side."""

import copy
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from matlake.encoders.card import MODEL_FILE, PREDICTION, EncoderCard, read_card
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.reference import covered_rows, reference_crystals
from matlake.encoders.session import read_audited
from matlake.errors import EncoderError
from matlake.materials.crystal import CrystalColumns
from matlake.networks.architectures import ARCHITECTURES, FINE_TUNABLE, Architecture

_STORED: Final = ".float16"
_CHECKED: Final = 12
"""Reference crystals that the function is checked on, roughly."""

_CRYSTALS_A_BATCH: Final = 16


def read_network(folder: Path) -> nn.Module:
    """Read the reference network of a crystal encoder from its folder, in evaluation mode and in the encoder's unit.

    Raises:
        EncoderError: The encoder is of another architecture, its card does not say the network's sizes, or what is read
            is not the function of the file within the card's tolerance.
    """
    card = read_card(folder)
    if card.architecture not in FINE_TUNABLE:
        raise EncoderError(
            f"encoder {card.name} is of architecture {card.architecture}: no crystal graph network can start from it",
            f"name an encoder of one of: {', '.join(FINE_TUNABLE)}",
        )
    if card.training.sizes is None:
        raise EncoderError(
            f"the weights of encoder {card.name} cannot be read back: its card does not say the network's sizes",
            "export the encoder again with this matlake",
        )
    weights = _initializers(folder, card)
    try:
        architecture = ARCHITECTURES[card.architecture]
        network = architecture.network(**card.training.sizes, targets=card.layer(PREDICTION).dim)
        architecture.unfold(network, weights)
        network.eval()
        _check(network, folder, card)
    except (KeyError, TypeError, RuntimeError, IndexError) as error:
        raise EncoderError(
            f"the weights of encoder {card.name} cannot be read back: {error!r}",
            "export the encoder again with this matlake",
        ) from error
    return network


def crystal_layers(
    architecture: Architecture, network: nn.Module, encoder: CrystalEncoder, crystals: CrystalColumns
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float32]]]:
    """Return all layers of crystals: by the reference in float64 on all atoms, and by the encoder."""
    exact = copy.deepcopy(network).double().eval()
    expected = []
    with torch.no_grad():
        for start in range(0, len(crystals), _CRYSTALS_A_BATCH):
            rows = np.arange(start, min(len(crystals), start + _CRYSTALS_A_BATCH))
            graphs = encoder.recipe.build(crystals.take(rows), resolution=0.0)
            layers = exact(architecture.batch(graphs, torch.float64))
            expected.append([layers[layer.name].numpy() for layer in encoder.card.layers])
    found = encoder.encode_inputs(encoder.inputs(crystals), [layer.name for layer in encoder.card.layers])
    return [np.concatenate(parts) for parts in zip(*expected, strict=True)], found


def _check(network: nn.Module, folder: Path, card: EncoderCard) -> None:
    encoder = open_crystal_encoder(folder)
    crystals = reference_crystals()
    covered = covered_rows(encoder, crystals)
    some = crystals.take(covered[:: max(1, len(covered) // _CHECKED)])
    layers = crystal_layers(ARCHITECTURES[card.architecture], network, encoder, some)
    exact, found = (of[card.layers.index(card.layer(PREDICTION))] for of in layers)
    difference = float(np.abs(exact - found).max() / np.abs(exact).max())
    if not difference <= card.parity_tolerance:
        raise EncoderError(
            f"what is read from the file of encoder {card.name} is not its function: predictions differ by "
            f"{difference:.1e}, where its card allows {card.parity_tolerance:.0e}",
            "export the encoder again with this matlake",
        )


def _initializers(folder: Path, card: EncoderCard) -> dict[str, torch.Tensor]:
    """Return the weights of the file in float64, by the names of the exported module."""
    graph = onnx.load_model_from_string(read_audited(folder / MODEL_FILE, card.sha256, EncoderError)).graph
    return {
        tensor.name.removesuffix(_STORED): torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float64))
        for tensor in graph.initializer
    }
