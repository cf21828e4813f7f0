"""Folders of encoders in a lake: put there and removed as a whole, and what of the lake is bound to one of them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matlake.encoders.card import CARD_FILE
from matlake.encoders.registry import copy_files
from matlake.errors import LakeError
from matlake.files import fsync_folder
from matlake.interrupts import hold
from matlake.locks import LOCKED, FileLock
from matlake.platforms import rename
from matlake.store.bucket_encoders import put_encoder
from matlake.store.folders import LakeFolders
from matlake.store.storage.claims import ClaimedError, claimed
from matlake.store.storage.places import make_folder, write_whole
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta
from matlake.store.tables.bucket_tables import delete_below
from matlake.store.tables.parts import by_partition

BEING_REGISTERED: Final = ".registering"
"""Folder, among the encoders, of those that are not complete yet, or that others replace."""


@contextmanager
def one_writer(lake: LakeFolders, name: str) -> Iterator[None]:
    """Let no other process register, import or delete an encoder of this name until the block ends.

    Raises:
        LakeError: Another process does, in a bucket; in a folder it is waited for.
    """
    folder = lake.encoders_folder
    if isinstance(folder, RemotePath):
        try:
            with claimed(folder / BEING_REGISTERED / name):
                yield
        except ClaimedError as error:
            raise LakeError(f"another process is changing encoder {name}", "wait until it has ended") from error
        return
    make_folder(folder)
    with FileLock.take(folder / f"{BEING_REGISTERED}{LOCKED}", wait=True) or nullcontext():
        yield


def put_encoder_folder(lake: LakeFolders, source: Path, name: str) -> None:
    """Put an encoder into a lake, in place of one of the same name that nothing uses.

    Readers find it with all of its files, or not at all.

    Args:
        lake: The lake.
        source: Its files.
        name: Its name.

    Raises:
        OSError: They cannot be written.
    """
    place = lake.encoders_folder / name
    if isinstance(place, RemotePath):
        hold()
        (place / CARD_FILE).unlink(missing_ok=True)
        put_encoder(source, place)
        return
    staging = place.parent / BEING_REGISTERED
    new, replaced = (staging / f"{name}.{os.getpid()}{ending}" for ending in ("", ".replaced"))
    try:
        make_folder(new)
        copy_files(source, new)
        hold()  # an interrupt from here on would leave an encoder that nobody knows about
        if place.exists():
            rename(place, replaced)
        try:
            rename(new, place)
        except OSError:
            with suppress(OSError):
                rename(replaced, place)
            raise
        fsync_folder(place.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        with suppress(OSError):  # another process is at it
            staging.rmdir()


def put_encoder_card(lake: LakeFolders, source: Path, name: str) -> None:
    """Put another card in place of that of an encoder, whose file stays.

    Args:
        lake: The lake.
        source: A folder with the card.
        name: Of the encoder.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(lake.encoders_folder / name / CARD_FILE, (source / CARD_FILE).read_bytes())


def remove_encoder_folder(lake: LakeFolders, name: str) -> None:
    """Delete the files of an encoder, its card first: an encoder without a card does not exist.

    Raises:
        OSError: They cannot be deleted.
    """
    place = lake.encoders_folder / name
    hold()
    (place / CARD_FILE).unlink(missing_ok=True)
    if isinstance(place, RemotePath):
        delete_below(place)
        return
    shutil.rmtree(place)
    fsync_folder(place.parent)


@dataclass(frozen=True)
class StoredVectors:
    """Vectors of an encoder in a lake.

    Attributes:
        layer: Name of the layer.
        sha256: Digest of the file that made them.
        rows: How many there are.
    """

    layer: str
    sha256: str
    rows: int


def stored_vectors(lake: LakeFolders, name: str) -> list[StoredVectors]:
    """Return what the embeddings of a lake hold of encoders of a name, whatever their file.

    Raises:
        LakeError: The table cannot be read.
    """
    snapshot = delta.read_snapshot(lake.embeddings)
    counted: dict[tuple[str, str], int] = {}
    for part in snapshot.parts if snapshot is not None else ():
        if part.partition["encoder"] == name:
            key = part.partition["layer"], part.partition["encoder_sha256"]
            counted[key] = counted.get(key, 0) + part.rows
    return [StoredVectors(layer, sha256, rows) for (layer, sha256), rows in sorted(counted.items())]


def drop_vectors(lake: LakeFolders, name: str) -> int:
    """Take the vectors of encoders of a name out of the embeddings of a lake; return how many there were.

    Their files are leftovers from then on, which ``compact`` removes once nobody can be reading them.

    Raises:
        LakeError: The table cannot be read, or another process has changed it meanwhile.
    """
    snapshot = delta.read_snapshot(lake.embeddings)
    own = [part for part in (snapshot.parts if snapshot is not None else ()) if part.partition["encoder"] == name]
    for key, parts in by_partition(own).items():
        if not delta.replace_parts(lake.embeddings, dict(key), {part.path.name for part in parts}, []):
            raise LakeError(f"another process changed the vectors of encoder {name} meanwhile", "run the same again")
    return sum(part.rows for part in own)
