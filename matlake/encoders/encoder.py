"""The way to an encoder that runs: from its folder to the implementation that its card asks for."""

from collections.abc import Sequence
from pathlib import Path

from matlake.encoders.base import Encoder
from matlake.encoders.card import MODEL_FILE, InputKind, read_card
from matlake.encoders.composition_encoder import CompositionEncoder
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.session import open_session
from matlake.errors import EncoderError, import_first
from matlake.sequences import as_list

__all__ = ["Encoder", "open_crystal_encoder", "open_encoder"]


def open_encoder(
    folder: str | Path, *, device: str = "cpu", threads: int = 1, layers: str | Sequence[str] | None = None
) -> Encoder:
    """Open the encoder in a folder that holds ``card.json`` and ``encoder.onnx``.

    Args:
        folder: The encoder's folder.
        device: ``cpu`` or ``cuda``.
        threads: Threads inside one operator on the CPU.
        layers: The only layers that will be used: what comes after them is not computed. Default: all.

    Raises:
        EncoderError: The card or the file is missing, changed or refused, or needs another matlake; or the encoder is
            external and has no file.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    folder = Path(folder)
    card = read_card(folder)
    if card.is_external:
        raise EncoderError(
            f"encoder {card.name} is external: another program makes its vectors, and nothing here can",
            import_first(card.name),
        )
    outputs = None if layers is None else {card.layer(layer).output for layer in as_list(layers)}
    session = open_session(
        folder / MODEL_FILE,
        card.sha256,
        error=EncoderError,
        device=device,
        threads=threads,
        outputs=outputs,
        widths={layer.output: layer.dim for layer in card.layers},
    )
    if card.input is InputKind.CRYSTAL:
        return CrystalEncoder.open(card, session, device)
    return CompositionEncoder.open(card, session, device)


def open_crystal_encoder(folder: Path) -> CrystalEncoder:
    """Open an encoder of crystals.

    Raises:
        EncoderError: As for ``open_encoder``; or the encoder takes compositions.
    """
    encoder = open_encoder(folder)
    if not isinstance(encoder, CrystalEncoder):
        raise EncoderError(f"encoder {encoder.card.name} takes compositions, not crystals", "name one of crystals")
    return encoder
