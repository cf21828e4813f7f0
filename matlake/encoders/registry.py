"""The registry: encoders shipped with the package, those of a lake, and those of plug-ins."""

import os
import socket
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

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
from matlake.encoders.releases import unknown_encoder
from matlake.errors import DamageWarning, EncoderError
from matlake.files import fsync_folder, write_whole
from matlake.plugins import PluginKind, check_same_name

SHIPPED: Final = Path(__file__).with_name("shipped")


@dataclass(frozen=True)
class RegisteredEncoder:
    """A registered encoder.

    Attributes:
        card: What it is.
        place: Its folder, or what fetches that; see ``folder``.
        shipped: Whether it came with the package.
        plugin: Whether another package adds it. An encoder that is neither is of a lake.
    """

    card: EncoderCard
    place: Path | Callable[[], Path]
    shipped: bool
    plugin: bool = False

    @property
    def folder(self) -> Path:
        """Where its files lie; those of a lake in a bucket are fetched when this is first asked for."""
        return self.place if isinstance(self.place, Path) else self.place()


class EncoderFolders(Protocol):
    """Where the encoders of a lake are."""

    def with_card(self, name: str) -> Path | None:
        """Return a folder that holds the card of an encoder; None where there is none of that name."""

    def with_cards(self) -> Mapping[str, Path]:
        """Return a folder that holds its card for each encoder, by name."""

    def with_files(self, name: str) -> Path:
        """Return a folder that holds all files of an encoder."""


@dataclass(frozen=True)
class LocalFolders:
    """Encoders in a folder.

    Attributes:
        root: The folder, whether it is there or not.
    """

    root: Path

    def with_card(self, name: str) -> Path | None:
        """Return the folder of an encoder; None where there is none of that name."""
        folder = self.root / name
        return folder if (folder / CARD_FILE).exists() else None

    def with_cards(self) -> Mapping[str, Path]:
        """Return the folder of each encoder, by name."""
        return {card.parent.name: card.parent for card in sorted(self.root.glob(f"*/{CARD_FILE}"))}

    def with_files(self, name: str) -> Path:
        """Return the folder of an encoder."""
        return self.root / name


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


def find_encoder(name: str, lake_encoders: Path | EncoderFolders | None = None) -> RegisteredEncoder:
    """Find an encoder by name.

    A lake's own copy wins over a package's: vectors made in one lake come from one file, whatever version
    of the package is installed later, or none.

    Args:
        name: Encoder name without a layer.
        lake_encoders: The ``encoders`` folder of a lake.

    Raises:
        UnknownEncoderError: No such encoder; of one that an earlier version shipped it says where its file comes from.
        PluginError: A plug-in has an encoder of this name, and it cannot be used.
    """
    check_name(name)
    for folders in _folders(lake_encoders)[::-1]:
        folder = folders.with_card(name)
        if folder is not None:
            return _registered(folders, name, folder)
    added = ENCODER_PLUGINS.find(name)
    if added is not None:
        return added
    raise unknown_encoder(name, [e.card.name for e in list_encoders(lake_encoders)])


def check_same_file(found: RegisteredEncoder, sha256: str) -> None:
    """Raise EncoderError unless an encoder that a machine of a cluster has found is that of the machine that asks.

    Args:
        found: What is here.
        sha256: Digest of the file there.
    """
    if found.card.sha256 != sha256:
        raise EncoderError(
            f"node {socket.gethostname()} has another file of encoder {found.card.name}, in {found.folder}",
            "install the same version on all nodes, and give them all the same lake",
        )


def list_encoders(lake_encoders: Path | EncoderFolders | None = None) -> list[RegisteredEncoder]:
    """Return all encoders by name, those of plug-ins included; one that a lake holds hides others of the same name.

    A card of the lake that is damaged is left out, with a ``DamageWarning``; so is a plug-in that cannot be used, which
    ``doctor`` names.
    """
    found = dict(ENCODER_PLUGINS.usable()) | {one.card.name: one for one in registered_encoders(lake_encoders)}
    return [found[name] for name in sorted(found)]


def registered_encoders(
    lake_encoders: Path | EncoderFolders | None = None, names: Collection[str] | None = None
) -> list[RegisteredEncoder]:
    """Return the encoders of the package and of a lake, without loading a plug-in.

    A card of the lake that is damaged is left out, with a ``DamageWarning``.

    Args:
        lake_encoders: The ``encoders`` folder of a lake.
        names: Look at encoders of these names alone; None for all.
    """
    found: dict[str, RegisteredEncoder] = {}
    for folders in _folders(lake_encoders):
        for name, folder in folders.with_cards().items():
            if names is not None and name not in names:
                continue
            try:
                encoder = _registered(folders, name, folder)
            except EncoderError as error:
                if folders == _package():
                    raise
                warnings.warn(DamageWarning(str(error)), stacklevel=2)
                continue
            found[encoder.card.name] = encoder
    return [found[name] for name in sorted(found)]


def _package() -> EncoderFolders:
    """Return where the encoders of the package are."""
    return LocalFolders(SHIPPED)


def _folders(lake_encoders: Path | EncoderFolders | None) -> list[EncoderFolders]:
    """Return where encoders are, those of the package first."""
    if lake_encoders is None:
        return [_package()]
    return [_package(), LocalFolders(lake_encoders) if isinstance(lake_encoders, Path) else lake_encoders]


def _registered(folders: EncoderFolders, name: str, folder: Path) -> RegisteredEncoder:
    place = folder if isinstance(folders, LocalFolders) else partial(folders.with_files, name)
    return RegisteredEncoder(read_card(folder), place, shipped=folders == _package())


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
    for name, content in encoder_files(source):
        write_whole(folder / name, content)
    fsync_folder(folder.parent)


def encoder_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an encoder by name, the card last."""
    yield from licence_files(source).items()
    for name in (MODEL_FILE, CARD_FILE):
        yield name, (source / name).read_bytes()


def licence_files(source: Path) -> dict[str, bytes]:
    """Return the text of an encoder's licence and its citations, by the names of their files, where it has them."""
    return {name: (source / name).read_bytes() for name in (LICENCE_FILE, CITATION_FILE) if (source / name).exists()}
