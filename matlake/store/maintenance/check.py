"""Check that everything in a lake is what was written, and repair what can be repaired."""

import time
from collections.abc import Iterable

import duckdb

from matlake.encoders.card import InputKind
from matlake.errors import CommitUnknownError, EncoderError, LakeError
from matlake.progress import SILENT, Progress
from matlake.store.content_keys import row_key
from matlake.store.damage import tables
from matlake.store.lake import Lake, make_tables
from matlake.store.limits import small_memory
from matlake.store.maintenance.check_files import check_encoders, check_heads
from matlake.store.maintenance.leftovers import RETENTION_HOURS, find_leftovers, remove_leftovers
from matlake.store.maintenance.logs import check_log, move_away, remake
from matlake.store.maintenance.report import CheckReport, Problem
from matlake.store.parquet_rows import parquet_keys
from matlake.store.sql import connect
from matlake.store.storage.places import LakePath, fsync_folder
from matlake.store.tables import delta, writing
from matlake.store.tables.log_entries import has_table
from matlake.store.tables.parts import (
    LivePart,
    by_partition,
    digest_of,
    forget_comparisons,
    part_name,
    partition_key,
    split_damaged,
    without_warnings,
)
from matlake.store.views import embedding_partition, failure_partition


@without_warnings()
def check(
    lake: Lake, *, repair: bool = False, retention_hours: int = RETENTION_HOURS, progress: Progress = SILENT
) -> CheckReport:
    """Compare everything in a lake with its digests, and repair what can be repaired.

    Repairing takes damaged parts of embeddings, failures and evaluations out of their tables, because they can be made
    again; gives digests to parts of 0.1.0; goes back to the last readable state of a table whose log is damaged; and
    removes unused files. It never removes what cannot be made again: damaged parts of datasets stay, and
    the report names the datasets to import again.

    Args:
        lake: The lake.
        repair: Repair; otherwise nothing is written.
        retention_hours: Age from which unused files are listed or removed, in hours. Processes that read
            or write for longer would miss them.
        progress: Receives the number of parts done.

    Raises:
        CommitUnknownError: It is not known whether a repair was recorded.
    """
    lake.check_writable()
    started = time.monotonic()
    forget_comparisons()
    report = CheckReport()
    for root in (lake.embeddings, lake.failures_table):
        if not has_table(root):
            _missing_table(lake, root, report, repair=repair)
    opened = [(root, check_log(lake, root, report, repair=repair)) for root in tables(lake)]
    parts = {root: delta.live_parts(table) for root, table in opened if table is not None}
    for root, live in parts.items():
        _check_parts(lake, root, live, report, repair=repair)
        progress.track(report.parts, sum(map(len, parts.values())))
    check_encoders(lake, report, repair=repair)
    check_heads(lake, report)
    _note_missing_vectors(lake, report)
    _leftovers(lake, report, retention_hours, repair=repair)
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _missing_table(lake: Lake, root: LakePath, report: CheckReport, *, repair: bool) -> None:
    if repair:
        make_tables(lake)
        report.repaired.append(f"{root} was missing, and is an empty table now: {remake(lake, root, {})}")
    else:
        report.damaged.append(Problem(root, "is missing", "run `matlake check --repair`"))


