"""The registry: encoders shipped with the package, those of a lake, and those of plug-ins."""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import (
    CARD_FILE,
    CITATION_FILE,
    LICENCE_FILE,
    MODEL_FILE,
    EncoderCard,
    Layer,
    check_name,
    read_card,
)
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import DamageWarning, EncoderError
from matlake.files import write_whole
from matlake.plugins import PluginKind, check_same_name

SHIPPED: Final = Path(__file__).with_name("shipped")


@dataclass(frozen=True)
class RegisteredEncoder:
    """A registered encoder.

    Attributes:
        card: What it is.
        folder: Where its files lie.
        shipped: Whether it came with the package.
        plugin: Whether another package adds it. An encoder that is neither is of a lake.
    """

    card: EncoderCard
    folder: Path
    shipped: bool
    plugin: bool = False


def _accept(name: str, found: Any) -> RegisteredEncoder | None:
    """Return what an entry point adds, if it is the folder of an encoder of its name; None if it is not a folder."""
    if not isinstance(found, str | os.PathLike):
        return None
    folder = Path(found)
    card = read_card(folder)
    check_same_name(name, card.name)
    return RegisteredEncoder(card, folder, shipped=False, plugin=True)


ENCODER_PLUGINS: Final = PluginKind(
    "matlake.encoders", "encoder", _accept, lambda: {card.parent.name for card in SHIPPED.glob(f"*/{CARD_FILE}")}
)
"""Encoders of other packages: folders with ``card.json`` and ``encoder.onnx``."""


def find_encoder(name: str, lake_encoders: Path | None = None) -> RegisteredEncoder:
    """Find an encoder by name.

    A lake's own copy wins over a package's: vectors made in one lake come from one file, whatever version
    of the package is installed later, or none.

    Args:
        name: Encoder name without a layer.
        lake_encoders: The ``encoders`` folder of a lake.

    Raises:
        EncoderError: No such encoder.
        PluginError: A plug-in has an encoder of this name, and it cannot be used.
    """
    check_name(name)
    for root in (lake_encoders, SHIPPED):
        if root is not None and (root / name / CARD_FILE).exists():
            return RegisteredEncoder(read_card(root / name), root / name, root == SHIPPED)
    added = ENCODER_PLUGINS.find(name)
    if added is not None:
        return added
    known = ", ".join(e.card.name for e in list_encoders(lake_encoders)) or "none"
    raise EncoderError(f"no encoder named {name!r}", f"known encoders: {known}")


def list_encoders(lake_encoders: Path | None = None) -> list[RegisteredEncoder]:
    """Return all encoders by name, those of plug-ins included; one that a lake holds hides others of the same name.

    A card of the lake that is damaged is left out, with a ``DamageWarning``; so is a plug-in that cannot be used, which
    ``doctor`` names.
    """
    found = dict(ENCODER_PLUGINS.usable()) | {one.card.name: one for one in registered_encoders(lake_encoders)}
    return [found[name] for name in sorted(found)]


def registered_encoders(
    lake_encoders: Path | None = None, names: Collection[str] | None = None
) -> list[RegisteredEncoder]:
    """Return the encoders of the package and of a lake, without loading a plug-in.

    A card of the lake that is damaged is left out, with a ``DamageWarning``.

    Args:
        lake_encoders: The ``encoders`` folder of a lake.
        names: Look at encoders of these names alone; None for all.
    """
    found: dict[str, RegisteredEncoder] = {}
    for root in (SHIPPED, lake_encoders):
        if root is None or not root.is_dir():
            continue
        for path in sorted(root.glob(f"*/{CARD_FILE}")):
            if names is not None and path.parent.name not in names:
                continue
            try:
                card = read_card(path.parent)
            except EncoderError as error:
                if root == SHIPPED:
                    raise
                warnings.warn(DamageWarning(str(error)), stacklevel=2)
                continue
            found[card.name] = RegisteredEncoder(card, path.parent, root == SHIPPED)
    return [found[name] for name in sorted(found)]


def named_layers(
    features: Iterable[str], find: Callable[[str], RegisteredEncoder]
) -> Iterator[tuple[RegisteredEncoder, Layer]]:
    """Yield the layers that features mean, in order, each encoder being looked for once.

    Args:
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, each.
        find: Finds an encoder by its name.

    Raises:
        EncoderError: An encoder or layer is unknown.
    """
    found: dict[str, RegisteredEncoder] = {}
    for feature in features:
        ref = LayerRef.parse(feature)
        if ref.encoder not in found:
            found[ref.encoder] = find(ref.encoder)
        for layer in found[ref.encoder].card.named_layers(ref.layer):
            yield found[ref.encoder], layer


def copy_to_lake(encoder: RegisteredEncoder, lake_encoders: Path) -> RegisteredEncoder:
    """Copy an encoder into a lake, so that the lake can explain and repeat its vectors by itself."""
    folder = lake_encoders / encoder.card.name
    if not (folder / CARD_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        copy_files(encoder.folder, folder)
    return RegisteredEncoder(read_card(folder), folder, shipped=False)


def copy_files(source: Path, folder: Path) -> None:
    """Copy the files of an encoder, with the text of its licence where there is one.

    The card is written last: an encoder without a card does not exist.
    """
    beside = [name for name in (LICENCE_FILE, CITATION_FILE) if (source / name).exists()]
    for name in (*beside, MODEL_FILE, CARD_FILE):
        write_whole(folder / name, (source / name).read_bytes())
