"""From what a notebook holds to a source: DataFrames, Arrow data, Series, lists of materials, columns by name."""

from collections.abc import Mapping
from typing import Any

from matlake.errors import SourceError
from matlake.materials.crystal import MAX_ATOMS
from matlake.materials.objects import has_composition, has_structure
from matlake.sequences import as_list
from matlake.store.importing.readers.frames import (
    Column,
    dictionary_columns,
    frame_columns,
    index_columns,
    is_frame,
    is_series,
    series_values,
)
from matlake.store.importing.readers.material_list import open_materials
from matlake.store.importing.readers.memory_table import open_columns
from matlake.store.importing.readers.source import KeyColumns, Source


def open_in_memory(
    given: Any,
    *,
    structure_column: str | None = None,
    formula_column: str | None = None,
    id_column: str | None = None,
    max_atoms: int = MAX_ATOMS,
) -> Source:
    """Open data in memory as a source.

    Args:
        given: A DataFrame of any library; an Arrow table, batch or stream; a dictionary of columns; a Series, list,
            array or generator of materials (objects of pymatgen or ASE, formulas, structures as text) or of
            dictionaries; one such object.
        structure_column: Column of structures; by default the first by a usual name, else the only one that holds
            objects which are structures.
        formula_column: Column of formulas; by default the first by a usual name.
        id_column: Column of ids, likewise.
        max_atoms: Larger cells become failures.

    Raises:
        SourceError: It is empty, has no order, or a column that was named is not there.
        MatlakeError: It is none of these.
    """
    named = KeyColumns(formula_column, id_column)
    if is_frame(given):
        return open_columns(frame_columns(given), structure_column, max_atoms, named)
    if is_series(given):
        return _open_series(given, structure_column, max_atoms, named)
    if has_structure(given) or has_composition(given):
        return open_materials("the material", [given], {}, structure_column, max_atoms, named)
    if isinstance(given, Mapping):
        return open_columns(dictionary_columns(given), structure_column, max_atoms, named)
    if isinstance(given, set | frozenset):
        raise SourceError("a set has no order, and every row has a number", "give a list")
    return open_materials("the list", as_list(given), {}, structure_column, max_atoms, named)


def _open_series(given: Any, structure_column: str | None, max_atoms: int, named: KeyColumns) -> Source:
    """Open a Series, with the index that pandas keeps beside it."""
    notes: list[str] = []
    index = index_columns(given, (), notes) if hasattr(given, "index") and hasattr(given.index, "names") else {}
    beside = {name: _as_list(values) for name, values in index.items()}
    source = open_materials("the Series", _as_list(series_values(given)), beside, structure_column, max_atoms, named)
    source.notes.extend(notes)
    return source


def _as_list(values: Column) -> list[Any]:
    return values if isinstance(values, list) else list(values.to_pylist())
