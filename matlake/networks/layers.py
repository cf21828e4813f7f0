"""All layers of crystals: by a reference network, and by the encoder that was exported from it."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.materials.crystal import CrystalColumns
from matlake.networks.architectures import Architecture

_CRYSTALS_A_BATCH = 16


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
