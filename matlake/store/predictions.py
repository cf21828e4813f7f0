"""The table of predictions: what heads predict for contents, whatever the dataset that holds them.

It is keyed as embeddings are. A partition belongs to one head as it was at one moment, which its digest tells; a row
belongs to a content, as far as the head's features see it, and to a target. A material that gets another crystal has
another content, so its former prediction is not its own any more. A head that is trained again has another digest, and
what it predicted before is stale. A head that takes columns of the datasets beside its encoders has one row for each
content and set of their values.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from matlake.encoders.card import CARD_FILE, InputKind
from matlake.errors import LakeError
from matlake.files import sha256_of
from matlake.store.content_keys import column_number, row_key
from matlake.store.folders import MEMBER, LakeFolders
from matlake.store.parquet_rows import parquet_rows
from matlake.store.quoting import literal
from matlake.store.snapshots import has_table, snapshot_or_warn
from matlake.store.tables import delta
from matlake.store.tables.parts import by_partition

if TYPE_CHECKING:
    import duckdb

KEY: Final = "content_hash"
STAGE: Final = "predict"
"""Stage of a failure that a prediction has recorded."""

ROWS_SCHEMA: Final = pa.schema(
    [
        (KEY, pa.string()),
        ("target", pa.string()),
        ("unit", pa.string()),
        ("value", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("expected_error", pa.float64()),
        ("ood_score", pa.float64()),
        ("warnings", pa.list_(pa.string())),
        ("reason", pa.string()),
    ]
)
"""Columns of a part; ``reason`` says why there is no value, and is null where there is one."""

_PARTITION_COLUMNS: Final = ("head", "head_digest", "input")
PREDICTIONS_SCHEMA: Final = pa.schema([*((name, pa.string()) for name in _PARTITION_COLUMNS), *ROWS_SCHEMA])

NO_PREDICTIONS: Final = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::VARCHAR AS head, "
    "NULL::VARCHAR AS head_digest, NULL::VARCHAR AS target, NULL::VARCHAR AS unit, NULL::DOUBLE AS value, "
    "NULL::DOUBLE AS lower, NULL::DOUBLE AS upper, NULL::DOUBLE AS expected_error, NULL::DOUBLE AS ood_score, "
    "NULL::VARCHAR[] AS warnings, NULL::BOOLEAN AS stale WHERE false"
)
VIEW: Final = "predictions"
"""The view; a dataset of that name, which earlier versions allowed, takes its place, and ``internal.predictions`` has
the same rows."""

_COLUMNS_AFTER: Final = "+"
_MARK: Final = 8
_SHOWN: Final = "e.target, e.unit, e.value, e.lower, e.upper, e.expected_error, e.ood_score, e.warnings"


@dataclass(frozen=True)
class SavedPredictions:
    """What the table holds of a head as it was at one moment.

    Attributes:
        head: Its name.
        head_digest: Its digest.
        rows: Rows, failures among them.
        bytes: Of the parts.
        stale: Whether the head is another one by now, or gone.
    """

    head: str
    head_digest: str
    rows: int
    bytes: int
    stale: bool

    @property
    def text(self) -> str:
        """What is saved, for people."""
        remedy = ", stale: `matlake compact --drop-unused` drops them" if self.stale else ""
        return f"{self.rows:,} saved by the head of digest {self.head_digest[:12]}{remedy}"

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return dict(vars(self))


def make_predictions_table(lake: LakeFolders) -> None:
    """Create the table where there is none: lakes have it from the first prediction that is saved."""
    lake.check_writable()
    delta.create_table(lake.predictions, PREDICTIONS_SCHEMA, list(_PARTITION_COLUMNS))


def prediction_partition(head: str, head_digest: str, kind: InputKind, columns: Sequence[str] = ()) -> dict[str, str]:
    """Return the partition that holds what a head predicts.

    Args:
        head: Name of the head, or of a member.
        head_digest: See ``head_digest``.
        kind: What the head's features see: crystals if one of them does.
        columns: Columns of the datasets among its features. The folder is named after their digests, since not every
            name is that of a folder.
    """
    taken = _COLUMNS_AFTER.join([str(kind), *map(_mark, columns)])
    return {"head": shown_name(head), "head_digest": head_digest, "input": taken}


def _mark(column: str) -> str:
    return hashlib.sha256(column.lower().encode()).hexdigest()[:_MARK]


def head_digest(folder: Path) -> str:
    """Return the digest of a head: that of its card, which holds the digests of all its files.

    Whatever changes a prediction (training again, calibration, another ONNX file) changes a card.

    Raises:
        LakeError: A card cannot be read.
    """
    card = folder / CARD_FILE
    try:
        return sha256_of(card)
    except OSError as error:
        raise LakeError(f"cannot read {card}: {error.strerror}", "train the head again") from error


def digest_of_head(lake: LakeFolders, name: str) -> str | None:
    """Return the digest of a head of the lake, or of a member of one with several targets; None where there is none."""
    folder = lake.head_folder(name, (CARD_FILE,))
    return None if folder is None else head_digest(folder)


def current_digests(lake: LakeFolders) -> dict[str, set[str]]:
    """Return the digests of each head of the lake, by name: one, or those of its members."""
    found: dict[str, set[str]] = {}
    for name, folder in lake.head_folders().items():
        moved = not (folder / CARD_FILE).exists()  # another process has just replaced or deleted it
        digest = digest_of_head(lake, name) if moved else head_digest(folder)
        if digest is not None:
            found.setdefault(shown_name(name), set()).add(digest)
    return found


def shown_name(name: str) -> str:
    """Return the name under which predictions of a head are: that of the whole head for a member of one."""
    return name.partition(MEMBER)[0]


def is_stale(partition: Mapping[str, str], digests: Mapping[str, set[str]]) -> bool:
    """Say whether a partition's head is another one by now, or gone.

    Args:
        partition: The partition.
        digests: Of ``current_digests``.
    """
    return partition["head_digest"] not in digests.get(partition["head"], ())


def saved_snapshot(lake: LakeFolders) -> delta.Snapshot | None:
    """Return the table of predictions; None where there is none, or where its log is damaged, with a warning."""
    return snapshot_or_warn(lake, lake.predictions) if has_table(lake, lake.predictions) else None


def saved_predictions(lake: LakeFolders) -> list[SavedPredictions]:
    """Count what is saved, by head and digest; what is current comes first."""
    rows: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    table = saved_snapshot(lake)
    digests = current_digests(lake) if table else {}
    for part in delta.sound_parts(table):
        key = part.partition["head"], part.partition["head_digest"]
        rows[key] += part.rows
        sizes[key] += part.size
    found = [
        SavedPredictions(head, digest, rows[head, digest], sizes[head, digest], digest not in digests.get(head, ()))
        for head, digest in rows
    ]
    return sorted(found, key=lambda one: (one.head, one.stale, one.head_digest))


def stale_rows(lake: LakeFolders, head: str) -> int:
    """Return how many rows are saved of a head as it was before."""
    return sum(saved.rows for saved in saved_predictions(lake) if saved.head == head and saved.stale)


def stale_note(lake: LakeFolders, head: str) -> list[str]:
    """Return a line on predictions that are saved of a head as it was before; none where there are none."""
    rows = stale_rows(lake, shown_name(head))
    if not rows:
        return []
    remedy = "`matlake compact --drop-unused` drops them"
    return [f"{rows:,} saved predictions are stale, as head {head} has changed since; {remedy}"]


def prediction_selects(
    lake: LakeFolders, connection: "duckdb.DuckDBPyConnection", columns: Collection[str]
) -> tuple[list[str], list[str]]:
    """Return the queries that make up the view of predictions, and those that add to the view of failures.

    Args:
        lake: The lake.
        connection: Gets the data sets that the queries read.
        columns: Names of the columns of ``materials``.
    """
    table = saved_snapshot(lake)
    if table is None:
        return [], []
    digests = current_digests(lake)
    predictions, failures = [], []
    for values, parts in by_partition(delta.sound_parts(table, verify=lake.verify)).items():
        partition = dict(values)
        stale = is_stale(partition, digests)
        keyed = _keyed_rows(partition["input"], columns)
        if keyed is None:
            continue
        rows = parquet_rows(connection, [part.path for part in parts], ROWS_SCHEMA)
        contents, key = keyed
        predictions.append(
            f"SELECT c.dataset, c.material_id, {literal(partition['head'])} AS head, "
            f"{literal(partition['head_digest'])} AS head_digest, {_SHOWN}, {stale} AS stale "
            f"FROM {contents} JOIN {rows} AS e ON {key} = e.{KEY} WHERE e.reason IS NULL"
        )
        if not stale:
            failures.append(
                f"SELECT DISTINCT c.dataset, c.material_id, c.source_row, c.formula, {literal(STAGE)} AS stage, "
                f"{literal(partition['head'])} AS head, e.reason "
                f"FROM {contents} JOIN {rows} AS e ON {key} = e.{KEY} WHERE e.reason IS NOT NULL"
            )
    return predictions, failures


def _keyed_rows(taken: str, columns: Collection[str]) -> tuple[str, str] | None:
    """Return the rows that predictions are joined to, and their key; None where the lake lost one of their columns.

    Args:
        taken: What the head takes, as the partition has it.
        columns: Names of the columns of ``materials``.
    """
    kind, *marks = taken.split(_COLUMNS_AFTER)
    contents, numbers = "internal.compositions AS c", []
    if marks:
        names = {_mark(name): name for name in columns}
        if not names.keys() >= set(marks):
            return None
        numbers = [column_number(names[mark], "m.") for mark in marks]
        contents += " JOIN main.materials AS m USING (dataset, material_id)"
    return contents, row_key(InputKind(kind), "c.dataset", "c.", numbers)
