"""What intervals and expected errors of a head are worth, in words."""

from matlake.regress.heads.card import Calibration


def calibration_lines(calibration: Calibration, unit: str) -> list[str]:
    """Return what is known of them beyond the share of test rows that intervals hold.

    Args:
        calibration: Of the head.
        unit: Of the target.
    """
    errors = calibration.errors
    if errors is None or calibration.below is None or calibration.above is None or calibration.warned is None:
        return ["no expected errors: trained by an older version; train it again to have them"]
    lines = [f"{calibration.below:.1%} of the test rows are below their interval, {calibration.above:.1%} above"]
    if calibration.worst_groups:
        groups = ", ".join(f"{one.group} {one.coverage:.0%} ({one.rows:,} rows)" for one in calibration.worst_groups)
        lines.append(f"groups of training rows whose intervals hold least, predicted without the row: {groups}")
    if calibration.far_coverage is not None:
        held = f"{calibration.far_coverage:.0%}"
        lines.append(f"of training rows with their clusters of compositions left out, intervals hold {held}")
    ranks = calibration.error_correlation
    known = "cannot be compared with errors" if ranks is None else f"rank errors with a correlation of {ranks:.2f}"
    limit = f"{errors.limit:.2g} {unit}".rstrip()
    lines.append(
        f"expected errors {known} on the test rows; {calibration.warned:.0%} of these carry a warning: "
        f"above {limit}, or outside the training set"
    )
    return lines
