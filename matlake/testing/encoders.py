"""The contract of an encoder in a folder: that of ``encoders verify``, and a licence."""

from pathlib import Path
from typing import Final

from matlake.encoders.card import read_card
from matlake.encoders.verify import verify_encoder
from matlake.testing.requirements import require, require_name

_NOT_STATED: Final = frozenset({"", "not stated"})


def check_encoder(folder: str | Path) -> None:
    """Check an encoder that a package ships: the contract of ``verify_encoder``, and a licence.

    Args:
        folder: Holds ``card.json`` and ``encoder.onnx``: what the entry point in ``matlake.encoders`` stands for.

    Raises:
        AssertionError: A clause of the contract does not hold, or the card states no licence.
        EncoderError: The card cannot be read.
        MissingExtraError: ONNX Runtime is not installed.
    """
    card = read_card(Path(folder))
    require_name(card.name)
    require(card.licence.strip() not in _NOT_STATED, f"the card of {card.name} states no licence")
    failed = [f"{check.name}: {check.detail}" for check in verify_encoder(Path(folder)) if not check.passed]
    require(not failed, f"{card.name} breaks its contract: {'; '.join(failed)}")
