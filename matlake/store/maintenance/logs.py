"""The logs of Delta tables: entries that cannot be read, and what can be done about them."""

import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from matlake import platforms
from matlake.errors import LakeError
from matlake.store.folders import LakeFolders
from matlake.store.lake import make_tables
from matlake.store.maintenance.report import CheckReport, Problem
from matlake.store.storage.places import LakePath, fsync_folder, rename
from matlake.store.storage.remote_path import RemotePath
from matlake.store.tables import delta
from matlake.store.tables.bucket_tables import move_table
from matlake.store.tables.commit_outcomes import first_line
from matlake.store.tables.log_entries import CHANGED, EMPTY, LOG, paths_of, problem_of

LOG_DAYS: Final = 30
"""Entries of a log are kept for so long, as other tools that read Delta tables expect by default."""

DAMAGED: Final = "damaged"
"""Folder of a lake for what is damaged and cannot be made again; nothing reads it, and nothing deletes it."""

_REQUESTS: Final = 16
"""Entries read at once, each of which is a request where the log is in a bucket."""

_ENTRY: Final = re.compile(r"(\d{20})\.json")
_WHOLE_CHECKPOINT: Final = re.compile(r"\d{20}\.checkpoint\.parquet")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\..*parquet|_last_checkpoint")


def check_log(lake: LakeFolders, root: LakePath, report: CheckReport, *, repair: bool) -> DeltaTable | None:
    """Check the log of a table, and return its latest snapshot; None where it cannot be read.

    Args:
        lake: The lake.
        root: The table's folder.
        report: Takes what is found.
        repair: Set right what can be.
    """
    try:
        table = delta.open_table(root)
    except LakeError as error:
        table = _repair(lake, root, report) if repair else None
        if not repair:
            said = f"has a log that cannot be read: {first_line(error.__cause__ or error)}"
            report.damaged.append(Problem(root, said, "run `matlake check --repair`"))
        return table
    found = _problems(root)
    lost = {entry: found[entry] for entry in found if found[entry] and _version(entry) > _last_checkpoint(root)}
    kept = root.parent == lake.datasets_folder and set(lost.values()) == {CHANGED}  # its parts are looked at anyhow
    if repair and lost and not kept and not _can_be_passed_over(found):
        return _repair(lake, root, report)
    for entry, wrong in lost.items():
        if repair and table is not None and not kept:
            table.create_checkpoint()
            report.repaired.append(f"{entry} is empty: what it recorded is lost, and readers pass over it now")
        else:
            remedy = f"import the dataset {root.name} again" if kept else "run `matlake check --repair`"
            report.damaged.append(Problem(entry, str(wrong), remedy))
    return table


def _can_be_passed_over(found: Mapping[LakePath, str | None]) -> bool:
    """Say whether what damaged entries have recorded is all that is lost: they are empty, and later ones only add."""
    damaged = [entry for entry, problem in found.items() if problem]
    later = [entry for entry in found if entry.name > damaged[0].name]
    return all(found[entry] == EMPTY for entry in damaged) and not any(
        b'{"remove"' in one.read_bytes() for one in later
    )


def _repair(lake: LakeFolders, root: LakePath, report: CheckReport) -> DeltaTable | None:
    """Go back to the last state of a table that can be read; without one, move it out of the way."""
    log = root / LOG
    found = _problems(root)
    entries, damaged = list(found), [entry for entry in found if found[entry]]
    if damaged == entries[-1:] and len(entries) > 1:
        _hide(damaged)
        if (table := _opened(root)) is not None:
            report.repaired.append(f"{damaged[0]} was damaged: {root} is what it was before that commit")
            return table
        _show(damaged)
    checkpoints = sorted(path for path in log.iterdir() if _CHECKPOINT.fullmatch(path.name))
    if checkpoints and not damaged and [_version(entry) for entry in entries] == list(range(len(entries))):
        _hide(checkpoints)
        if (table := _opened(root)) is not None:
            report.repaired.append(f"a checkpoint in {log} was damaged: the log is read from its start")
            return table
        _show(checkpoints)
    return move_away(lake, root, "has a damaged log", report)


