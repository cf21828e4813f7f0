"""What writers of encoders and heads have left in a bucket when they were killed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from matlake.encoders.card import CARD_FILE
from matlake.store.folders import HEADS_BEING_SAVED, HEADS_REPLACED
from matlake.store.storage.remote_path import RemotePath

_Files: TypeAlias = Mapping[str, tuple[RemotePath, float]]
"""Path below a folder -> object, and when it was written in seconds since 1970."""


def left_beside_cards(heads: RemotePath, encoders: RemotePath, before: float) -> Iterator[RemotePath]:
    """Yield old objects that belong to no head and to no encoder.

    Args:
        heads: The prefix of the heads.
        encoders: The prefix of the encoders.
        before: In seconds since 1970; what was written later may be of a process that still writes.
    """
    left = [files for files in _folders(encoders).values() if CARD_FILE not in files]
    saved, replaced = _folders(heads), _folders(heads / HEADS_REPLACED)
    left += [saved.pop(HEADS_BEING_SAVED, {}), *(files for name, files in replaced.items() if _is_whole(saved, name))]
    saved.pop(HEADS_REPLACED, None)
    left += [files for name, files in saved.items() if not _is_whole(saved, name) and not _is_whole(replaced, name)]
    yield from (path for files in left for path, written in files.values() if written <= before)


def _folders(root: RemotePath) -> dict[str, _Files]:
    """Return the objects below the folders directly below a root, by the names of these."""
    found: dict[str, dict[str, tuple[RemotePath, float]]] = defaultdict(dict)
    for path, status in root.objects():
        name, _, inside = str(path.relative_to(root)).partition("/")
        found[name][inside] = path, status.st_mtime
    return dict(found)


def _is_whole(folders: Mapping[str, _Files], name: str) -> bool:
    return CARD_FILE in folders.get(name, {})
