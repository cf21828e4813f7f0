"""Prediction for tables of any length: batches stream in, predictions stream out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matlake.errors import SourceError
from matlake.files import fsync_folder, naming
from matlake.interrupts import hold
from matlake.platforms import rename, sync
from matlake.progress import SILENT, Progress
from matlake.regress.heads.storage import Head
from matlake.regress.heads.verdict import head_notes
from matlake.regress.prediction.opened_head import OpenedHead, open_heads
from matlake.regress.prediction.predict import FAILURES_SHOWN, Predictions, collect_all, failure_lines
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.regress.prediction.results import LISTED, Failure, Prediction
from matlake.regress.prediction.sources import NOTHING_SET, PredictionSource, open_table_source
from matlake.reports import Report
from matlake.store.importing.readers import Source
from matlake.store.lake import Lake

REASON_COLUMN: Final = "prediction_failure"


@dataclass(frozen=True, repr=False)
class WrittenPredictions(Report):
    """Predictions that went to a file.

    Attributes:
        head: Name of the head.
        target: Property predicted.
        unit: Unit of the values.
        output: The file: the input's columns and those of ``predict_to_file``.
        rows: Rows with a prediction.
        n_failed: Rows and lines without one.
        notes: What a reader has to know about the head, in words.
        failed: The first hundred of them; the file has the reason of every row.
    """

    head: str
    target: str
    unit: str
    output: Path
    rows: int
    n_failed: int
    notes: tuple[str, ...]
    failed: list[Failure]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract; the predictions are in the file."""
        failed = [vars(failure) for failure in self.failed]
        return {**vars(self), "output": str(self.output), "predictions": [], "failed": failed}

    def lines(self) -> list[str]:
        """Return the text for people."""
        return [
            f"wrote {self.rows:,} predictions of {self.target} in {self.unit or 'no unit'} to {self.output}",
            *(f"note: {note}" for note in self.notes),
            *failure_lines(self.failed[:FAILURES_SHOWN], self.n_failed),
        ]


