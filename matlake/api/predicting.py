"""Prediction for what a notebook holds: formulas, structures, files, DataFrames."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matlake.errors import FormulaError, MatlakeError, SourceError
from matlake.materials.crystal import Crystal
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.objects import as_composition, as_crystal, has_composition, has_structure
from matlake.progress import Progress
from matlake.regress.prediction.opened_head import OpenedHead
from matlake.regress.prediction.predict import Predictions, collect_all, predict_structures
from matlake.regress.prediction.predict_table import WrittenPredictions, predict_source, predict_table, predict_to_file
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.regress.prediction.sources import choose_column
from matlake.sequences import as_list
from matlake.store.importing.readers.in_memory import is_frame, open_frame
from matlake.store.lake import Lake

_NO_TABLE: Final = "formula and structure name columns of a table"


def predict(
    lake: Lake,
    head: OpenedHead,
    name: str,
    what: Any,
    *,
    formula: str | None,
    structure: str | None,
    progress: Progress,
) -> Predictions:
    """Predict for anything that ``Head.predict`` takes.

    Args:
        lake: The lake of the head.
        head: The head.
        name: Its name.
        what: See there.
        formula: Column of formulas of a table.
        structure: Column of structures of a table.
        progress: Hears the number of rows done.

    Raises:
        MatlakeError: See there.
    """
    if is_frame(what):
        source = open_frame(what, formula_column=formula, structure_column=structure)
        return predict_source(head, choose_column(head, source, formula, structure), progress)
    if is_path(what):
        return predict_table(
            lake, name, Path(what), formula_column=formula, structure_column=structure, progress=progress
        )
    if formula is not None or structure is not None:
        raise SourceError(f"{_NO_TABLE}, and a {type(what).__name__} is none", "leave them out")
    given = [what] if has_structure(what) or has_composition(what) else as_list(what)
    if given and is_path(given[0]):
        return predict_structures(lake, name, given)
    if all(one is None or isinstance(one, str) for one in given):
        return collect_all(head, [each.results(given) for each in head.predict_all(given)])
    return _predict_objects(head, given)


def predict_to(
    lake: Lake,
    name: str,
    what: Any,
    output: Path,
    *,
    formula: str | None,
    structure: str | None,
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
        lake, name, Path(what), output, formula_column=formula, structure_column=structure, progress=progress
    )


def is_path(what: object) -> bool:
    """Say whether something names a file: a path, or text that is the name of a file and not a formula."""
    if isinstance(what, os.PathLike):
        return True
    if not isinstance(what, str) or "\n" in what or not os.path.exists(what):  # noqa: PTH110 - text too long is none
        return False
    try:
        parse_formula(what)
    except FormulaError:
        return True
    return False


def _predict_objects(head: OpenedHead, given: Sequence[object]) -> Predictions:
    """Predict for structures, or for compositions, where the head takes those; each has its formula for a name."""
    read = as_crystal if head.needs_crystals else as_composition
    materials: list[Crystal | Composition | MatlakeError] = []
    for one in given:
        try:
            materials.append(read(one))
        except MatlakeError as error:
            materials.append(error)
    predicted = _predict_crystals(head, materials) if head.needs_crystals else _predict_compositions(head, materials)
    names = [_name(one) for one in materials]
    return collect_all(head, [each.results(names) for each in predicted])


def _name(material: Crystal | Composition | MatlakeError) -> str | None:
    match material:
        case Crystal():
            return material.composition.reduced_formula
        case Composition():
            return material.reduced_formula
    return None
