"""Another export of an encoder whose checkpoint is not at hand: its file gives the weights, this matlake the layers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from matlake.encoders.card import EncoderCard, Precision, read_card
from matlake.encoders.encoder import Encoder
from matlake.encoders.registry import licence_files
from matlake.encoders.writing import write_encoder
from matlake.export.precision import PRECISIONS
from matlake.extras import tool_versions
from matlake.files import write_whole
from matlake.networks.architectures import ARCHITECTURES
from matlake.networks.parity import TOLERANCES, check_parity, measure_parity
from matlake.networks.reading import read_network
from matlake.networks.writing import graph_model

_PRECISION = "float32"


def export_again(
    source: Path, folder: Path, *, default_layer: str | None = None, notes: tuple[str, ...] | None = None
) -> EncoderCard:
    """Export the network of a crystal encoder again, with the layers that its architecture has today.

    Args:
        source: Folder of the encoder.
        folder: Receives the new one; may be the same.
        default_layer: Of the new encoder; None for the old one's.
        notes: Remarks on the card; None for the old ones.

    Returns:
        The card as written: the next version, in float32, with parity measured anew. Errors on held-out rows are kept.

    Raises:
        EncoderError: The weights cannot be read back, there is no layer of that name, or the new file fails its parity.
    """
    old = read_card(source)
    network = read_network(source)
    recipe, architecture = old.input_parameters.graph, ARCHITECTURES[old.architecture]
    assert recipe is not None  # noqa: S101 - what was read back takes crystals
    model, layers = graph_model(architecture, network, recipe)
    card = replace(
        old,
        version=old.version + 1,
        layers=layers,
        default_layer=default_layer or old.default_layer,
        precision=Precision.FLOAT32,
        parity_tolerance=TOLERANCES[_PRECISION],
        training=old.training if notes is None else replace(old.training, notes=notes),
        tool_versions=tool_versions(),
    )
    card.layer(None)

    def measure(encoder: Encoder) -> dict[str, Any]:
        parity = measure_parity(architecture, network, encoder)
        check_parity(parity, _PRECISION)
        return {"parity": parity}

    beside = licence_files(source)
    written = write_encoder(card, PRECISIONS[_PRECISION](model).SerializeToString(deterministic=True), folder, measure)
    for name, content in beside.items():
        write_whole(folder / name, content)
    return written
