"""``Lake.add``: a dataset from a file, from a source by name, or from what a notebook holds."""

import os
import time
from pathlib import Path
from typing import Any

from matlake.materials.crystal import MAX_ATOMS
from matlake.materials.objects import is_structure_text
from matlake.progress import SILENT, Progress
from matlake.store.importing.importer import ImportReport, import_source
from matlake.store.importing.joining import JoinReport, join_source, join_table
from matlake.store.importing.readers.in_memory import open_in_memory
from matlake.store.lake import Lake
from matlake.store.sources.importing import import_from


def add(
    lake: Lake,
    what: Any,
    dataset: str,
    *,
    structure: str | None = None,
    formula: str | None = None,
    id: str | None = None,  # noqa: A002 - the word for it
    max_atoms: int = MAX_ATOMS,
    progress: Progress = SILENT,
) -> ImportReport:
    """Import data as a dataset, replacing one of the same name or updating one that came from the same source by name.

    Rows that are not valid materials are in ``failures`` with the reason. Embeddings belong to contents, not to
    datasets: adding again keeps all of those that still apply.

    Args:
        lake: Where to.
        what: A path, or a source by name (``optimade:mp?filter=…``), as text; a ``Path``; the text of a structure; a
            DataFrame of any library, an Arrow table, or a dictionary of columns; a list, Series or generator of
            materials: pymatgen ``Structure``, ASE ``Atoms``, formulas, structures as text, or dictionaries with a
            structure or a formula in one of their fields.
        dataset: Name of the dataset, which also becomes an SQL view.
        structure: Column of structures; by default one by a usual name, such as ``structure``.
        formula: Column of formulas; by default one by a usual name, such as ``formula``.
        id: Column of unique ids; by default ``material_id`` or ``id``, else ``DATASET-ROW`` is made up.
        max_atoms: Cells with more atoms become failures.
        progress: Receives the number of rows done.

    Raises:
        SourceError: The source or one of the columns is not there, or no row is a material.
        LakeError: The name cannot be a dataset's, or the commit was refused.
    """
    if isinstance(what, os.PathLike) or (isinstance(what, str) and not is_structure_text(what)):
        return import_from(
            lake,
            what if isinstance(what, str) else Path(what),
            dataset,
            formula_column=formula,
            structure_column=structure,
            id_column=id,
            max_atoms=max_atoms,
            progress=progress,
        )
    started = time.monotonic()
    lake.check_new_dataset(dataset)
    source = open_in_memory(what, structure_column=structure, formula_column=formula, id_column=id, max_atoms=max_atoms)
    return import_source(
        lake, source, dataset, formula_column=formula, id_column=id, started=started, progress=progress
    )


def join(lake: Lake, what: Any, dataset: str, *, id: str | None = None, progress: Progress = SILENT) -> JoinReport:  # noqa: A002
    """Join the properties of a table to a dataset, by id, in one commit.

    Args:
        lake: Where to.
        what: A path; or a DataFrame or another table in memory, as ``add`` takes it.
        dataset: A dataset of the lake.
        id: Column of ids; by default one by a usual name, such as ``material_id``.
        progress: Receives the number of rows of the dataset that are written.

    Raises:
        SourceError: There is no column of ids, no property, or no id is one of the dataset.
        LakeError: There is no such dataset, or another process wrote to it meanwhile.
    """
    if isinstance(what, str | os.PathLike):
        return join_table(lake, Path(what), dataset, id_column=id, progress=progress)
    started = time.monotonic()
    lake.check_dataset(dataset)
    source = open_in_memory(what, id_column=id)
    return join_source(lake, source, dataset, id_column=id, started=started, progress=progress)
