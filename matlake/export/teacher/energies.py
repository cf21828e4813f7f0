"""Energies of crystals from an encoder that predicts them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import PREDICTION, EncoderCard, InputKind
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.encoder import open_encoder
from matlake.encoders.label_kinds import label_kind
from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError
from matlake.materials.crystal import Crystal, CrystalColumns

_UNIT: Final = "eV/atom"
_ENERGY: Final = label_kind("energy_eV_per_atom")


def check_teacher(card: EncoderCard) -> None:
    """Refuse an encoder whose predictions are no energies, or jump where a crystal is strained.

    Raises:
        EncoderError: It takes compositions, predicts something else or nothing, or counts a number of neighbours.
    """
    remedy = "name one that does, such as chgnet-mptrj"
    if card.input is not InputKind.CRYSTAL or PREDICTION not in {layer.name for layer in card.layers}:
        raise EncoderError(f"encoder {card.name} does not predict energies of crystals", remedy)
    target = card.target
    if target is None or target.unit != _UNIT or label_kind(target.name) != _ENERGY:
        predicted = f"{target.name} ({target.unit or 'no unit'})" if target else "nothing that its card names"
        raise EncoderError(f"encoder {card.name} predicts {predicted}, not an energy in {_UNIT}", remedy)
    graph = card.input_parameters.graph
    if graph is None or graph.max_neighbours:
        raise EncoderError(
            f"encoder {card.name} counts a fixed number of neighbours: its energy jumps where they change places, and "
            "has no second derivative",
            "name one that sees all neighbours within its cutoff, such as chgnet-mptrj",
        )


def open_teacher(found: RegisteredEncoder, device: str) -> CrystalEncoder:
    """Open an encoder for its energies alone.

    Raises:
        EncoderError: See ``check_teacher`` and ``open_encoder``.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    check_teacher(found.card)
    encoder = open_encoder(found.folder, device=device, layers=PREDICTION)
    if not isinstance(encoder, CrystalEncoder):
        raise EncoderError(f"encoder {found.card.name} does not take crystals")
    return encoder


def cell_energies(encoder: CrystalEncoder, crystals: Sequence[Crystal]) -> NDArray[np.float64]:
    """Return energies in eV per cell, float64 [n]; NaN where the network returns no finite number."""
    inputs = encoder.inputs(CrystalColumns.of(crystals))
    (vectors,), reasons = encoder.encode_finite(inputs, [PREDICTION])
    found = np.full(len(crystals), np.nan)
    found[[reason is None for reason in reasons]] = vectors[:, 0]
    return found * [len(crystal.numbers) for crystal in crystals]
