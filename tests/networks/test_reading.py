"""Networks read back from the files of encoders compute what the files compute."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from edited_cards import edit_card

from matlake.encoders.card import CARD_FILE
from matlake.encoders.encoder import open_crystal_encoder
from matlake.encoders.reference import reference_crystals
from matlake.encoders.registry import find_encoder
from matlake.errors import EncoderError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from matlake.networks.architectures import ARCHITECTURES  # noqa: E402 - behind the check
from matlake.networks.reading import read_network  # noqa: E402

ENCODERS = [f"{architecture}-mp-formation-energy" for architecture in ("cgcnn", "schnet", "dimenet++")] + [
    "chgnet-mptrj"
]


@pytest.mark.parametrize("name", ENCODERS)
def test_all_layers_are_those_of_the_file(name: str) -> None:
    encoder = open_crystal_encoder(find_encoder(name).folder)
    network = read_network(find_encoder(name).folder)
    crystals = reference_crystals().take(np.arange(5, 50, 5))
    inputs = encoder.inputs(crystals)
    batch = ARCHITECTURES[encoder.card.architecture].batch
    assert batch is not None
    with torch.no_grad():
        layers = network(batch(inputs.graphs))
    for layer in encoder.card.layers:
        expected = encoder.encode_inputs(inputs, [layer.name])[0]
        assert np.abs(layers[layer.name].numpy() - expected).max() <= 2e-5 * np.abs(expected).max()


def test_every_weight_can_be_trained() -> None:
    for name in ENCODERS:
        network = read_network(find_encoder(name).folder)
        assert all(parameter.requires_grad and parameter.isfinite().all() for parameter in network.parameters())
        card = find_encoder(name).card
        fresh = ARCHITECTURES[card.architecture].network(**card.training.sizes)
        assert network.state_dict().keys() == fresh.state_dict().keys()


def test_an_encoder_that_gives_no_graph_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="elemnet: no crystal graph network can start from it"):
        read_network(find_encoder("elemnet-oqmd-formation-energy").folder)
    folder = tmp_path / "schnet"
    shutil.copytree(find_encoder(ENCODERS[1]).folder, folder)
    edit_card(folder / CARD_FILE, lambda card: card["training"]["sizes"].update(num_interactions=5))
    with pytest.raises(EncoderError, match="cannot be read back"):
        read_network(folder)
    edit_card(folder / CARD_FILE, lambda card: card["training"]["sizes"].update(num_interactions=4, cutoff=5.0))
    with pytest.raises(EncoderError, match="is not its function"):
        read_network(folder)
