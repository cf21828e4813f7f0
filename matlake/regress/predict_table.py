"""Prediction for tables of any length: batches stream in, predictions stream out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matlake.errors import SourceError
from matlake.files import fsync_folder
from matlake.progress import Tracker, untracked
from matlake.regress.head import HeadCard
from matlake.regress.predict import (
    CHUNK_ROWS,
    Prediction,
    Predictions,
    Predictor,
    Refusal,
    open_predictor,
    refusal_lines,
)
from matlake.store.importer import find_formula_column
from matlake.store.lake import Lake
from matlake.store.readers import TableSource, open_source

REASON_COLUMN: Final = "prediction_failure"
_LISTED: Final = 100


@dataclass(frozen=True)
class WrittenPredictions:
    """Predictions that went to a file.

    Attributes:
        head: Name of the head.
        target: Property predicted.
        unit: Unit of the values.
        output: The file: the input's columns, ``predicted_TARGET`` and ``prediction_failure``.
        rows: Rows with a prediction.
        n_failed: Rows and lines without one.
        failed: The first hundred of them; the file has the reason of every row.
    """

    head: str
    target: str
    unit: str
    output: Path
    rows: int
    n_failed: int
    failed: list[Refusal]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract; the predictions are in the file."""
        return {
            "head": self.head,
            "target": self.target,
            "unit": self.unit,
            "output": str(self.output),
            "rows": self.rows,
            "predictions": [],
            "n_failed": self.n_failed,
            "failed": [vars(refusal) for refusal in self.failed],
        }

    def lines(self) -> list[str]:
        """Return the text for people."""
        return [
            f"wrote {self.rows:,} predictions of {self.target} in {self.unit or 'no unit'} to {self.output}",
            *refusal_lines(self.failed[:5], self.n_failed),
        ]


def predict_table(
    lake: Lake, head_name: str, path: Path, *, formula_column: str | None = None, track: Tracker = untracked
) -> Predictions:
    """Predict for a table and return all predictions; ``predict_to_file`` is for tables of any length.

    Args:
        lake: The lake.
        head_name: Name of the head.
        path: CSV or Parquet file.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        track: Told the number of rows done.

    Raises:
        SourceError: The file or its column of formulas is not there.
        HeadError: See ``open_predictor``.
    """
    predictor = open_predictor(lake, head_name)
    source = open_source(path)
    column = find_formula_column(source, formula_column)
    predictions: list[Prediction] = []
    failed: list[Refusal] = []
    row = 0
    for batch in _batches(source):
        values, reasons = predictor.predict(batch.column(column).to_pylist())
        formulas = batch.column(column).to_pylist()
        for formula, value, reason in zip(formulas, values.tolist(), reasons, strict=True):
            if reason is None:
                predictions.append(Prediction(formula, value))
            else:
                failed.append(Refusal(row, formula, reason))
            row += 1
        track(row, source.rows)
    card = predictor.head.card
    return Predictions(card.name, card.target, card.unit, predictions, failed + _bad_lines(source, row))


def predict_to_file(
    lake: Lake,
    head_name: str,
    path: Path,
    output: Path,
    *,
    formula_column: str | None = None,
    track: Tracker = untracked,
) -> WrittenPredictions:
    """Predict for a table and write a table, in memory that does not grow with the number of rows.

    Args:
        lake: The lake.
        head_name: Name of the head.
        path: CSV or Parquet file.
        output: CSV or Parquet file by its ending; appears when it is complete. It holds the input's columns, the
            prediction as ``predicted_TARGET``, and ``prediction_failure`` where there is none.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        track: Told the number of rows done.

    Raises:
        SourceError: The file or its column of formulas is not there, or the output's ending is unknown.
        HeadError: See ``open_predictor``.
    """
    predictor = open_predictor(lake, head_name)
    card = predictor.head.card
    source = open_source(path)
    column = find_formula_column(source, formula_column)
    schema = _output_schema(source, card)
    part = output.with_name(f".{output.name}.part")
    rows = n_failed = 0
    listed: list[Refusal] = []
    try:
        with _open_writer(part, output, schema) as writer:
            for batch in _batches(source):
                table, refusals = _predict_batch(predictor, batch, column, schema, rows)
                writer.write_table(table)
                rows += batch.num_rows
                n_failed += len(refusals)
                listed += refusals[: _LISTED - len(listed)]
                track(rows, source.rows)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    fsync_folder(output.parent)
    bad = _bad_lines(source, rows)
    listed += bad[: _LISTED - len(listed)]
    return WrittenPredictions(card.name, card.target, card.unit, output, rows - n_failed, n_failed + len(bad), listed)


def _predict_batch(
    predictor: Predictor, batch: pa.RecordBatch, column: str, schema: pa.Schema, start: int
) -> tuple[pa.Table, list[Refusal]]:
    formulas = batch.column(column).to_pylist()
    values, reasons = predictor.predict(formulas)
    refusals = [
        Refusal(start + row, formula, reason)
        for row, (formula, reason) in enumerate(zip(formulas, reasons, strict=True))
        if reason is not None
    ]
    added = [pa.array(values, from_pandas=True), pa.array(reasons, pa.string())]  # NaN becomes null
    return pa.Table.from_arrays([*batch.columns, *added], schema=schema), refusals


def _batches(source: TableSource) -> Iterator[pa.RecordBatch]:
    for batch in source.batches():
        for start in range(0, batch.num_rows, CHUNK_ROWS):
            yield batch.slice(start, CHUNK_ROWS)


def _output_schema(source: TableSource, card: HeadCard) -> pa.Schema:
    schema = source.schema
    for name, kind in ((f"predicted_{card.target}", pa.float64()), (REASON_COLUMN, pa.string())):
        if name in schema.names:
            raise SourceError(f"{source.path} has a column {name} already", "rename it, so that it is not mixed up")
        schema = schema.append(pa.field(name, kind))
    return schema


def _open_writer(part: Path, output: Path, schema: pa.Schema) -> Any:
    if output.suffix.lower() == ".csv":
        return pacsv.CSVWriter(part, schema)
    if output.suffix.lower() in (".parquet", ".pq"):
        return pq.ParquetWriter(part, schema, compression="zstd")
    raise SourceError(f"cannot write {output}", "end its name in .csv or .parquet")


def _bad_lines(source: TableSource, rows: int) -> list[Refusal]:
    """Lines of a CSV file that are no rows; numbered after the rows, with the line in the reason."""
    return [Refusal(rows + place, None, f"line {bad.line}: {bad.reason}") for place, bad in enumerate(source.bad_lines)]
