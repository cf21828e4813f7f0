"""From an encoder's folder back to a network that can be trained on: its weights are read from the ONNX file."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from matlake.encoders.card import MODEL_FILE, EncoderCard, read_card
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.reference import covered_rows, reference_crystals
from matlake.encoders.session import read_audited
from matlake.errors import EncoderError
from matlake.networks.architectures import ARCHITECTURES, GRAPH_NETWORKS
from matlake.networks.layers import crystal_layers

_STORED: Final = ".float16"
_PREDICTION: Final = "prediction"
_CHECKED: Final = 12
"""Reference crystals that the function is checked on, roughly."""


def read_network(folder: Path) -> nn.Module:
    """Read the network of a crystal encoder from its ONNX file.

    Args:
        folder: The encoder's folder.

    Returns:
        A reference network in evaluation mode that predicts in the encoder's own unit.

    Raises:
        EncoderError: The encoder is of another architecture, its card does not say the network's sizes, or what is read
            is not the function of the file within the card's tolerance.
    """
    card = read_card(folder)
    if card.architecture not in GRAPH_NETWORKS:
        raise EncoderError(
            f"encoder {card.name} is of architecture {card.architecture}: no crystal graph network can start from it",
            f"name an encoder of one of: {', '.join(GRAPH_NETWORKS)}",
        )
    if card.training.sizes is None:
        raise EncoderError(
            f"the weights of encoder {card.name} cannot be read back: its card does not say the network's sizes",
            "export the encoder again with this matlake",
        )
    weights = _initializers(folder, card)
    try:
        architecture = ARCHITECTURES[card.architecture]
        network = architecture.network(**card.training.sizes, targets=card.layer(_PREDICTION).dim)
        architecture.unfold(network, weights)
        network.eval()
        _check(network, folder, card)
    except (KeyError, TypeError, RuntimeError, IndexError) as error:
        raise EncoderError(
            f"the weights of encoder {card.name} cannot be read back: {error!r}",
            "export the encoder again with this matlake",
        ) from error
    return network


def _check(network: nn.Module, folder: Path, card: EncoderCard) -> None:
    encoder = open_crystal_encoder(folder)
    crystals = reference_crystals()
    covered = covered_rows(encoder, crystals)
    some = crystals.take(covered[:: max(1, len(covered) // _CHECKED)])
    layers = crystal_layers(ARCHITECTURES[card.architecture], network, encoder, some)
    exact, found = (of[card.layers.index(card.layer(_PREDICTION))] for of in layers)
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
