"""The main job, end to end, on the samples that come with the package: compositions first, then crystals."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matlake.extras import require_extra
from matlake.progress import Progress
from matlake.quickstart import compositions, crystals
from matlake.quickstart.steps import Report, Steps
from matlake.store.lake import open_lake


@dataclass(frozen=True)
class QuickstartReport:
    """What the quickstart found and made.

    Attributes:
        lake: The new lake.
        compositions: From formulas and measured band gaps.
        crystals: From crystals and computed bulk moduli.
    """

    lake: Path
    compositions: Report
    crystals: Report

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {"lake": str(self.lake), **self.compositions.document(), "crystals": self.crystals.document()}


def quickstart(
    path: Path,
    say: Callable[[str], None],
    progress: Callable[[str, str], AbstractContextManager[Progress]],
    workers: int,
) -> QuickstartReport:
    """Import, embed, query, train, predict and draw; running it again repeats only what is needed.

    Args:
        path: Folder of the lake.
        say: Prints what is going on, a line at a time.
        progress: Makes a bar from a label and a unit.
        workers: Threads that embed.

    Raises:
        MissingExtraError: What the extra ``quickstart`` brings is not installed.
    """
    require_extra("quickstart", "the quickstart")
    lake = open_lake(path, create=True)
    return QuickstartReport(
        path,
        compositions.compositions(Steps(lake, compositions.SAMPLE, say, progress, workers)),
        crystals.crystals(Steps(lake, crystals.SAMPLE, say, progress, workers)),
    )
