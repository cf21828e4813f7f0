"""What a fitted model becomes: an ONNX file, its errors on rows set aside, intervals, the rows it remembers."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import rank_correlation
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.evaluation import Evaluation, evaluate
from matlake.regress.heads.train_result import HeldRows
from matlake.regress.onnx.convert import check_parity, convert, run_graph
from matlake.regress.regressors import Fitted
from matlake.regress.splits import HeldOut
from matlake.regress.uncertainty.applicability import FARTHEST, block_rows, element_rows
from matlake.regress.uncertainty.fit_reference import make_interval, make_reference, remember
from matlake.regress.uncertainty.intervals import Interval
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
        interval: How intervals are made.
        reference: The training rows that it remembers.
        test: The test rows with its answers.
        element_rows: Number of training rows that hold an element.
        block_rows: Number of training rows of each set of blocks of the periodic table.
    """

    content: bytes
    parity: float
    evaluation: Evaluation
    interval: Interval
    reference: Reference
    test: HeldRows
    element_rows: dict[str, int]
    block_rows: dict[str, int]

    def card_fields(self) -> dict[str, Any]:
        """Return what a head's card says of it."""
        test = self.test
        return {
            "metrics": asdict(self.evaluation.metrics),
            "baseline": asdict(self.evaluation.baseline),
            "evaluation": self.evaluation.document(),
            "interval": self.interval,
            "interval_check": {"coverage": test.coverage, "mean_width": float(2.0 * test.half_widths.mean())},
            "ood_check": {
                "rank_correlation": rank_correlation(test.scores, test.errors),
                "beyond": float(np.mean(test.scores > FARTHEST)),
            },
            "element_rows": self.element_rows,
            "block_rows": self.block_rows,
            "parity": self.parity,
        }


def measure_fitted(
    matrix: Matrix, held_out: HeldOut, fitted: Fitted, residuals: Callable[[], NDArray[np.float64]], seed: int
) -> Measured:
    """Convert a fitted model, and measure and calibrate what comes of it.

    Args:
        matrix: All rows.
        held_out: Which of them it was fitted to, and which it is measured on.
        fitted: The model.
        residuals: Gives absolute errors float64 [n] for the training rows, each of a model that has not seen its
            composition; NaN where there is none.
        seed: Of the bootstrap, and of what is remembered.

    Raises:
        HeadError: The model does not survive the conversion to ONNX.
    """
    rows, test_rows = held_out.train, held_out.test
    remembered = remember(matrix, rows, seed)
    content = convert(fitted, matrix.x.shape[1], remembered.projection)
    checked = np.concatenate([test_rows[:_PARITY_ROWS], rows[:_PARITY_ROWS]])
    parity = check_parity(content, fitted, matrix.x[checked])
    predicted = run_graph(content, matrix.x[test_rows])
    evaluation = evaluate(matrix, rows, test_rows, predicted, remembered, seed)
    errors = residuals()[np.searchsorted(rows, remembered.rows)]
    reference, interval = make_reference(matrix, remembered, errors), make_interval(remembered, errors)
    around = reference.nearest(remembered.projection.apply(matrix.x[test_rows]))
    test = HeldRows(
        matrix.material_id[test_rows],
        matrix.formula[test_rows],
        matrix.y[test_rows],
        predicted,
        around.scores,
        interval.half_widths(around),
    )
    fractions = matrix.fractions[rows]
    return Measured(
        content, parity, evaluation, interval, reference, test, element_rows(fractions), block_rows(fractions)
    )


def made_with() -> dict[str, Any]:
    """Return what a head's card says of its making: versions of the tools, and the time."""
    return {
        "tool_versions": {tool: importlib.metadata.version(tool) for tool in _TOOLS},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
