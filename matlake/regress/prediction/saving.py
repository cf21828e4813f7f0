"""Saving predictions in the lake: each content once for a head and its digest, whoever writes, whatever is killed.

Blocks are predicted, written as Parquet parts and committed one after the other, under transaction numbers of the
head's partition. A killed run leaves whole parts; the next one predicts what is left.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from matlake.progress import Progress
from matlake.regress.features.feature_reader import FeatureReader
from matlake.regress.heads.storage import Head
from matlake.regress.heads.verdict import head_notes
from matlake.regress.prediction.opened_head import OpenedHead
from matlake.regress.prediction.predict import FAILURES_SHOWN, failure_lines
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.regress.prediction.results import LISTED, Failure
from matlake.regress.prediction.stored_rows import CHOSEN, Block, StoredRows, content_key, content_of
from matlake.reports import Report
from matlake.store.lake import Lake
from matlake.store.parquet_rows import parquet_rows
from matlake.store.predictions import (
    KEY,
    ROWS_SCHEMA,
    make_predictions_table,
    prediction_partition,
    shown_name,
    stale_note,
)
from matlake.store.tables import delta, writing
from matlake.store.tables.appender import Appender

_PENDING: Final = "pending"
_NOT_YET: Final = "not_yet"
_DONE: Final = "done"


@dataclass(frozen=True, repr=False)
class SavedReport(Report):
    """What a run has saved.

    Attributes:
        head: Name of the head.
        head_digest: Its digest, under which the predictions are; with several targets one for each.
        target: Property predicted; several are joined by commas, as are units.
        unit: Unit of the values.
        saved: Predictions added, one for each content and target.
        skipped: Rows, for each target, that needed none: their content has one already, or shares the one added.
        n_failed: Rows without a prediction, for each target.
        notes: What a reader has to know, in words.
        failed: The first hundred of the rows without one. What cannot be predicted is in the view ``failures``, too; a
            row that is not embedded is predicted by the next run after it was.
        seconds: Wall time.
    """

    head: str
    head_digest: str
    target: str
    unit: str
    saved: int
    skipped: int
    n_failed: int
    notes: tuple[str, ...]
    failed: list[Failure]
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return the JSON document; the predictions are in the view ``predictions``."""
        return {**vars(self), "predictions": [], "failed": [vars(failure) for failure in self.failed]}

    def lines(self) -> list[str]:
        """Return the text for people."""
        property_text = f"{self.target} in {self.unit or 'no unit'}"
        return [
            f"saved {self.saved:,} predictions of {property_text} by head {self.head}, in {self.seconds:.1f} s",
            f"{self.skipped:,} were there already, or are those of equal materials",
            *(f"note: {note}" for note in self.notes),
            *failure_lines(self.failed[:FAILURES_SHOWN], self.n_failed),
        ]


def save(lake: Lake, rows: StoredRows, digests: Sequence[str], progress: Progress) -> SavedReport:
    """Predict the selected rows that have no prediction of this head yet, and keep what comes of it.

    Args:
        lake: The lake.
        rows: The rows, and the head.
        digests: Of the head, or of its members, a target each.
        progress: Takes the number of contents done.

    Raises:
        LakeError: The table cannot be read or written.
        CommitUnknownError: It is not known whether a commit was recorded.
    """
    reports = []
    for head, digest in zip(rows.head.heads, digests, strict=True):
        features = FeatureReader.open(lake, head.card.features)
        own = replace(rows, head=OpenedHead(head, {}), features=features)
        reports.append(_save_one(lake, own, digest, progress))
    first = reports[0]
    if len(reports) == 1:
        return first
    return replace(
        first,
        head_digest=", ".join(report.head_digest for report in reports),
        target=", ".join(report.target for report in reports),
        unit=", ".join(report.unit or "no unit" for report in reports),
        saved=sum(report.saved for report in reports),
        skipped=sum(report.skipped for report in reports),
        n_failed=sum(report.n_failed for report in reports),
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        failed=[failure for report in reports for failure in report.failed][:LISTED],
        seconds=sum(report.seconds for report in reports),
    )


def _save_one(lake: Lake, rows: StoredRows, digest: str, progress: Progress) -> SavedReport:
    """Save the predictions of one target."""
    started = time.monotonic()
    card = rows.head.head.card
    make_predictions_table(lake)
    partition = prediction_partition(card.name, digest, content_of(rows.head), rows.head.columns)
    appender = Appender(lake.predictions, partition, KEY, verify=lake.verify)
    _begin(rows, appender)
    done = saved = 0
    pending = rows.count(_PENDING)
    for block in rows.blocks(_PENDING, seed=time.time_ns()):
        lasting = appender.without_foreign(_lasting_rows(block, rows.head.head))
        if lasting.num_rows:
            part = writing.write_part(appender.root, lasting, appender.partition)
            failures = lasting["reason"].length() - lasting["reason"].null_count
            saved += max(0, appender.append([part]) - failures)
        _note_not_embedded(rows, block)
        _forget_foreign(rows, appender)
        done += block.materials.num_rows
        progress.track(done, pending)
    n_failed, failed = _failed(rows, appender)
    return SavedReport(
        head=shown_name(card.name),
        head_digest=digest,
        target=card.target,
        unit=card.unit,
        saved=saved,
        skipped=rows.count() - n_failed - saved,
        n_failed=n_failed,
        notes=(*head_notes(card), *stale_note(lake, card.name)),
        failed=failed,
        seconds=round(time.monotonic() - started, 3),
    )


