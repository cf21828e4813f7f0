"""What a check of a lake has found."""

from dataclasses import dataclass, field
from typing import Any

from matlake.reports import Report
from matlake.store.storage.places import LakePath
from matlake.text_tables import Line


@dataclass(frozen=True)
class Problem:
    """Something that is damaged.

    Attributes:
        path: The file or folder.
        problem: What is wrong with it.
        remedy: What to do, as commands.
    """

    path: LakePath
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.path} {self.problem}: {self.remedy}"


@dataclass(repr=False)
class CheckReport(Report):
    """What ``check`` found.

    Attributes:
        damaged: What is damaged, and still is where it was repaired in part.
        repaired: What was repaired, a line each.
        notes: What is not damage: parts without a digest, unused files, materials without vectors.
        parts: Parts that were compared with their digests, or read whole.
        bytes: Their size.
        seconds: Wall time.
    """

    damaged: list[Problem] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parts: int = 0
    bytes: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged, or everything has been repaired."""
        return not self.damaged

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        damaged = [{**vars(problem), "path": str(problem.path)} for problem in self.damaged]
        return {"sound": self.sound, **vars(self), "damaged": damaged}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        return [
            *(f"damaged: {problem}" for problem in self.damaged),
            *(f"repaired: {line}" for line in self.repaired),
            *(f"note: {line}" for line in self.notes),
            f"checked {self.parts:,} parts, {self.bytes / 1e6:,.1f} MB, in {self.seconds:.1f} s: "
            + ("nothing is damaged" if self.sound else f"{len(self.damaged):,} damaged"),
        ]
