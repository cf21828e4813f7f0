"""What a fitted model becomes: an ONNX file, its errors on test rows, intervals, reference rows."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import rank_correlation
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.card import ApplicabilityDomain, Calibration, Evaluation, Provenance
from matlake.regress.heads.evaluation import evaluate
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.regressors import Fitted
from matlake.regress.splits import HeldOut
from matlake.regress.uncertainty.applicability import FARTHEST, block_rows, element_rows
from matlake.regress.uncertainty.conformal import calibrate
from matlake.regress.uncertainty.fit_reference import choose_reference, make_reference
from matlake.regress.uncertainty.reference_set import Reference

_PARITY_ROWS: Final = 500
_TOOLS: Final = ("matlake", "scikit-learn", "skl2onnx", "spox", "onnx", "numpy")


@dataclass(frozen=True)
class Measured:
    """A fitted model, converted, measured and calibrated.

    Attributes:
        content: The ONNX file.
        parity: Largest difference from what was fitted, relative to the target's standard deviation.
        evaluation: Errors of the file on the test rows.
        calibration: Its intervals.
        domain: Its applicability domain.
        reference: The training rows that it keeps.
        test: The test rows with its answers.
    """

    content: bytes
    parity: float
    evaluation: Evaluation
    calibration: Calibration
    domain: ApplicabilityDomain
    reference: Reference
    test: HeldOutRows


def measure_fitted(
    matrix: Matrix, held_out: HeldOut, fitted: Fitted, residuals: Callable[[], NDArray[np.float64]], seed: int
) -> Measured:
    """Convert a fitted model, and measure and calibrate what comes of it.

    Args:
        matrix: All rows.
        held_out: Which of them it was fitted to, and which are its test rows.
        fitted: The model.
        residuals: Gives absolute errors float64 [n] for the training rows, each of a model that was fitted
            without its composition; NaN if there is none.
        seed: Of the bootstrap, and of the reference rows.

    Raises:
        HeadError: The model does not survive the conversion to ONNX.
    """
    from matlake.regress.onnx.convert import check_parity, convert, run_graph  # needs spox, of the extra 'heads'

    rows, test_rows = held_out.train, held_out.test
    chosen = choose_reference(matrix, rows, seed)
    content = convert(fitted, matrix.x.shape[1], chosen.projection)
    checked = np.concatenate([test_rows[:_PARITY_ROWS], rows[:_PARITY_ROWS]])
    parity = check_parity(content, fitted, matrix.x[checked])
    predicted = run_graph(content, matrix.x[test_rows])
    evaluation = evaluate(matrix, held_out, predicted, chosen, seed)
    errors = residuals()[np.searchsorted(rows, chosen.rows)]
    reference, interval = make_reference(matrix, chosen, errors), calibrate(chosen.coordinates, errors, chosen.groups)
    around = reference.nearest(chosen.projection.apply(matrix.x[test_rows]))
    test = HeldOutRows(
        matrix.material_id[test_rows],
        matrix.formula[test_rows],
        matrix.y[test_rows],
        predicted,
        around.scores,
        interval.half_widths(around),
    )
    fractions = matrix.fractions[rows]
    return Measured(
        content,
        parity,
        evaluation,
        Calibration(interval, test.coverage, float(2.0 * test.half_widths.mean())),
        ApplicabilityDomain(
            element_rows=element_rows(fractions),
            block_rows=block_rows(fractions),
            rank_correlation=rank_correlation(test.scores, test.errors),
            beyond=float(np.mean(test.scores > FARTHEST)),
        ),
        reference,
        test,
    )


def made_now() -> Provenance:
    """Return the time, and the versions of the tools that make a head."""
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_versions={tool: importlib.metadata.version(tool) for tool in _TOOLS},
    )
