"""Controls: networks of the catalogue's sizes with random weights, as encoders: they have learned nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import CARD_FILE, Precision, read_card
from matlake.encoders.registry import find_encoder

_LIKE: Final = {"crystal": "cgcnn-mp-formation-energy", "composition": "elemnet-oqmd-formation-energy"}
"""Encoders whose cards say which elements a control takes, and which labels do not count for it either."""


def export_untrained(architecture: str, seed: int, folder: Path) -> Path:
    """Export a network with random weights, unless it is there already.

    Args:
        architecture: Key of ``ARCHITECTURES``.
        seed: Of the weights.
        folder: Receives the folder of the encoder.

    Returns:
        The folder of the encoder.
    """
    place = folder / f"untrained-{architecture}-{seed}"
    if not (place / CARD_FILE).exists():
        _export(architecture, seed, place)
    return place


def _export(name: str, seed: int, place: Path) -> None:
    import torch

    from matlake.encoders.writing import write_encoder
    from matlake.networks.architectures import ARCHITECTURES
    from matlake.networks.writing import elemnet_model, graph_model

    made = ARCHITECTURES[name]
    card = read_card(find_encoder(_LIKE[made.input]).folder)
    torch.manual_seed(seed)
    network: Any = made.network(**made.sizes).eval()
    recipe = made.recipe(network, made.sizes["cutoff"], made.max_neighbours) if made.kind else None
    model, layers = elemnet_model(network) if recipe is None else graph_model(made, network, recipe)
    draft = replace(
        card,
        name=place.name,
        architecture=name,
        layers=layers,
        default_layer="1",
        precision=Precision.FLOAT32,
        input_parameters=replace(card.input_parameters, graph=recipe),
        training=replace(card.training, sizes=made.sizes, notes=("random weights: a control",)),
        metrics={},
        parity={},
    )
    write_encoder(draft, model.SerializeToString(deterministic=True), place, lambda _: {})
