"""What a fitted model becomes: an ONNX file, its errors beside baselines, intervals, reference rows."""

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import (
    Measure,
    bootstrap,
    mean_baseline,
    measure,
    measure_probabilities,
    rank_correlation,
)
from matlake.regress.classification.calibration import class_record
from matlake.regress.classification.record import ClassRecord
from matlake.regress.features.feature import Feature, columns_of
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.calibrating import calibrate_on
from matlake.regress.heads.card import ApplicabilityDomain, Calibration, CurvePoint, Evaluation, Provenance
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.regressors import Fit, Fitted
from matlake.regress.regressors.feature_rows import take_rows
from matlake.regress.splits import HeldOut, subsample
from matlake.regress.targets.kinds import Kind
from matlake.regress.uncertainty.applicability import FARTHEST, block_rows, element_rows
from matlake.regress.uncertainty.fit_reference import choose_reference, make_reference
from matlake.regress.uncertainty.opinions import encoder_blocks, fit_opinions
from matlake.regress.uncertainty.out_of_fold import OutOfFold
from matlake.regress.uncertainty.reference_set import Reference

_PARITY_ROWS: Final = 500
CURVE_SHARES: Final = (0.125, 0.25, 0.5)
"""Shares of the training rows in a learning curve, besides all of them."""

MANY_ROWS: Final = 20_000
WIDE_SHARES: Final = (1 / 64, 1 / 16, 1 / 4)
"""Shares of more than ``MANY_ROWS``: the same number of points over a wider range, for a third of a fit to all."""

_FEWEST_ROWS: Final = 20
"""A point of a learning curve on fewer rows says nothing."""

_TOOLS: Final = ("matlake", "scikit-learn", "skl2onnx", "spox", "onnx", "numpy")


@dataclass(frozen=True)
class Measured:
    """A fitted model, converted, measured and calibrated.

    Attributes:
        content: The ONNX file.
        parity: Largest difference from what was fitted, relative to the target's standard deviation.
        evaluation: Errors of the file on the test rows.
        calibration: Its intervals; None for a yes/no property.
        classes: Its sets of labels; None for a number.
        domain: Its applicability domain.
        reference: The training rows that it keeps.
        test: The test rows with its answers.
    """

    content: bytes
    parity: float
    evaluation: Evaluation
    calibration: Calibration | None
    classes: ClassRecord | None
    domain: ApplicabilityDomain
    reference: Reference
    test: HeldOutRows


