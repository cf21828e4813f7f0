"""Check that everything in a lake is what was written, and repair what can be repaired."""

import time
from pathlib import Path
from typing import Any, Final

import duckdb

from matlake.documents import DIGEST, opened, read_json
from matlake.encoders.card import CARD_FILE, MODEL_FILE, read_card
from matlake.encoders.registry import copy_files, find_encoder
from matlake.errors import EncoderError, LakeError, PluginError
from matlake.files import fsync_folder, sha256_of
from matlake.progress import SILENT, Progress
from matlake.store import delta, writing
from matlake.store.damage import tables
from matlake.store.lake import Lake, make_tables
from matlake.store.maintenance.leftovers import RETENTION_HOURS, find_leftovers, remove_leftovers
from matlake.store.maintenance.logs import check_log, move_away, remake
from matlake.store.maintenance.report import CheckReport, Problem
from matlake.store.parts import LivePart, digest_of, forget_comparisons, part_name, split_damaged, without_warnings
from matlake.store.quoting import identifier, literal

_WITHOUT_DIGEST: Final = (1, 2, 3)
"""Formats of cards of heads, up to that of 0.1.0, that no digest covers."""

_HEAD_FILES: Final = (("head.onnx", "sha256"), ("reference.parquet", "reference_sha256"))


@without_warnings()
def check(
    lake: Lake, *, repair: bool = False, retention_hours: int = RETENTION_HOURS, progress: Progress = SILENT
) -> CheckReport:
    """Compare everything in a lake with its digests, and repair what can be repaired.

    Repairing takes damaged parts of embeddings, failures and evaluations out of their tables, because they can be made
    again; gives digests to parts of 0.1.0; goes back to the last readable state of a table whose log is damaged; and
    removes files that nobody reads. It never removes what cannot be made again: damaged parts of datasets stay, and
    the report names the datasets to import again.

    Args:
        lake: The lake.
        repair: Repair; otherwise nothing is written.
        retention_hours: Age from which files that nobody reads are listed or removed, in hours. Processes that read
            or write for longer would miss them.
        progress: Hears the number of parts done.

    Raises:
        CommitUnknownError: It is not known whether a repair was recorded.
    """
    started = time.monotonic()
    forget_comparisons()
    report = CheckReport()
    for root in (lake.embeddings, lake.failures_table):
        if not delta.is_table(root):
            _missing_table(lake, root, report, repair=repair)
    opened = [(root, check_log(lake, root, report, repair=repair)) for root in tables(lake)]
    parts = {root: delta.live_parts(table) for root, table in opened if table is not None}
    for root, live in parts.items():
        _check_parts(lake, root, live, report, repair=repair)
        progress.track(report.parts, sum(map(len, parts.values())))
    _check_encoders(lake, report, repair=repair)
    _check_heads(lake, report)
    _note_missing_vectors(lake, report)
    _leftovers(lake, report, retention_hours, repair=repair)
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _missing_table(lake: Lake, root: Path, report: CheckReport, *, repair: bool) -> None:
    if repair:
        make_tables(lake)
        report.repaired.append(f"{root} was missing, and is an empty table now: {remake(lake, root, {})}")
    else:
        report.damaged.append(Problem(root, "is missing", "run `matlake check --repair`"))


def _check_parts(lake: Lake, root: Path, parts: list[LivePart], report: CheckReport, *, repair: bool) -> None:
    sound, damaged = split_damaged(parts, verify=True)
    report.parts += len(parts)
    report.bytes += sum(part.size for part in parts)
    partitions = {tuple(part.partition.items()): part.partition for part in parts}.values()
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


def _give_digests(root: Path, partition: dict[str, str], parts: list[LivePart], report: CheckReport) -> int:
    """Give parts names with digests, in one commit; return their number."""
    if not parts:
        return 0
    new = [writing.link_part(root, part, part_name(digest_of(part.path))) for part in parts]
    fsync_folder(parts[0].path.parent)
    try:
        done = delta.replace_parts(root, partition, {part.path.name for part in parts}, new)
    except LakeError as error:  # a part that stays is missing
        report.notes.append(f"still no digest: {len(parts):,} of the parts of {root}: {error}")
        return 0
    return len(parts) if done else 0