def predict_table(
    lake: Lake,
    head_name: str,
    path: str | Path,
    *,
    formula_column: str | None = None,
    structure_column: str | None = None,
    columns: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> Predictions:
    """Predict for a table and return all predictions; ``predict_to_file`` is for tables of any length.

    Args:
        lake: The lake.
        head_name: Name of the head.
        path: CSV or Parquet file, or anything else that can be imported.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        structure_column: Column of structures; by default ``structure``, ``cif``, ``poscar``, … .
        columns: Values for all rows of columns among the head's features that the table does not have, such as
            ``{"temperature_K": 300}``. A row without a value is among the failures.
        progress: Takes the number of rows done.

    Raises:
        SourceError: The file or its column of formulas or structures is not there; or it has one of ``columns``.
        MatlakeError: The head does not take one of ``columns``.
        HeadError: See ``open_head``; or the head needs crystals, and there are none.
    """
    head = open_heads(lake, head_name)
    materials = open_table_source(head, Path(path), formula_column, structure_column)
    return predict_source(head, materials, columns or NOTHING_SET, progress)


def predict_source(
    head: OpenedHead, materials: PredictionSource, columns: Mapping[str, Any], progress: Progress
) -> Predictions:
    """Predict for all rows of an opened source; see ``predict_table``."""
    found: list[list[Prediction | Failure]] = [[] for _ in head.heads]
    for _, names, predicted in materials.predict(head, columns):
        for results, each in zip(found, predicted, strict=True):
            results.extend(each.results(names, len(results)))
        progress.track(len(found[0]), max(len(found[0]), materials.source.rows))
    bad = _bad_lines(materials.source, len(found[0]))
    return collect_all(head, [[*results, *bad] for results in found])


def predict_to_file(
    lake: Lake,
    head_name: str,
    path: str | Path,
    output: str | Path,
    *,
    formula_column: str | None = None,
    structure_column: str | None = None,
    columns: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> WrittenPredictions:
    """Predict for a table and write a table, in memory that does not grow with the number of rows.

    Args:
        lake: The lake.
        head_name: Name of the head.
        path: CSV or Parquet file, or anything else that can be imported.
        output: CSV or Parquet file by its ending; appears when it is complete. It holds the input's columns, structures
            left out; ``predicted_TARGET``, or ``prediction_failure`` where there is none; for a yes/no property
            ``label_TARGET`` and ``label_set_TARGET``; and, for a head that has them, the ends of the interval as
            ``lower_TARGET`` and ``upper_TARGET``, ``expected_error``, ``ood_score``, ``novel_elements`` joined by
            hyphens, ``warnings`` joined by semicolons (and as ``doubts``, as they were called before), and
            ``nearest_training_materials``, a JSON array.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        structure_column: Column of structures; by default ``structure``, ``cif``, ``poscar``, … .
        columns: As of ``predict_table``.
        progress: Takes the number of rows done.

    Raises:
        SourceError: The file or its column of formulas or structures is not there, or the output's ending is unknown;
            or it has one of ``columns``.
        MatlakeError: The head does not take one of ``columns``.
        HeadError: See ``open_head``; or the head needs crystals, and there are none.
    """
    output = Path(output)
    lake.check_output(output)
    head = open_heads(lake, head_name)
    cards = [one.card for one in head.heads]
    materials = open_table_source(head, Path(path), formula_column, structure_column)
    source = materials.source
    schema = output_schema(source.schema, head.heads, source.name)
    targets = [card.target for card in cards]
    rows, n_failed, listed = write_predictions(
        output,
        schema,
        materials.predict(head, columns or NOTHING_SET),
        targets,
        lambda done: progress.track(done, max(done, source.rows)),
    )
    bad = _bad_lines(source, rows)
    listed += bad[: LISTED - len(listed)]
    return WrittenPredictions(
        head=head_name,
        target=", ".join(targets),
        unit=", ".join(card.unit or "no unit" for card in cards) if len(cards) > 1 else cards[0].unit,
        output=output,
        rows=rows - n_failed,
        n_failed=n_failed + len(bad),
        notes=tuple(dict.fromkeys(note for card in cards for note in head_notes(card))),
        failed=listed,
    )


def write_predictions(
    output: Path,
    schema: pa.Schema,
    batches: Iterable[tuple[pa.RecordBatch | pa.Table, Sequence[str | None], Sequence[PredictionColumns]]],
    targets: Sequence[str],
    track: Callable[[int], None],
) -> tuple[int, int, list[Failure]]:
    """Write predictions beside what they are for, as a file that arrives whole.

    Args:
        output: CSV or Parquet file by its ending.
        schema: Of ``output_schema``.
        batches: Columns, what each row is called, and its predictions for each target.
        targets: Properties predicted.
        track: Takes the number of rows done.

    Returns:
        Rows; how many have no prediction; the first of those.

    Raises:
        SourceError: The ending is not known.
    """
    part = output.with_name(f".{output.name}.part")
    rows = n_failed = 0
    listed: list[Failure] = []
    try:
        with naming(output), _open_writer(part, output, schema) as writer:
            for columns, names, predicted in batches:
                arrays = [*columns.columns, *_added_of_all(predicted, targets).values()]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                failures = [
                    Failure(row, name, reason)
                    for row, (name, reason) in enumerate(zip(names, predicted[0].reasons, strict=True), start=rows)
                    if reason is not None
                ]
                rows += columns.num_rows
                n_failed += len(failures)
                listed += failures[: LISTED - len(listed)]
                track(rows)
        with part.open("rb+") as file:
            sync(file.fileno())
        hold()
        rename(part, output)
    finally:
        part.unlink(missing_ok=True)
    fsync_folder(output.parent)
    return rows, n_failed, listed


def _added_of_all(predicted: Sequence[PredictionColumns], targets: Sequence[str]) -> dict[str, pa.Array]:
    """Return the columns of all targets; with several, those that are not named after their target are, too."""
    if len(targets) == 1:
        return _added(predicted[0], targets[0])
    added: dict[str, pa.Array] = {}
    for columns, target in zip(predicted, targets, strict=True):
        for name, column in _added(columns, target).items():
            shared = name == REASON_COLUMN or name.endswith(f"_{target}")
            added.setdefault(name if shared else f"{name}_{target}", column)
    return added


def _added(predicted: PredictionColumns, target: str) -> dict[str, pa.Array]:
    """Return the columns that stand beside those of the input; NaN becomes null."""
    added = {
        f"predicted_{target}": pa.array(predicted.values, from_pandas=True),
        REASON_COLUMN: pa.array(predicted.reasons, pa.string()),
    }
    for name, column in zip(("label", "label_set"), predicted.labels(predicted.values), strict=False):
        added[f"{name}_{target}"] = pa.array(column, pa.string(), mask=np.isnan(predicted.values))
    if predicted.reference is not None:
        warnings = pa.array(["; ".join(reasons) or None for reasons in predicted.warnings], pa.string())
        nearest = predicted.neighbours_json()
        added |= {
            f"lower_{target}": pa.array(predicted.lower, from_pandas=True),
            f"upper_{target}": pa.array(predicted.upper, from_pandas=True),
            "expected_error": pa.array(predicted.expected_errors, from_pandas=True),
            "ood_score": pa.array(predicted.ood_scores, from_pandas=True),
            "novel_elements": pa.array(
                ["-".join(new) or None for new in predicted.elements_outside_training], pa.string()
            ),
            "doubts": warnings,
            "warnings": warnings,
            "nearest_training_materials": pa.array(nearest, pa.string()),
        }
    return added


def output_schema(schema: pa.Schema, heads: Sequence[Head], source: str) -> pa.Schema:
    """Return the columns of a file of predictions.

    Args:
        schema: Of the columns that predictions stand beside.
        heads: A head, or the members of one with several targets.
        source: Where they are from, for messages.

    Raises:
        SourceError: A column has the name of one that is added.
    """
    empty = [PredictionColumns.empty([], head) for head in heads]
    for name, column in _added_of_all(empty, [head.card.target for head in heads]).items():
        if name in schema.names:
            raise SourceError(f"{source} has a column {name} already", "rename it, so that it is not mixed up")
        schema = schema.append(pa.field(name, column.type))
    return schema


@contextmanager
def _open_writer(part: Path, output: Path, schema: pa.Schema) -> Iterator[Any]:
    if output.suffix.lower() == ".csv":
        # a CSVWriter keeps a file that it opened itself until it is collected, and Windows renames no open file
        with pa.OSFile(str(part), "wb") as sink, pacsv.CSVWriter(sink, schema) as writer:
            yield writer
        return
    if output.suffix.lower() in (".parquet", ".pq"):
        with pq.ParquetWriter(part, schema, compression="zstd") as writer:
            yield writer
        return
    raise SourceError(f"cannot write {output}", "end its name in .csv or .parquet")


def _bad_lines(source: Source, rows: int) -> list[Failure]:
    """Return lines of a file that are not rows; they come after its rows, with the line in the reason."""
    return [
        Failure(place, None, f"line {bad.line}: {bad.reason}") for place, bad in enumerate(source.bad_lines, start=rows)
    ]
