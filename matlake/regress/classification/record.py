"""What a card says of a yes/no property."""

from dataclasses import dataclass

from matlake.regress.classification.label_sets import LabelSets
from matlake.regress.targets.link import Link


@dataclass(frozen=True)
class ClassRecord:
    """How probabilities and sets of labels are made, and what they were worth on the test rows.

    Attributes:
        link: From what was fitted to the probability of yes.
        sets: From the probability to the set of labels.
        yes_coverage: Share of the test rows that are yes whose set holds yes; None if there are none.
        no_coverage: Likewise of no.
        single: Share of test rows whose set is one label.
        calibration_error: Expected calibration error on the test rows.
        yes_share: Share of yes among the training rows.
        numeric: Whether the column holds numbers, which are 0 and 1 only.
    """

    link: Link
    sets: LabelSets
    yes_coverage: float | None
    no_coverage: float | None
    single: float
    calibration_error: float
    yes_share: float
    numeric: bool = False

    def lines(self) -> list[str]:
        """Return it for people."""
        of_yes, of_no = (
            "unknown" if share is None else f"{share:.0%}" for share in (self.yes_coverage, self.no_coverage)
        )
        held = f"hold yes for {of_yes} of the test rows that are yes, and no for {of_no} of those that are no"
        return [
            f"{self.sets.level:.0%} label sets {held}; {self.single:.0%} are one label",
            f"probabilities are off by {self.calibration_error:.3f} on average (expected calibration error)",
        ]
