"""What the card of a head says of its recalibration."""

from dataclasses import dataclass
from typing import Final

from matlake.regress.uncertainty.error_model import ErrorModel
from matlake.regress.uncertainty.intervals import Interval

_DOUBTFUL: Final = 4.0
"""Times the expected errors: of real changes of origin none was above 3; of energies with another reference, 11."""


@dataclass(frozen=True)
class Held:
    """What intervals and predictions were worth on rows that they were not calibrated on.

    Attributes:
        coverage: Share of measured values in their interval.
        mean_width: Mean width of the intervals, in the target's unit.
        mae: Mean absolute error, in the target's unit.
        error_ratio: Mean absolute error divided by the mean expected one.
    """

    coverage: float
    mean_width: float
    mae: float
    error_ratio: float


@dataclass(frozen=True)
class Recalibration:
    """How intervals and expected errors were fitted to labels of a new domain, and what that changed.

    Attributes:
        where: SQL predicate over ``materials`` that selects the labels.
        rows: Labels used.
        compositions: Number of their compositions.
        left_out: By reason, rows selected that were not used.
        shift: Added to predictions on the fitted scale; 0 for none.
        shift_p_value: Of a mean error of zero.
        error_factor: By which expected errors are multiplied, on the fitted scale.
        before: What intervals and predictions were worth on the labels.
        after: What they are worth now, cross-validated over compositions.
        former_interval: How intervals were made before.
        former_errors: How expected errors were.
        created: Time, ISO 8601 with offset.
    """

    where: str
    rows: int
    compositions: int
    left_out: dict[str, int]
    shift: float
    shift_p_value: float
    error_factor: float
    before: Held
    after: Held
    former_interval: Interval
    former_errors: ErrorModel
    created: str

    def lines(self, unit: str, level: float) -> list[str]:
        """Return the text for people.

        Args:
            unit: Of the target.
            level: Share of measured values that intervals are to hold now.
        """
        before, after = self.before, self.after
        p_value = f"p = {self.shift_p_value:.2g}"
        shift = f"values stay: their mean error may be chance ({p_value})"
        if self.shift:
            errors = f"MAE {before.mae:.3g} {unit}".rstrip() + f" before, {after.mae:.3g} now"
            amount = f"{self.shift:.3g} on the fitted scale"
            shift = f"values are shifted by the mean error of these rows, {amount} ({p_value}): {errors}"
        doubt = "these errors are so large that the labels may be of another quantity, unit or reference: check them"
        return [
            f"calibrated on {self.rows:,} rows of {self.compositions:,} compositions, selected by {self.where}",
            f"{self.former_interval.level:.0%} intervals held {before.coverage:.1%} of these rows, mean width "
            f"{before.mean_width:.3g} {unit}".rstrip(),
            f"{level:.0%} intervals hold {after.coverage:.1%} now (cross-validated over compositions), mean width "
            f"{after.mean_width:.3g} {unit}".rstrip(),
            f"errors were {before.error_ratio:.2g} times the expected ones, and are {after.error_ratio:.2g} times now",
            shift,
            *([doubt] if before.error_ratio > _DOUBTFUL else []),
        ]
