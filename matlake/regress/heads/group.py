"""A head of several targets: a folder with one card that names them, and a member, a head of its own, for each.

A member is called ``NAME:TARGET`` and predicts as any other head; it is saved, deleted and exported with the others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matlake.documents import sealed_json
from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix, SharedRows
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard
from matlake.regress.heads.card_files import CARD_FILE
from matlake.regress.heads.storage import HeadFiles, files_of, save_files
from matlake.regress.splits import HeldOut, Split, find_trouble
from matlake.regress.targets.expressions import Target
from matlake.store.folders import MEMBER, LakeFolders

_BY_VALUE = "value:"


def divide(shared: SharedRows, split: Split, seed: int) -> Iterator[tuple[str, Target, Matrix, HeldOut]]:
    """Hold out test rows once for several targets, so that none is trained on a composition that another is tested on.

    Args:
        shared: The rows.
        split: What holds out test rows.
        seed: Of the split.

    Yields:
        For each target what its member is called, the target, its rows, and which of them are held out.

    Raises:
        TrainingError: The split depends on the target, or leaves a target too few rows.
    """
    if split.text.startswith(_BY_VALUE):
        raise TrainingError(
            f"the split {split.text} holds out values of one target, and {len(shared.targets)} are given",
            "choose another split, or train one head a target",
        )
    whole = split.hold_out(shared.matrix, seed)
    names = [target.head_name for target in shared.targets]
    for place, (name, target) in enumerate(zip(names, shared.targets, strict=True)):
        matrix, rows = shared.of(place)
        held_out = _of_rows(whole, rows)
        trouble = find_trouble(matrix, held_out)
        if trouble is not None:
            raise TrainingError(f"{target.name}: {trouble}", trouble.hint)
        yield name if names.count(name) == 1 else f"{name}-{place + 1}", target, matrix, held_out


def _of_rows(whole: HeldOut, rows: NDArray[np.intp]) -> HeldOut:
    """Return a split of some of its rows, by their places among these."""
    train, test, dropped = (np.flatnonzero(np.isin(rows, one)) for one in (whole.train, whole.test, whole.dropped))
    description = f"{whole.description}; {len(train):,} and {len(test):,} of these have this target"
    return replace(whole, train=train, test=test, dropped=dropped, description=description)


def save_group(lake: LakeFolders, name: str, heads: Sequence[HeadFiles]) -> list[HeadCard]:
    """Save a head of several targets, in place of one of the same name; see ``save_head``.

    Args:
        lake: The lake.
        name: Of the head.
        heads: Its members, called ``NAME:TARGET``.

    Returns:
        Their cards as saved.
    """
    files: dict[str, bytes] = {}
    cards = []
    for head in heads:
        card, own = files_of(head)
        _, _, member = card.name.partition(MEMBER)
        files |= {f"{member}/{path}": content for path, content in own.items()}
        cards.append(card)
    about = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "targets": [card.target for card in cards],
        "members": [card.name for card in cards],
    }
    save_files(lake, name, files | {CARD_FILE: sealed_json(about)})
    return cards
