"""The main job, end to end, on the samples that come with the package: compositions first, then crystals."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from matlake.extras import require_extra
from matlake.progress import Progress
from matlake.quickstart import compositions, crystals
from matlake.quickstart.steps import Steps
from matlake.store.lake import open_lake
from matlake.store.storage.places import LakePath


def quickstart(
    path: LakePath,
    say: Callable[[str], None],
    progress: Callable[[str, str], AbstractContextManager[Progress]],
    workers: int,
) -> dict[str, Any]:
    """Import, embed, query, train, predict and draw; running it again repeats only what is needed.

    Args:
        path: Where the lake is.
        say: Prints what is going on, a line at a time.
        progress: Makes a bar from a label and a unit.
        workers: Threads that embed.

    Returns:
        The JSON document.

    Raises:
        MissingExtraError: What the extra ``quickstart`` brings is not installed.
    """
    require_extra("quickstart", "the quickstart")
    lake = open_lake(path, create=True)
    of_compositions = compositions.compositions(Steps(lake, compositions.SAMPLE, say, progress, workers))
    of_crystals = crystals.crystals(Steps(lake, crystals.SAMPLE, say, progress, workers))
    return {"lake": str(path), **of_compositions, "crystals": of_crystals}