def _check_parts(lake: Lake, root: LakePath, parts: list[LivePart], report: CheckReport, *, repair: bool) -> None:
    sound, damaged = split_damaged(parts, verify=True)
    report.parts += len(parts)
    report.bytes += sum(part.size for part in parts)
    partitions = [dict(key) for key in by_partition(parts)]
    if damaged and root.parent == lake.datasets_folder:
        left, rows = (sum(part.rows for part in some) for some in (sound, parts))
        remedy = f"import the dataset {root.name} again; {left:,} of its {rows:,} rows can still be read"
        report.damaged += [Problem(damage.part.path, damage.problem, remedy) for damage in damaged]
    elif damaged and not repair:
        remedy = "run `matlake check --repair`, then make its rows again"
        report.damaged += [Problem(damage.part.path, damage.problem, remedy) for damage in damaged]
    elif damaged:
        for partition in partitions:
            for damage in delta.drop_damaged(root, partition, verify=True):
                report.repaired.append(f"{damage}; it was taken out of its table: {remake(lake, root, partition)}")
        table = delta.open_table(root)
        if table is not None and split_damaged(delta.live_parts(table))[1]:
            move_away(lake, root, "names a part that delta-rs cannot take out", report)
            return
    without = [part for part in sound if part.digest is None]
    if without and not repair:
        report.notes.append(
            f"no digest: {len(without):,} of the parts of {root}; `matlake check --repair` gives them one"
        )
    elif without:
        given = sum(
            _give_digests(root, partition, [part for part in without if part.partition == partition], report)
            for partition in partitions
        )
        report.repaired.append(f"digests given: {given:,} of the parts of {root}")


def _give_digests(root: LakePath, partition: dict[str, str], parts: list[LivePart], report: CheckReport) -> int:
    """Give parts names with digests, in one commit; return their number."""
    if not parts:
        return 0
    new = [writing.link_part(root, part, part_name(digest_of(part.path))) for part in parts]
    fsync_folder(parts[0].path.parent)
    try:
        done = delta.replace_parts(root, partition, {part.path.name for part in parts}, new)
    except CommitUnknownError:
        raise
    except LakeError as error:  # a part that stays is missing
        report.notes.append(f"still no digest: {len(parts):,} of the parts of {root}: {error}")
        return 0
    return len(parts) if done else 0


def _note_missing_vectors(lake: Lake, report: CheckReport) -> None:
    """Note for each embedded layer how many materials have neither a vector nor a failure."""
    try:
        vectors, failures = (
            by_partition(delta.sound_parts(delta.read_snapshot(root)))
            for root in (lake.embeddings, lake.failures_table)
        )
        with connect(lake, frozenset({"compositions"}), memory=small_memory()) as connection:
            for card in (registered.card for registered in lake.registered_encoders()):
                rejected = _files(failures.get(partition_key(failure_partition(card)), ()))
                for layer in card.layers:
                    done = _files(vectors.get(partition_key(embedding_partition(card, layer.name)), ()))
                    missing = _missing(connection, card.input, done, rejected) if done else 0
                    if missing:
                        name = card.ref(layer.name)
                        lacking = "have no vector of" if card.is_external else "are not embedded with"
                        report.notes.append(f"{missing:,} materials {lacking} {name}")
    except (duckdb.Error, LakeError, EncoderError) as error:
        report.notes.append(f"materials without vectors were not counted: {str(error).splitlines()[0]}")


def _missing(
    connection: duckdb.DuckDBPyConnection, kind: InputKind, done: list[LakePath], rejected: list[LakePath]
) -> int:
    ((missing,),) = connection.execute(
        f"SELECT count(*) FROM (SELECT {row_key(kind, 'dataset')} AS content_hash FROM internal.compositions) AS m "
        f"ANTI JOIN {parquet_keys(connection, done)} AS d USING (content_hash) "
        f"ANTI JOIN {parquet_keys(connection, rejected)} AS r USING (content_hash)"
    ).fetchall()
    return int(missing)


def _files(parts: Iterable[LivePart]) -> list[LakePath]:
    return [part.path for part in parts]


def _leftovers(lake: Lake, report: CheckReport, retention_hours: int, *, repair: bool) -> None:
    try:
        if repair:
            number, size = remove_leftovers(lake, retention_hours)
            if number:
                report.repaired.append(f"{number:,} unused files were removed, {size / 1e6:,.1f} MB")
            return
        found = find_leftovers(lake, retention_hours)
    except LakeError as error:
        report.notes.append(f"unused files were not looked for: {error}; {error.cli_hint}")
        return
    if found:
        size = sum(leftover.size for leftover in found)
        report.notes.append(
            f"{len(found):,} unused files, {size / 1e6:,.1f} MB, are older than {retention_hours} hours; "
            "`matlake compact` removes them"
        )