def prediction_rows(keys: pa.ChunkedArray, predicted: PredictionColumns, head: Head) -> pa.Table:
    """Return predictions as the table holds them.

    Args:
        keys: string [n], the contents.
        predicted: What the head predicts for them.
        head: The head.
    """
    n = len(keys)
    reasons = pa.array(predicted.reasons, pa.string())
    columns = {
        KEY: keys,
        "target": pa.array([head.card.target] * n, pa.string()),
        "unit": pa.array([head.card.unit] * n, pa.string()),
        "value": pa.array(predicted.values, from_pandas=True),
        "lower": pa.array(predicted.lower, from_pandas=True),
        "upper": pa.array(predicted.upper, from_pandas=True),
        "expected_error": pa.array(predicted.expected_errors, from_pandas=True),
        "ood_score": pa.array(predicted.ood_scores, from_pandas=True),
        "warnings": pa.array(map(list, predicted.warnings), ROWS_SCHEMA.field("warnings").type),
        "reason": reasons,
    }
    return pa.table(columns, schema=ROWS_SCHEMA)


def _begin(rows: StoredRows, appender: Appender) -> None:
    """Put down what the table has of the head, and what of the selected rows is pending: one row for each content."""
    _read_done(rows, appender)
    rows.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_NOT_YET} ({KEY} VARCHAR, reason VARCHAR)")
    rows.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_PENDING} AS "
        f"SELECT row_number() OVER (ORDER BY s.row) - 1 AS row, s.* EXCLUDE (row), first.{KEY} "
        f"FROM (SELECT {content_key(rows.head, 's.')} AS {KEY}, min(s.row) AS row FROM {CHOSEN} AS s GROUP BY 1) "
        f"AS first ANTI JOIN {_DONE} AS d USING ({KEY}) JOIN {CHOSEN} AS s USING (row)"
    )


def _read_done(rows: StoredRows, appender: Appender) -> None:
    files = delta.live_files(appender.table, appender.partition)
    source = (
        f"FROM {parquet_rows(rows.connection, files)}"
        if files
        else "FROM (SELECT '' AS content_hash, '' AS reason) WHERE false"
    )
    rows.connection.execute(f"CREATE OR REPLACE TEMP TABLE {_DONE} AS SELECT DISTINCT {KEY}, reason {source}")


def _lasting_rows(block: Block, head: Head) -> pa.Table:
    """Return what the table keeps of a block: all but rows that will have a prediction once they are embedded."""
    table = prediction_rows(block.materials[KEY], block.predicted[0], head)
    kept = np.ones(table.num_rows, dtype=bool)
    kept[list(block.embeddable)] = False
    return table.filter(pa.array(kept))


def _note_not_embedded(rows: StoredRows, block: Block) -> None:
    places = sorted(block.embeddable)
    if places:
        reasons = pa.array([block.predicted[0].reasons[place] for place in places], pa.string())
        lacking = pa.table({KEY: block.materials[KEY].take(places), "reason": reasons})
        rows.connection.register("lacking", lacking)
        rows.connection.execute(f"INSERT INTO {_NOT_YET} FROM lacking")
        rows.connection.unregister("lacking")


def _forget_foreign(rows: StoredRows, appender: Appender) -> None:
    """Leave out of what is pending the contents that another process has predicted by now."""
    keys = appender.foreign_keys()
    if len(keys):
        rows.connection.register("foreign_now", pa.table({KEY: keys}))
        rows.connection.execute(f"DELETE FROM {_PENDING} WHERE {KEY} IN (SELECT {KEY} FROM foreign_now)")
        rows.connection.unregister("foreign_now")


def _failed(rows: StoredRows, appender: Appender) -> tuple[int, list[Failure]]:
    """Return how many of the selected rows have no prediction, and the first of them."""
    _read_done(rows, appender)
    failed = (
        f"FROM {CHOSEN} AS s JOIN (SELECT {KEY}, min(reason) AS reason FROM "
        f"(FROM {_DONE} WHERE reason IS NOT NULL UNION ALL FROM {_NOT_YET}) GROUP BY {KEY}) AS f "
        f"ON {content_key(rows.head, 's.')} = f.{KEY}"
    )
    ((count,),) = rows.connection.execute(f"SELECT count(*) {failed}").fetchall()
    first = rows.connection.execute(
        f"SELECT s.row, s.material_id, f.reason {failed} ORDER BY s.row LIMIT {LISTED}"
    ).fetchall()
    return int(count), [Failure(row, name, reason) for row, name, reason in first]
