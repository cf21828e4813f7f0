"""What ``encoders.py --shipping`` has measured: one JSON file, which the page is made from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.helpers.common import write_results
from benchmarks.helpers.shipping import Contender
from benchmarks.helpers.shipping_rule import LEVEL, SMALLEST_GAIN, Case, Verdict, judge

RECORD: Final = Path(__file__).parents[1] / "studies" / "results" / "encoders" / "shipping.json"

SHIPPED: Final = "shipped"
OTHER: Final = "measured, not in the package"
CONTROL: Final = "control, random weights"


@dataclass(frozen=True)
class Row:
    """An encoder and its measurements.

    Attributes:
        name: Of the encoder.
        version: Of its weights.
        sha256: Of its file.
        role: ``SHIPPED``, ``OTHER`` or ``CONTROL``.
        baseline: What it was added to.
        features: Its layers.
        cases: What was measured.
    """

    name: str
    version: int
    sha256: str
    role: str
    baseline: tuple[str, ...]
    features: tuple[str, ...]
    cases: tuple[Case, ...]

    @classmethod
    def of(cls, contender: Contender, role: str, cases: Iterable[Case]) -> Self:
        """Put together what was measured."""
        card = contender.card
        return cls(
            card.name, card.version, card.sha256, role, contender.baseline, contender.features, tuple(cases)
        )  # fmt: skip

    @classmethod
    def read(cls, entries: Mapping[str, Any]) -> Self:
        """Read what ``as_entries`` wrote."""
        lists = {key: tuple(entries[key]) for key in ("baseline", "features")}
        return cls(**{**entries, **lists, "cases": tuple(map(Case.read, entries["cases"]))})

    def as_entries(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {**vars(self), "cases": [case.as_entries() for case in self.cases]}

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What a newer measurement replaces."""
        return self.sha256, self.baseline

    def verdict(self, rows: Iterable["Row"]) -> Verdict:
        """Return what the rule says; a control is compared with other controls.

        Args:
            rows: Of the record, the controls among them.
        """
        others = (one for one in rows if one.role == CONTROL and one.baseline == self.baseline and one.key != self.key)
        return judge(self.cases, (case for one in others for case in one.cases))


def read_record(path: Path = RECORD) -> list[Row]:
    """Return what has been measured so far; nothing where there is no file."""
    return [Row.read(entries) for entries in json.loads(path.read_text())["encoders"]] if path.exists() else []


def merged(known: Iterable[Row], measured: Iterable[Row], shipped: Iterable[str]) -> list[Row]:
    """Return rows, newly measured ones in place of known ones; what ships is said anew.

    Args:
        known: Of the file.
        measured: Of this run.
        shipped: Digests of what is in the package.
    """
    digests = set(shipped)
    rows = {row.key: row for row in (*known, *measured)}.values()
    named = [
        row if row.role == CONTROL else replace(row, role=SHIPPED if row.sha256 in digests else OTHER) for row in rows
    ]
    order = (SHIPPED, OTHER, CONTROL)
    return sorted(named, key=lambda row: (order.index(row.role), row.baseline, row.name, row.version))


def write_record(rows: Iterable[Row], path: Path = RECORD) -> None:
    """Write the file."""
    rule = {"smallest_gain": SMALLEST_GAIN, "level": LEVEL}
    write_results(path, {"rule": rule, "encoders": [row.as_entries() for row in rows]}, indent=None)