def _check_encoders(lake: Lake, report: CheckReport, *, repair: bool) -> None:
    for folder in sorted(card.parent for card in lake.encoders_folder.glob(f"*/{CARD_FILE}")):
        problem = _encoder_problem(folder)
        if problem is None:
            continue
        installed = _installed(folder)
        if installed is None:
            remedy = "restore it, or export the encoder again"
        elif not repair:
            remedy = "run `matlake check --repair`"
        else:
            copy_files(installed, folder)
            report.repaired.append(
                f"{problem[0]} {problem[1]}: the encoder was copied again from the installed package"
            )
            continue
        report.damaged.append(Problem(*problem, remedy))


def _encoder_problem(folder: Path) -> tuple[Path, str] | None:
    try:
        card = read_card(folder)
    except EncoderError as error:
        return folder / CARD_FILE, f"is damaged ({error})"
    if _sha256(folder / MODEL_FILE) != card.sha256:
        return folder / MODEL_FILE, "does not match the digest on its card"
    return None


def _installed(folder: Path) -> Path | None:
    """Return the folder of the same encoder in the installed package: what is left of it says that it is the same."""
    try:
        shipped = find_encoder(folder.name)
    except (EncoderError, PluginError):
        return None
    try:
        sha256 = read_card(folder).sha256
    except EncoderError:
        sha256 = _sha256(folder / MODEL_FILE) or ""
    return shipped.folder if shipped.card.sha256 == sha256 else None


def _check_heads(lake: Lake, report: CheckReport) -> None:
    for folder in sorted(
        path for path in lake.heads_folder.glob("*") if path.is_dir() and not path.name.startswith(".")
    ):
        card = folder / CARD_FILE
        try:
            digests = _digests(read_json(card))
        except (OSError, ValueError, TypeError) as error:
            report.damaged.append(Problem(card, f"cannot be read ({error})", f"train the head {folder.name} again"))
            continue
        for name, key in _HEAD_FILES:
            if digests.get(key) and _sha256(folder / name) != digests[key]:
                found = (folder / name).exists()
                problem = "does not match the digest on the card of the head" if found else "is missing"
                report.damaged.append(Problem(folder / name, problem, f"train the head {folder.name} again"))


def _digests(entries: Any) -> dict[str, str]:
    """Return the digests on a card of any format: at its top, or one level down."""
    found: dict[str, str] = {}
    if not isinstance(entries, dict):
        raise TypeError("it is not the card of a head")
    for nested in [*(value for value in entries.values() if isinstance(value, dict)), entries]:
        found |= {key: nested[key] for _, key in _HEAD_FILES if isinstance(nested.get(key), str)}
    if "sha256" not in entries:
        raise ValueError("it has no digest of the head")
    if DIGEST in entries or entries.get("format_version") not in _WITHOUT_DIGEST:
        opened(entries)
    return found


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except OSError:
        return None


def _note_missing_vectors(lake: Lake, report: CheckReport) -> None:
    """Note for each embedded layer how many materials have neither a vector nor a failure."""
    try:
        with lake.connect() as connection:
            layers = connection.execute("SELECT DISTINCT encoder, layer FROM embeddings ORDER BY ALL").fetchall()
            for encoder, layer in layers:
                ((missing,),) = connection.execute(
                    "SELECT count(*) FROM (SELECT dataset, material_id FROM materials "
                    f"EXCEPT SELECT dataset, material_id FROM embed.{identifier(f'{encoder}@{layer}')} "
                    "EXCEPT SELECT dataset, material_id FROM failures "
                    f"WHERE encoder = {literal(encoder)})"
                ).fetchall()
                if missing:
                    report.notes.append(f"{missing:,} materials are not embedded with {encoder}@{layer}")
    except (duckdb.Error, LakeError, EncoderError) as error:
        report.notes.append(f"materials without vectors were not counted: {str(error).splitlines()[0]}")


def _leftovers(lake: Lake, report: CheckReport, retention_hours: int, *, repair: bool) -> None:
    if repair:
        number, size = remove_leftovers(lake, retention_hours)
        if number:
            report.repaired.append(f"{number:,} files that nobody reads were removed, {size / 1e6:,.1f} MB")
        return
    found = find_leftovers(lake, retention_hours)
    if found:
        size = sum(leftover.size for leftover in found)
        report.notes.append(
            f"{len(found):,} files that nobody reads, {size / 1e6:,.1f} MB, are older than {retention_hours} hours; "
            "`matlake compact` removes them"
        )
