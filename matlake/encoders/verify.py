"""The contract of an encoder, checked on the file itself, without the framework that made it."""

from pathlib import Path
from typing import Final

from matlake.encoders.card import InputKind
from matlake.encoders.composition_contract import COMPOSITION_CONTRACT
from matlake.encoders.contract import Check, name_of
from matlake.encoders.crystal_contract import CRYSTAL_CONTRACT
from matlake.encoders.encoder import open_encoder
from matlake.errors import EncoderError

_CONTRACTS: Final = {InputKind.COMPOSITION: COMPOSITION_CONTRACT, InputKind.CRYSTAL: CRYSTAL_CONTRACT}


def verify_encoder(folder: Path) -> list[Check]:
    """Hold an encoder to its contract.

    Args:
        folder: Holds ``card.json`` and ``encoder.onnx``.

    Returns:
        All checks; only the first one where the file cannot be opened at all.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    name = "The file matches its card and passes the audit"
    try:
        encoder = open_encoder(folder)
    except EncoderError as error:
        return [Check(name, False, str(error))]
    checks = [Check(name, True, f"sha256 {encoder.card.sha256}")]
    for check in _CONTRACTS[encoder.input]:
        try:
            checks.append(check(encoder, folder))
        except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions share no base class; a clause that fails must not hide the rest
            checks.append(Check(name_of(check), False, f"failed to run: {error}"))
    return checks
