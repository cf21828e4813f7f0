"""One way's predictions for the rows of one task: what an extrapolation is made of, and what it goes on from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from matlake.regress.regressors import Parameters
from matlake.store.lake import Lake
from matlake.studies.ledger import Keyed, Ledger

SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("target", pa.string()),
        ("split", pa.string()),
        ("seed", pa.int64()),
        ("kind", pa.string()),
        ("features", pa.string()),
        ("model", pa.string()),
        ("parameters", pa.string()),
        ("fit_rows", pa.int64()),
        ("tested_rows", pa.int64()),
        ("mae", pa.float64()),
        ("rmse", pa.float64()),
        ("validation_mae", pa.float64()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("predictions", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Measurement(Keyed):
    """One way's predictions for the rows of one task.

    Attributes:
        target: Property column.
        split: As typed, in one spelling.
        seed: Of the task.
        kind: See ``Way``.
        features: ``NAME@LAYER`` of each feature.
        model: Name of the regressor or network.
        parameters: Of the regressor, or the settings of the training.
        fit_rows: Rows fitted to.
        tested_rows: Rows predicted for.
        mae: Mean absolute error, in the target's unit; None where it failed.
        rmse: Root of the mean squared error, likewise.
        validation_mae: Of a head in cross-validation on the training rows, of a network on the rows that ended its
            training; None of baselines.
        seconds: What it took.
        error: Why it failed; empty where it did not.
        predictions: float [tested_rows], in the order of the tested rows.
    """

    target: str
    split: str
    seed: int
    kind: str
    features: tuple[str, ...]
    model: str
    parameters: Parameters
    fit_rows: int
    tested_rows: int
    mae: float | None
    rmse: float | None
    validation_mae: float | None = None
    seconds: float = 0.0
    error: str = ""
    predictions: tuple[float, ...] = ()


def open_ledger(lake: Lake, name: str) -> Ledger[Measurement]:
    """Open the Delta table ``extrapolations`` of a lake, or make it.

    Args:
        lake: The lake.
        name: Of the evaluation.

    Raises:
        LakeError: The table cannot be read.
    """
    return Ledger(table_of(lake), name, SCHEMA, Measurement)


def table_of(lake: Lake) -> Path:
    """Return the folder of the table."""
    return lake.extrapolations
