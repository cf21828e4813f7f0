"""Prediction for what a notebook holds: formulas, structures, files, DataFrames."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matlake.errors import FormulaError, MatlakeError, SourceError
from matlake.files import is_there
from matlake.materials.crystal import Crystal
from matlake.materials.formula import parse_formula
from matlake.materials.objects import (
    as_composition,
    crystal_or_error,
    has_composition,
    has_structure,
    is_structure_text,
)
from matlake.progress import Progress
from matlake.regress.prediction.given_vectors import read_again, without_vectors
from matlake.regress.prediction.opened_head import ColumnValues, OpenedHead
from matlake.regress.prediction.predict import Predictions, collect_all, predict_structures, spread
from matlake.regress.prediction.predict_table import WrittenPredictions, predict_source, predict_to_file
from matlake.regress.prediction.sources import choose_column, open_table_source, vectors_for
from matlake.sequences import as_list
from matlake.store.importing.readers.frames import is_frame
from matlake.store.importing.readers.in_memory import open_in_memory
from matlake.store.lake import Lake


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table hold what.

    Attributes:
        formula: Formulas; None for one by a usual name.
        structure: Structures; None likewise.
    """

    formula: str | None = None
    structure: str | None = None


def predict(
    lake: Lake,
    head_name: str,
    head: OpenedHead,
    what: Any,
    table: TableColumns,
    columns: Mapping[str, Any],
    progress: Progress,
) -> Predictions:
    """Predict for anything that ``Head.predict`` takes.

    Args:
        lake: The lake of the head.
        head_name: Its name.
        head: The head.
        what: See there.
        table: Columns of a table.
        columns: Values of columns among the features.
        progress: Receives the number of rows done.

    Raises:
        MatlakeError: See there.
    """
    if is_table(what):
        what = read_again(what)
        materials = without_vectors(head.external, what)
        source = open_in_memory(materials, formula_column=table.formula, structure_column=table.structure)
        chosen = choose_column(head, source, table.formula, table.structure)
        chosen = replace(chosen, vectors=vectors_for(head, what, source.name))
        return predict_source(head, chosen, columns, progress)
    if is_path(what):
        return predict_source(
            head, open_table_source(head, Path(what), table.formula, table.structure), columns, progress
        )
    if table != TableColumns():
        raise SourceError(f"a {type(what).__name__} has no columns", "leave out formula and structure")
    given = [what] if has_structure(what) or has_composition(what) else as_list(what)
    if given and is_path(given[0]):
        return predict_structures(lake, head_name, given, columns=columns)
    values = spread(columns, len(given))
    if all(one is None or _is_line(one) for one in given):
        return collect_all(head, [each.results(given) for each in head.predict_all(given, values)])
    if head.needs_crystals:
        return _predict_crystals(head, given, values)
    return _predict_compositions(head, given, values)


def predict_to(
    lake: Lake,
    head_name: str,
    what: Any,
    output: Path,
    table: TableColumns,
    columns: Mapping[str, Any],
    progress: Progress,
) -> WrittenPredictions:
    """Predict for a file, and write a table; see ``predict``.

    Raises:
        SourceError: It is not a file; see ``predict_to_file``.
    """
    if not is_path(what):
        raise SourceError(
            f"predictions for a {type(what).__name__} cannot go to {output}",
            "name a file, or write what predict returns: head.predict(…).to_pandas().to_csv(…)",
        )
    return predict_to_file(
        lake,
        head_name,
        Path(what),
        output,
        formula_column=table.formula,
        structure_column=table.structure,
        columns=columns,
        progress=progress,
    )


def is_table(what: object) -> bool:
    """Say whether something is a DataFrame, an Arrow table, or a dictionary of columns."""
    is_columns = isinstance(what, Mapping) and not has_structure(what) and not has_composition(what)
    return is_columns or is_frame(what)


def is_long(what: object) -> bool:
    """Say whether something may have many rows: a table or a file."""
    return is_table(what) or is_path(what)


def is_path(what: object) -> bool:
    """Say whether something names a file: a path, or text that is the name of a file and not a formula."""
    if isinstance(what, os.PathLike):
        return True
    if not isinstance(what, str) or "\n" in what or not is_there(os.path.expanduser(what)):  # noqa: PTH111 - "~nobody" is not an error
        return False
    try:
        parse_formula(what)
    except FormulaError:
        return True
    return False


def _predict_crystals(head: OpenedHead, given: Sequence[object], columns: ColumnValues) -> Predictions:
    """Predict for structures; each is called by its formula."""
    found = list(map(crystal_or_error, given))
    names = [
        one.composition.reduced_formula if isinstance(one, Crystal) else _line(text)
        for one, text in zip(found, given, strict=True)
    ]
    return collect_all(head, [each.results(names) for each in head.predict_all_of_crystals(found, columns)])


def _predict_compositions(head: OpenedHead, given: Sequence[object], columns: ColumnValues) -> Predictions:
    """Predict for compositions of whatever has one; each is called by its formula."""
    formulas: list[str | None] = []
    reasons: dict[int, str] = {}
    for place, one in enumerate(given):
        try:
            formulas.append(as_composition(one).reduced_formula)
        except MatlakeError as error:
            formulas.append(_line(one))
            reasons[place] = str(error)
    predicted = head.predict_all(formulas, columns)
    for each in predicted:
        for place, reason in reasons.items():
            each.reasons[place] = reason
    return collect_all(head, [each.results(formulas) for each in predicted])


def _is_line(given: object) -> bool:
    """Say whether something is text that may be a formula, not that of a structure."""
    return isinstance(given, str) and not is_structure_text(given)


def _line(given: object) -> str | None:
    """Return what an input that cannot be read is called: itself, where it is a line of text."""
    return given if isinstance(given, str) and _is_line(given) else None
