"""Controls: encoders of the same architecture and sizes with random weights, which have learned nothing."""

from dataclasses import replace
from pathlib import Path

from matlake.encoders.card import CARD_FILE, EncoderCard, read_card


def export_untrained(folder: Path, seed: int, control: Path) -> Path:
    """Export a network like that of an encoder, with random weights, unless it is there already.

    Args:
        folder: Of the encoder.
        seed: Of the weights.
        control: Receives the folder of the control.

    Returns:
        The folder of the control.
    """
    card = read_card(folder)
    place = control / f"untrained-{card.architecture}-{seed}"
    if not (place / CARD_FILE).exists():
        _export(card, seed, place)
    return place


def _export(card: EncoderCard, seed: int, place: Path) -> None:
    import torch

    from matlake.export.onnx_export import elemnet_model, graph_model
    from matlake.export.writing import write_encoder
    from matlake.networks.architectures import ARCHITECTURES

    architecture = ARCHITECTURES[card.architecture]
    torch.manual_seed(seed)
    network = architecture.network(**(card.training.sizes or {})).eval()
    graph = card.input_parameters.graph
    model, layers = elemnet_model(network) if graph is None else graph_model(architecture, network, graph)
    draft = replace(
        card, name=place.name, layers=layers, metrics={}, parity={}, precision=type(card.precision)("float32"),
        training=replace(card.training, notes=("random weights: a control",)),
    )  # fmt: skip
    write_encoder(draft, model.SerializeToString(deterministic=True), place, lambda _: {})
