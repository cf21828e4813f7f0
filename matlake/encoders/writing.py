"""The writing of an encoder's folder: measured first, and there whole or not at all. Needs no torch."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from matlake.encoders.card import CARD_FILE, MODEL_FILE, EncoderCard, write_card
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.files import write_whole


def write_encoder(
    draft: EncoderCard, content: bytes, folder: Path, measure: Callable[[Encoder], dict[str, Any]]
) -> EncoderCard:
    """Measure an encoder before its file gets its place, and write the card last.

    Args:
        draft: The card, without digest and measurements; it is returned as written.
        content: The ONNX file.
        folder: Receives ``encoder.onnx`` and ``card.json``, in place of others.
        measure: Returns fields of the card from the opened file; what it raises keeps the folder as it is.
    """
    card = replace(draft, sha256=hashlib.sha256(content).hexdigest())
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / MODEL_FILE).write_bytes(content)
        write_card(card, Path(name))
        card = replace(card, **measure(open_encoder(Path(name))))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).unlink(missing_ok=True)
    write_whole(folder / MODEL_FILE, content)
    write_card(card, folder)
    return card