def measure_fitted(
    matrix: Matrix,
    held_out: HeldOut,
    fitted: Fitted,
    features: Sequence[Feature],
    out_of_fold: Callable[[], OutOfFold],
    seed: int,
) -> Measured:
    """Convert a fitted model, and measure and calibrate what comes of it.

    Args:
        matrix: All rows.
        held_out: Which of them it was fitted to, and which are its test rows.
        fitted: The model.
        features: In the order of the matrix.
        out_of_fold: Gives predictions for the training rows by fits without them.
        seed: Of the bootstrap, of the reference rows, and of folds.

    Raises:
        HeadError: The model does not survive the conversion to ONNX.
    """
    from matlake.regress.onnx.convert import check_parity, convert, run_graph  # needs spox, of the extra 'heads'

    rows, test_rows, space = held_out.train, held_out.test, fitted.space
    chosen = choose_reference(matrix, rows, seed)
    known = out_of_fold().take(np.searchsorted(rows, chosen.rows))
    opinions = None
    if space.link is None:
        labels, folds = space.to_fit(matrix.y[chosen.rows]), (known.fold, known.cluster_fold)
        own, blocks = matrix.features_of(chosen.rows), encoder_blocks(features)
        opinions = fit_opinions(chosen.projection, own, labels, blocks, folds, seed)
    content = convert(fitted, matrix.x.shape[1], chosen.projection, opinions.fitted if opinions else ())
    checked = np.concatenate([test_rows[:_PARITY_ROWS], rows[:_PARITY_ROWS]])
    parity = check_parity(content, fitted, matrix.x[checked])
    predicted = run_graph(content, matrix.features_of(test_rows))
    reference = make_reference(matrix, chosen, known.predicted, space)
    around = reference.nearest(chosen.projection.apply(matrix.features_of(test_rows)))
    nearest = chosen.as_prediction(matrix, reference.value[around.rows[:, 0]])
    evaluation = evaluate(matrix, held_out, predicted, nearest, seed)
    test = HeldOutRows(
        material_id=matrix.material_id[test_rows],
        formula=matrix.formula[test_rows],
        groups=matrix.groups[test_rows],
        y=matrix.y[test_rows],
        predicted=predicted,
        scores=around.scores,
        lower=np.full(len(test_rows), np.nan),
        upper=np.full(len(test_rows), np.nan),
        nearest=nearest,
        expected_errors=np.full(len(test_rows), np.nan),
        levels=np.full(len(test_rows), np.nan),
    )
    fractions = take_rows(matrix.fractions, rows)
    domain = ApplicabilityDomain(
        element_rows=element_rows(fractions),
        block_rows=block_rows(fractions),
        rank_correlation=rank_correlation(test.scores, test.errors),
        beyond=float(np.mean(test.scores > FARTHEST)),
        column_ranges={
            column: (float(values.min()), float(np.median(values)), float(values.max()))
            for column, values in zip(columns_of(features), matrix.x[:, list(matrix.own)][rows].T, strict=True)
        },
    )
    calibration = classes = None
    if opinions is not None:
        calibration, test = calibrate_on(
            matrix, held_out, chosen, known, opinions, reference, around, test, space, seed
        )
        domain = replace(domain, width_correlation=rank_correlation(test.widths, test.errors))
    if space.link is not None:
        held = np.isfinite(known.predicted)
        calibrating = known.predicted[held], reference.value[held]
        classes = class_record(space.link, calibrating, (predicted, test.y), float(matrix.y[rows].mean()))
    return Measured(content, parity, evaluation, calibration, classes, domain, reference, test)


def measure_of(kind: Kind) -> Measure:
    """Return what measures predictions of a property: numbers, or probabilities of yes."""
    return measure_probabilities if kind is Kind.YES_NO else measure


def made_now() -> Provenance:
    """Return the time, and the versions of the tools that make a head."""
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_versions={tool: importlib.metadata.version(tool) for tool in _TOOLS},
    )


def evaluate(
    matrix: Matrix, held_out: HeldOut, predicted: NDArray[np.float64], nearest: NDArray[np.float64], seed: int
) -> Evaluation:
    """Measure predictions for test rows.

    Args:
        matrix: All rows.
        held_out: Which of them the model was fitted to, and the test rows [m].
        predicted: float64 [m].
        nearest: float64 [m], what the nearest reference rows predict.
        seed: Of the bootstrap.
    """
    rows, test_rows = held_out.train, held_out.test
    y, measured = matrix.y[test_rows], measure_of(matrix.kind)
    return Evaluation(
        n_train=len(rows),
        n_test=len(test_rows),
        metrics=measured(y, predicted),
        intervals=bootstrap(y, predicted, matrix.codes[test_rows], seed, measured),
        baseline=mean_baseline(matrix.y[rows], y, measured),
        nearest_baseline=measured(y, nearest),
    )


def learning_curve(fit: Fit, matrix: Matrix, held_out: HeldOut, seed: int) -> tuple[CurvePoint, ...]:
    """Measure fits to parts of the training rows, each part holding the one before.

    Args:
        fit: From some rows to what is fitted to them.
        matrix: All rows.
        held_out: Which of them to draw from, whole compositions at a time, and which to measure on.
        seed: Decides what is drawn.

    Returns:
        A point for each part, ascending; all training rows are not among them.
    """
    points = []
    for share in CURVE_SHARES if len(held_out.train) <= MANY_ROWS else WIDE_SHARES:
        drawn = subsample(matrix.codes[held_out.train], round(share * len(held_out.train)), seed)
        if len(drawn) >= _FEWEST_ROWS:
            rows = held_out.train[drawn]
            predicted = fit(matrix.labelled(rows)).predict(matrix.features_of(held_out.test))
            points.append(CurvePoint(len(rows), measure(matrix.y[held_out.test], predicted).mae))
    return tuple(points)
