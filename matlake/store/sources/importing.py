"""Import from a source by name: fetch, then one commit; a later import brings what is new or changed only."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from matlake.errors import Hint, LakeError, SourceError
from matlake.files import fsync_folder
from matlake.locks import LOCKED, FileLock
from matlake.materials.crystal import MAX_ATOMS
from matlake.platforms import rename
from matlake.progress import SILENT, Progress
from matlake.store.datasets import REMEMBERED_NOTE, SOURCE_NOTE, columns_in, import_commit, read_summary, remembered_in
from matlake.store.folders import UNFINISHED_IMPORT
from matlake.store.importing.importer import ImportReport, import_source, import_table
from matlake.store.importing.merging import Update
from matlake.store.importing.readers.source import ID_COLUMNS, usual_column
from matlake.store.lake import Lake
from matlake.store.sources.catalogue import is_named, named_source
from matlake.store.sources.protocol import ClientMaker, Fetch, Fetched, NamedSource, Remembered, make_client
from matlake.store.sources.provenance import with_provenance

_NAME_CHARACTERS: Final = 16
_HELD: Final = ".of-"  # what compaction removes of imports begins otherwise


def import_from(
    lake: Lake,
    place: str | Path,
    dataset: str,
    *,
    formula_column: str | None = None,
    structure_column: str | None = None,
    id_column: str | None = None,
    max_atoms: int = MAX_ATOMS,
    progress: Progress = SILENT,
) -> ImportReport:
    """Import what a text names, a file, a folder or a source by name: see ``import_table`` and ``import_named``."""
    lake.check_writable()
    if not isinstance(place, str) or not is_named(place):
        return import_table(
            lake,
            Path(place),
            dataset,
            formula_column=formula_column,
            structure_column=structure_column,
            id_column=id_column,
            max_atoms=max_atoms,
            progress=progress,
        )
    if structure_column is not None:
        hint = Hint("leave structure_column out", cli="leave --structure-column out")
        raise SourceError(f"{place.partition(':')[0]}: has its structures in columns of its own", hint)
    return import_named(
        lake,
        place,
        dataset,
        formula_column=formula_column,
        id_column=id_column,
        max_atoms=max_atoms,
        progress=progress,
    )


def import_named(
    lake: Lake,
    spec: str,
    dataset: str,
    *,
    formula_column: str | None = None,
    id_column: str | None = None,
    max_atoms: int = MAX_ATOMS,
    progress: Progress = SILENT,
    client: ClientMaker = make_client,
) -> ImportReport:
    """Import a source by name as a dataset, or bring what is new or changed into a dataset that came from it.

    What arrives is kept in the lake until all of it is there and committed: an interrupted import goes on when it is
    called again. A dataset that came from somewhere else is replaced.

    Args:
        lake: Where to.
        spec: ``NAME:REST``, such as ``optimade:mp?filter=nelements=2``.
        dataset: Name of the dataset.
        formula_column: Column of formulas; by default that of the source.
        id_column: Column of unique ids, likewise.
        max_atoms: Cells with more atoms become failures.
        progress: Receives the number of rows.
        client: Makes the client that asks the server.

    Raises:
        SourceError: There is no such source, it cannot be reached, refuses, or holds something else.
        LakeError: The name cannot be a dataset's, another process imports the same, or the commit was refused.
    """
    started = time.monotonic()
    source = named_source(spec)
    lake.check_new_dataset(dataset)
    before = remembered(lake, dataset)
    before = before if before is not None and before.origin == source.origin else None
    with _folder(lake, dataset, source, before) as folder:
        fetched = source.fetch(Fetch(folder, before, max_atoms, progress, client))
        if fetched is None:
            report = _nothing_new(lake, dataset, started)
        else:
            fetched = replace(
                fetched,
                id_column=id_column or fetched.id_column,
                formula_column=formula_column or fetched.formula_column,
            )
            report = _import(lake, dataset, fetched, started, progress, update=before is not None)
        done = folder.with_name(f".{folder.name}")  # nobody takes up what is left of it
        shutil.rmtree(done, ignore_errors=True)  # a run that was killed here has left it
        rename(folder, done)
        shutil.rmtree(done, ignore_errors=True)
    return report


def remembered(lake: Lake, dataset: str) -> Remembered | None:
    """Return what the log keeps of the source by name that a dataset came from; None if it came from elsewhere."""
    commit = import_commit(lake, dataset)
    known = remembered_in(commit)
    return Remembered(commit[SOURCE_NOTE], **known) if known.keys() == {"version", "licence", "marks"} else None


def _import(
    lake: Lake, dataset: str, fetched: Fetched, started: float, progress: Progress, *, update: bool
) -> ImportReport:
    identifier = fetched.id_column or usual_column(fetched.source.schema.names, ID_COLUMNS)
    if update and identifier is None and not fetched.complete:
        raise LakeError(
            f"the rows of {fetched.remembered.origin} have no ids to merge them by", "name the column of ids"
        )
    report = import_source(
        lake,
        with_provenance(fetched),
        dataset,
        formula_column=fetched.formula_column,
        id_column=fetched.id_column,
        started=started,
        progress=progress,
        notes=_notes(fetched.remembered),
        update=columns_in(import_commit(lake, dataset)) if update and identifier is not None else None,
    )
    if report.update is not None and fetched.total is not None:
        _compare(report, fetched.total)
    return report


def _compare(report: ImportReport, total: int) -> None:
    """Note that a dataset has rows that its source has no longer, or lacks some that it has."""
    rows = report.update.rows if report.update else total
    if rows != total:
        report.notes.append(
            f"the source has {total:,} rows, the dataset {rows:,}: it does not say which were withdrawn; delete the "
            "dataset and import again to have the same rows"
        )


def _notes(known: Remembered) -> Mapping[str, str]:
    kept = {"version": known.version, "licence": known.licence, "marks": dict(known.marks)}
    return {REMEMBERED_NOTE: json.dumps(kept)}


def _nothing_new(lake: Lake, dataset: str, started: float) -> ImportReport:
    found = read_summary(lake, dataset)
    rows = 0 if found is None else found.materials + found.failures
    seconds = round(time.monotonic() - started, 3)
    return ImportReport(
        dataset,
        rows=0,
        failed=0,
        replaced=True,
        replacement=None,
        examples=[],
        notes=[],
        seconds=seconds,
        unread_cells=0,
        update=Update(new=0, changed=0, unchanged=0, others=rows),
    )


@contextmanager
def _folder(lake: Lake, dataset: str, source: NamedSource, before: Remembered | None) -> Iterator[Path]:
    """Yield the folder of an import, for this process alone; it is there again when the same import is taken up."""
    marks = {} if before is None else dict(before.marks)
    key = json.dumps([dataset, source.origin, marks], sort_keys=True).encode()
    folder = lake.unfinished / f"{UNFINISHED_IMPORT}{dataset}-{hashlib.sha256(key).hexdigest()[:_NAME_CHARACTERS]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock.take(folder.with_name(f"{_HELD}{folder.name}{LOCKED}"), wait=False)
    if held is None:
        raise LakeError(f"another process is importing {source.origin} into {dataset}", "wait until it has ended")
    with held:
        folder.mkdir(exist_ok=True)
        fsync_folder(folder.parent)
        try:
            yield folder
        finally:
            with suppress(OSError):  # it is empty where a key was refused, or a name wrong
                folder.rmdir()