def move_away(lake: LakeFolders, root: LakePath, problem: str, report: CheckReport) -> DeltaTable | None:
    """Move a table to where nothing reads it, and put an empty one in its place unless it is a dataset."""
    target = lake.path / DAMAGED / f"{root.name}-{time.strftime('%Y%m%dT%H%M%S')}"
    if isinstance(root, RemotePath) and isinstance(target, RemotePath):
        move_table(root, target)
    elif isinstance(root, Path) and isinstance(target, Path):
        target.parent.mkdir(exist_ok=True)
        platforms.rename(root, target)
        fsync_folder(root.parent)
        fsync_folder(target.parent)
    make_tables(lake)
    if root.parent == lake.datasets_folder:
        remedy = f"import the dataset {root.name} again"
        report.damaged.append(Problem(root, f"{problem}; it was moved to {target}", remedy))
        return None
    report.repaired.append(f"{root} {problem} and was moved to {target}: {remake(lake, root, {})}")
    return _opened(root)


def remake(lake: LakeFolders, root: LakePath, partition: dict[str, str]) -> str:
    """Say how the rows of a table other than a dataset are made again."""
    if root in (lake.embeddings, lake.failures_table):
        layer = f"@{partition['layer']}" if "layer" in partition else ""
        return f"run `matlake embed --encoder {partition.get('encoder', 'NAME')}{layer}` to make its rows again"
    if root == lake.predictions:
        return f"run `matlake predict {partition.get('head', 'HEAD')} --dataset NAME --save` to make its rows again"
    return "run the evaluation again to measure what it held"


def unneeded_entries(files: Iterable[LakePath], versions: Iterable[int]) -> set[str]:
    """Return the names of entries of a log that neither its last ``LOG_DAYS`` nor some versions need.

    A version is read from the last checkpoint before it, and from the entries that follow.

    Args:
        files: All files of the log.
        versions: They stay readable, as does the latest.
    """
    before = time.time() - 86_400 * LOG_DAYS
    known = list(files)
    entries = {_version(path): path for path in known if _ENTRY.fullmatch(path.name)}
    checkpoints = {_version(path): path for path in known if _WHOLE_CHECKPOINT.fullmatch(path.name)}
    recent = [version for version, entry in entries.items() if entry.stat().st_mtime > before]
    needed: set[str] = set()
    for version in {*versions, *recent, max(entries, default=0)}:
        base = max((one for one in checkpoints if one <= version), default=0)
        needed |= {entries[one].name for one in range(base, version + 1) if one in entries}
        needed |= {checkpoints[base].name} if base in checkpoints else set()
    old = [path for path in (*entries.values(), *checkpoints.values()) if path.stat().st_mtime <= before]
    return {path.name for path in old} - needed


def _opened(root: LakePath) -> DeltaTable | None:
    try:
        return delta.open_table(root)
    except LakeError:
        return None


def _entries(root: LakePath) -> list[LakePath]:
    return sorted(path for path in (root / LOG).iterdir() if _ENTRY.fullmatch(path.name))


def _problems(root: LakePath) -> dict[LakePath, str | None]:
    """Return the entries of a log, in order, with what is wrong with each."""
    entries = _entries(root)
    with ThreadPoolExecutor(_REQUESTS) as pool:
        contents = list(pool.map(_content, entries))
    added = {path for content in contents for path in paths_of(content, "add")}
    is_whole = bool(entries) and _version(entries[0]) == 0
    return {
        entry: problem_of(content)
        or (
            "removes a part that was never there"
            if is_whole and not added.issuperset(paths_of(content, "remove"))
            else None
        )
        for entry, content in zip(entries, contents, strict=True)
    }


def _content(entry: LakePath) -> bytes:
    try:
        return entry.read_bytes()
    except OSError:
        return b"unreadable"


def _version(entry: LakePath) -> int:
    return int(entry.name[:20])


def _last_checkpoint(root: LakePath) -> int:
    versions = [found.group(1) for path in (root / LOG).iterdir() if (found := _CHECKPOINT.fullmatch(path.name))]
    return max((int(version) for version in versions if version), default=-1)


def _hide(paths: list[LakePath]) -> None:
    for path in paths:
        rename(path, f".{path.name}.{DAMAGED}")
    fsync_folder(paths[0].parent)


def _show(paths: list[LakePath]) -> None:
    for path in paths:
        rename(path.with_name(f".{path.name}.{DAMAGED}"), path.name)
