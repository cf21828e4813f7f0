"""An encoder that runs: its card, an ONNX session, and the way from a batch to vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import MODEL_FILE, EncoderCard, read_card
from matlake.encoders.session import onnx_runtime, open_session
from matlake.errors import EncoderError
from matlake.materials.elements import ELEMNET_ELEMENTS

BATCH_ROWS = 1024
"""Rows a run: matrix products reach their peak from 512 on, and activations stay in the cache."""


@dataclass(frozen=True)
class Encoder:
    """An opened encoder. Safe to call from several threads at once.

    Attributes:
        card: What it is.
        session: The ONNX Runtime session.
    """

    card: EncoderCard
    session: Any

    def encode(self, fractions: NDArray[np.float32], layer: str | None = None) -> NDArray[np.float32]:
        """Return one layer's vectors for compositions.

        Only the part of the network that the layer needs is run.

        Args:
            fractions: float32 [n, 86], in the order of the card's ``input_parameters["elements"]``.
            layer: Name of a layer; None for the default.

        Returns:
            float32 [n, dim].

        Raises:
            EncoderError: Unknown layer, or a vector that is not finite.
        """
        wanted = self.card.layer(layer)
        options = onnx_runtime().RunOptions()
        options.only_execute_path_to_fetches = True
        vectors = np.empty((len(fractions), wanted.dim), dtype=np.float32)
        for start in range(0, len(fractions), BATCH_ROWS):
            batch = fractions[start : start + BATCH_ROWS]
            (output,) = self.session.run([wanted.output], {"fractions": batch}, options)
            vectors[start : start + len(batch)] = output.reshape(len(batch), wanted.dim)
        if not np.isfinite(vectors).all():
            raise EncoderError(f"encoder {self.card.name} returned values that are not finite")
        return vectors


def open_encoder(folder: Path, *, device: str = "cpu", threads: int = 1) -> Encoder:
    """Open the encoder in a folder that holds ``card.json`` and ``encoder.onnx``.

    Args:
        folder: The encoder's folder.
        device: ``cpu`` or ``cuda``.
        threads: Threads inside one operator on the CPU.

    Raises:
        EncoderError: The card or the file is missing, changed or refused, or needs another matlake.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    card = read_card(folder)
    if card.input != "composition":
        raise EncoderError(f"encoder {card.name} takes {card.input} input, which this version cannot make")
    if tuple(card.input_parameters.get("elements", ())) != ELEMNET_ELEMENTS:
        raise EncoderError(f"encoder {card.name} orders elements in a way that this version cannot make")
    session = open_session(folder / MODEL_FILE, card.sha256, error=EncoderError, device=device, threads=threads)
    return Encoder(card, session)
