"""The logs of Delta tables: entries that cannot be read, and what can be done about them."""

import json
import re
import time
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from matlake.errors import LakeError
from matlake.files import fsync_folder
from matlake.store import delta
from matlake.store.delta import LOG
from matlake.store.folders import LakeFolders
from matlake.store.lake import make_tables
from matlake.store.maintenance.report import CheckReport, Problem

DAMAGED: Final = "damaged"
"""Folder of a lake for what is damaged and cannot be made again; nothing reads it, and nothing deletes it."""

_ENTRY: Final = re.compile(r"(\d{20})\.json")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\..*parquet|_last_checkpoint")


def check_log(lake: LakeFolders, root: Path, report: CheckReport, *, repair: bool) -> DeltaTable | None:
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
            problem = f"has a log that cannot be read: {delta.first_line(error.__cause__ or error)}"
            report.damaged.append(Problem(root, problem, "run `matlake check --repair`"))
        return table
    lost = [entry for entry in _damaged_entries(root) if _version(entry) > _last_checkpoint(root)]
    for entry in lost:
        if repair and table is not None:
            table.create_checkpoint()
            report.repaired.append(f"{entry} is empty: what it recorded is lost, and readers pass over it now")
        else:
            report.damaged.append(Problem(entry, "is empty", "run `matlake check --repair`"))
    return table


def _repair(lake: LakeFolders, root: Path, report: CheckReport) -> DeltaTable | None:
    """Go back to the last state of a table that can be read; without one, move it out of the way."""
    log = root / LOG
    damaged = _damaged_entries(root)
    entries = _entries(root)
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


def move_away(lake: LakeFolders, root: Path, problem: str, report: CheckReport) -> DeltaTable | None:
    """Move a table to where nothing reads it, and put an empty one in its place unless it is a dataset."""
    target = lake.path / DAMAGED / f"{root.name}-{time.strftime('%Y%m%dT%H%M%S')}"
    target.parent.mkdir(exist_ok=True)
    root.rename(target)
    fsync_folder(root.parent)
    fsync_folder(target.parent)
    make_tables(lake)
    if root.parent == lake.datasets_folder:
        remedy = f"import the dataset {root.name} again"
        report.damaged.append(Problem(root, f"{problem}; it was moved to {target}", remedy))
        return None
    report.repaired.append(f"{root} {problem} and was moved to {target}: {remake(lake, root, {})}")
    return _opened(root)


def remake(lake: LakeFolders, root: Path, partition: dict[str, str]) -> str:
    """Say how the rows of a table other than a dataset are made again."""
    if root in (lake.embeddings, lake.failures_table):
        layer = f"@{partition['layer']}" if "layer" in partition else ""
        return f"run `matlake embed --encoder {partition.get('encoder', 'NAME')}{layer}` to make its rows again"
    if root == lake.predictions:
        return f"run `matlake predict {partition.get('head', 'HEAD')} --dataset NAME --save` to make its rows again"
    return "run the evaluation again to measure what it held"


def _opened(root: Path) -> DeltaTable | None:
    try:
        return delta.open_table(root)
    except LakeError:
        return None


def _entries(root: Path) -> list[Path]:
    return sorted(path for path in (root / LOG).iterdir() if _ENTRY.fullmatch(path.name))


def _damaged_entries(root: Path) -> list[Path]:
    return [entry for entry in _entries(root) if not _is_sound(entry)]


def _is_sound(entry: Path) -> bool:
    try:
        lines = entry.read_bytes().splitlines()
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except (ValueError, OSError):
        return False


def _version(entry: Path) -> int:
    return int(entry.name[:20])


def _last_checkpoint(root: Path) -> int:
    versions = [found.group(1) for path in (root / LOG).iterdir() if (found := _CHECKPOINT.fullmatch(path.name))]
    return max((int(version) for version in versions if version), default=-1)


def _hide(paths: list[Path]) -> None:
    for path in paths:
        path.rename(path.with_name(f".{path.name}.{DAMAGED}"))
    fsync_folder(paths[0].parent)


def _show(paths: list[Path]) -> None:
    for path in paths:
        path.with_name(f".{path.name}.{DAMAGED}").rename(path)
