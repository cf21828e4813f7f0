"""Folders of heads, replaced and deleted as a whole: readers find the old head or the new one, whatever is killed.

In a folder a rename does that. In a bucket the present head is copied to where readers look for one that is being
replaced; then its card goes, which makes them look there; then the new files come, the card last, which makes them look
here again; and then the copy goes, its card first.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from matlake.encoders.card import CARD_FILE
from matlake.files import fsync_folder
from matlake.interrupts import hold
from matlake.platforms import rename
from matlake.store.folders import HEADS_BEING_SAVED, HEADS_REPLACED, MEMBER, LakeFolders
from matlake.store.storage.claims import claimed
from matlake.store.storage.places import LakePath, write_whole
from matlake.store.storage.remote_path import RemotePath

Content = TypeVar("Content")


def replace_head(lake: LakeFolders, name: str, files: Mapping[str, bytes]) -> None:
    """Save the files of a head, in place of one of the same name.

    Args:
        lake: The lake.
        name: Name of the head.
        files: Its files by their paths, the card among them.

    Raises:
        OSError: They cannot be written.
        ClaimedError: Another process is replacing the same head, in a bucket.
        KeyboardInterrupt: The command was interrupted, and a library has swallowed that.
    """
    heads = lake.heads_folder
    if isinstance(heads, RemotePath):
        _replace_objects(heads, name, files)
    else:
        _replace_folder(heads, name, files)


def remove_head(lake: LakeFolders, name: str) -> None:
    """Delete the files of a head; see ``replace_head``."""
    heads = lake.heads_folder
    if isinstance(heads, RemotePath):
        with claimed(heads / HEADS_BEING_SAVED / name):
            _remove_objects(heads, name)
        return
    going = heads / HEADS_BEING_SAVED / f"{name}.{os.getpid()}.deleted"
    going.parent.mkdir(exist_ok=True)
    while isinstance(folder := lake.place_of_head(name), Path):  # a replaced one would come forward
        rename(folder, going)
        fsync_folder(folder.parent)
        shutil.rmtree(going)


def copy_head(folder: Path, target: LakePath) -> None:
    """Copy the files of a head to a new place, where it is there as a whole or not at all."""
    if isinstance(target, RemotePath):
        paths = [path for path in folder.rglob("*") if path.is_file()]
        _put(target, {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copytree(folder, part)
        rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def replace_card(lake: LakeFolders, name: str, is_same: Callable[[Path], bool], card: bytes) -> bool:
    """Put another card in place of that of a head, or of a member of one with several targets, whose files stay.

    Args:
        lake: The lake.
        name: Name of the head.
        is_same: Says whether the folder of the head as it is now has the card that the new one was made from.
        card: The new one.

    Returns:
        False where the head is another one by now, or gone.

    Raises:
        OSError: It cannot be written.
        ClaimedError: Another process is replacing the same head, in a bucket.
    """
    heads = lake.heads_folder
    whole = name.partition(MEMBER)[0]
    with claimed(heads / HEADS_BEING_SAVED / whole) if isinstance(heads, RemotePath) else nullcontext():
        folder, place = lake.head_folder(name, (CARD_FILE,)), lake.place_of_head(name)
        if folder is None or place is None or not is_same(folder):
            return False
        write_whole(place / CARD_FILE, card)
    return True


def _replace_folder(heads: Path, name: str, files: Mapping[str, bytes]) -> None:
    """The new folder is complete and on disk before it gets its name."""
    new = heads / HEADS_BEING_SAVED / f"{name}.{os.getpid()}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    (heads / HEADS_REPLACED).mkdir(exist_ok=True)
    replaced = heads / HEADS_REPLACED / name
    try:
        for path, content in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(new / path, content)
        hold()  # an interrupt from here on would leave a head that nobody knows about
        if (heads / name).exists():
            shutil.rmtree(replaced, ignore_errors=True)
            rename(heads / name, replaced)
            fsync_folder(replaced.parent)
        rename(new, heads / name)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    fsync_folder(heads)
    shutil.rmtree(replaced, ignore_errors=True)


def _replace_objects(heads: RemotePath, name: str, files: Mapping[str, bytes]) -> None:
    place, replaced = heads / name, heads / HEADS_REPLACED / name
    with claimed(heads / HEADS_BEING_SAVED / name) as check_claim:
        if (place / CARD_FILE).is_file():
            _delete(replaced)
            _copy(place, replaced)
        check_claim()
        hold()
        _delete(place)
        _put(place, files, check_claim)
        _delete(replaced)


def _remove_objects(heads: RemotePath, name: str) -> None:
    place, replaced = heads / name, heads / HEADS_REPLACED / name
    if (place / CARD_FILE).is_file():
        _delete(replaced)  # it would come forward
    _delete(place)
    _delete(replaced)


def _put(place: RemotePath, files: Mapping[str, bytes], before_card: Callable[[], None] = lambda: None) -> None:
    for path, content in _card_last(files):
        if path == CARD_FILE:
            before_card()
        place.joinpath(*path.split("/")).write_bytes(content)


def _copy(source: RemotePath, target: RemotePath) -> None:
    for path, origin in _card_last(_objects(source)):
        origin.copy_to(target.joinpath(*path.split("/")))


def _delete(folder: RemotePath) -> None:
    for _, path in reversed(_card_last(_objects(folder))):
        path.unlink(missing_ok=True)


def _objects(folder: RemotePath) -> dict[str, RemotePath]:
    return {str(path.relative_to(folder)): path for path, _ in folder.objects()}


def _card_last(files: Mapping[str, Content]) -> list[tuple[str, Content]]:
    return sorted(files.items(), key=lambda item: item[0] == CARD_FILE)
