"""Calibration of a fitted head on its training rows, and what intervals and warnings are worth on its test rows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import rank_correlation
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.card import Calibration
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.regressors.feature_rows import row_blocks, take_rows
from matlake.regress.splits import HeldOut
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.applicability import FARTHEST, UNKNOWN, block_set_counts, block_sets, element_counts
from matlake.regress.uncertainty.conformal import Calibrated, CalibrationRows, calibrate, needed_levels
from matlake.regress.uncertainty.estimates import estimate
from matlake.regress.uncertainty.fit_reference import ReferenceRows
from matlake.regress.uncertainty.group_coverage import GroupCoverage, worst_groups
from matlake.regress.uncertainty.opinions import FoldOpinions
from matlake.regress.uncertainty.out_of_fold import OutOfFold
from matlake.regress.uncertainty.reference_set import Reference, Surroundings
from matlake.regress.uncertainty.signals import rarest_elements


def calibrate_on(
    matrix: Matrix,
    held_out: HeldOut,
    chosen: ReferenceRows,
    out_of_fold: OutOfFold,
    opinions: FoldOpinions,
    reference: Reference,
    around: Surroundings,
    test: HeldOutRows,
    space: TargetSpace,
    seed: int,
) -> tuple[Calibration, HeldOutRows]:
    """Calibrate intervals and expected errors, and measure them.

    Args:
        matrix: All rows.
        held_out: Which of them are trained and tested on.
        chosen: The reference rows.
        out_of_fold: Predictions for these.
        opinions: Second opinions on these.
        reference: What the head keeps of them.
        around: The reference rows around the test rows.
        test: The test rows, without intervals.
        space: Of the target.
        seed: Of folds.

    Returns:
        The calibration; and the test rows with intervals and expected errors.
    """
    fractions, tested = take_rows(matrix.fractions, held_out.train), matrix.fractions[held_out.test]
    own = matrix.fractions[chosen.rows]
    labels = space.to_fit(reference.value)
    found = calibrate(
        CalibrationRows(chosen.coordinates, chosen.groups, own, labels, out_of_fold, opinions), space, seed
    )
    rarest = rarest_elements(tested, element_counts(fractions))
    scaler = chosen.projection.scaler
    standardised = (scaler.transform(block) for _, block in row_blocks(matrix.features_of(held_out.test)))
    second = np.concatenate([np.stack([one.predict(z) for one in opinions.fitted], axis=1) for z in standardised])
    estimates = estimate(test.predicted, second, around, reference, rarest, found.interval, found.errors, space, "")
    signed = (space.to_fit(test.y) - space.to_fit(test.predicted)) / estimates.fitted_errors
    test = replace(
        test,
        lower=estimates.lower,
        upper=estimates.upper,
        expected_errors=estimates.expected_errors,
        levels=needed_levels(signed, found.near.errors / found.near_expected),
    )
    motifs = block_set_counts(fractions)[block_sets(tested)]
    warned = (
        (test.expected_errors > found.errors.limit) | (test.scores > FARTHEST) | (rarest < UNKNOWN) | (motifs < UNKNOWN)
    )
    calibration = Calibration(
        found.interval,
        test.coverage,
        float(test.widths.mean()),
        errors=found.errors,
        below=float(np.mean(test.y < test.lower)),
        above=float(np.mean(test.y > test.upper)),
        error_correlation=rank_correlation(test.expected_errors, test.errors),
        warned=float(warned.mean()),
        far_coverage=_far_coverage(found, space),
        worst_groups=_worst_groups(found, own, out_of_fold, space),
    )
    return calibration, test


def _far_coverage(found: Calibrated, space: TargetSpace) -> float | None:
    far = found.far
    if not len(far.errors):
        return None
    held = _held(found, far.predicted, far.errors, found.errors.fitted_errors(far.signals), space)
    return float(held.mean())


def _worst_groups(
    found: Calibrated, fractions: NDArray[np.float32], out_of_fold: OutOfFold, space: TargetSpace
) -> tuple[GroupCoverage, ...]:
    near, rows = found.near, found.near_rows
    held = _held(found, near.predicted, near.errors, found.near_expected, space)
    return worst_groups(fractions[rows], held, out_of_fold.cluster_fold[rows])


def _held(
    found: Calibrated,
    predicted: NDArray[np.float64],
    errors: NDArray[np.float64],
    expected: NDArray[np.float64],
    space: TargetSpace,
) -> NDArray[np.bool_]:
    """Return whether measured values are in their interval, bool [n]; all but the space on the fitted scale."""
    lower, upper = found.interval.ends_by(predicted, expected, space)
    measured = space.to_property(predicted + errors)
    held: NDArray[np.bool_] = (lower <= measured) & (measured <= upper)
    return held
