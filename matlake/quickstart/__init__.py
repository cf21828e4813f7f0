"""The main job, end to end, on the samples that come with the package: compositions first, then crystals."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matlake.extras import require_extra
from matlake.quickstart.compositions import CompositionReport, compositions
from matlake.quickstart.crystals import CrystalReport, crystals
from matlake.quickstart.steps import Progress, Say
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
    compositions: CompositionReport
    crystals: CrystalReport

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {"lake": str(self.lake), **self.compositions.document(), "crystals": self.crystals.document()}


def quickstart(path: Path, say: Say, progress: Progress, workers: int) -> QuickstartReport:
    """Import, embed, query, train, predict and draw; running it again repeats only what is needed.

    Args:
        path: Folder of the lake.
        say: Told what is going on, a line at a time.
        progress: Makes a tracker from a label and a unit.
        workers: Threads that embed.

    Raises:
        MissingExtraError: What the extra ``quickstart`` brings is not installed.
    """
    require_extra("quickstart", "the quickstart")
    lake = open_lake(path, create=True)
    return QuickstartReport(path, compositions(lake, say, progress, workers), crystals(lake, say, progress, workers))
