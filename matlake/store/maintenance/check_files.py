"""Check the encoders and the heads of a lake: files beside cards that state their digests."""

import hashlib
from pathlib import Path
from typing import Any, Final

from matlake.documents import DIGEST, opened, parse_json
from matlake.encoders.card import CARD_FILE, MODEL_FILE, EncoderCard, read_card
from matlake.encoders.registry import copy_files, find_encoder
from matlake.errors import EncoderError, PluginError
from matlake.files import sha256_of
from matlake.store.bucket_encoders import put_encoder
from matlake.store.folders import CARRIED
from matlake.store.lake import Lake
from matlake.store.maintenance.report import CheckReport, Problem
from matlake.store.storage.copies import local_copy
from matlake.store.storage.places import LakePath

_WITHOUT_DIGEST: Final = (1, 2, 3)
"""Formats of cards of heads, up to that of 0.1.0, that no digest covers."""

_HEAD_FILES: Final = (("head.onnx", "sha256"), ("reference.parquet", "reference_sha256"))


def check_encoders(lake: Lake, report: CheckReport, *, repair: bool) -> None:
    """Compare encoders with their cards; one that is installed with matlake can be copied again."""
    for folder in sorted(card.parent for card in lake.encoders_folder.glob(f"*/{CARD_FILE}")):
        problem = _encoder_problem(folder)
        if problem is None:
            continue
        installed = _installed(folder)
        if installed is None:
            remedy = "restore it, or export or register the encoder again"
        elif not repair:
            remedy = "run `matlake check --repair`"
        else:
            if isinstance(folder, Path):
                copy_files(installed, folder)
            else:
                put_encoder(installed, folder)
            report.repaired.append(
                f"{problem[0]} {problem[1]}: the encoder was copied again from the installed package"
            )
            continue
        report.damaged.append(Problem(*problem, remedy))


def _encoder_problem(folder: LakePath) -> tuple[LakePath, str] | None:
    try:
        card = _card(folder)
    except EncoderError as error:
        return folder / CARD_FILE, f"is damaged ({error})"
    if not card.is_external and _sha256(folder / MODEL_FILE) != card.sha256:
        return folder / MODEL_FILE, "does not match the digest on its card"
    return None


def _card(folder: LakePath) -> EncoderCard:
    """Return the card of an encoder.

    Raises:
        EncoderError: The card cannot be read.
    """
    copy = local_copy(folder, CARD_FILE, (CARD_FILE,))
    if copy is None:
        raise EncoderError(f"there is no card at {folder} any more")
    return read_card(copy)


def _installed(folder: LakePath) -> Path | None:
    """Return the folder of the same encoder in the installed package: what is left of it says that it is the same."""
    try:
        shipped = find_encoder(folder.name)
    except (EncoderError, PluginError):
        return None
    try:
        sha256 = _card(folder).sha256
    except EncoderError:
        sha256 = _sha256(folder / MODEL_FILE) or ""
    return shipped.folder if shipped.card.sha256 == sha256 else None


def check_heads(lake: Lake, report: CheckReport) -> None:
    """Compare heads with their cards; of one with several targets its members."""
    if not lake.heads_folder.is_dir():
        return
    for folder in sorted(path for path in lake.heads_folder.iterdir() if path.is_dir() and path.name[:1] != "."):
        members = sorted(card.parent for card in folder.glob(f"*/{CARD_FILE}"))
        for place in members or [folder]:
            _check_head(place, folder.name, report)


def _check_head(folder: LakePath, name: str, report: CheckReport) -> None:
    card = folder / CARD_FILE
    try:
        entries = parse_json(card.read_bytes())
        digests = _digests(entries)
    except (OSError, ValueError, TypeError) as error:
        report.damaged.append(Problem(card, f"cannot be read ({error})", f"train the head {name} again"))
        return
    for encoder, digest in _carried(entries):
        place = folder / CARRIED / encoder
        if _sha256(place / MODEL_FILE) != digest:
            problem = "does not match the digest on the card of the head, or is missing"
            report.damaged.append(Problem(place / MODEL_FILE, problem, f"train the head {name} again"))
        elif damage := _encoder_problem(place):
            report.damaged.append(Problem(*damage, f"train the head {name} again"))
    for file, key in _HEAD_FILES:
        if digests.get(key) and _sha256(folder / file) != digests[key]:
            found = (folder / file).exists()
            problem = "does not match the digest on the card of the head" if found else "is missing"
            report.damaged.append(Problem(folder / file, problem, f"train the head {name} again"))


def _carried(entries: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the names of the encoders that a head carries, with the digests on its card."""
    features = entries.get("features")
    return {
        (str(one.get("encoder")), str(one.get("sha256")))
        for one in (features if isinstance(features, list) else [])
        if isinstance(one, dict) and one.get("carried_by")
    }


def _digests(entries: Any) -> dict[str, str]:
    """Return the digests on a card of any format: at its top, or one level down."""
    found: dict[str, str] = {}
    if not isinstance(entries, dict):
        raise TypeError("it is not the card of a head")
    for nested in [*(value for value in entries.values() if isinstance(value, dict)), entries]:
        found |= {key: nested[key] for _, key in _HEAD_FILES if isinstance(nested.get(key), str)}
    if "sha256" not in entries:
        raise ValueError("it has no digest of the head")
    if DIGEST in entries or entries.get("format_version") not in _WITHOUT_DIGEST:
        opened(entries)
    return found


def _sha256(path: LakePath) -> str | None:
    try:
        return sha256_of(path) if isinstance(path, Path) else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
