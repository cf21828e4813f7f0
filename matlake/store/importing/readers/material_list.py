"""Lists of materials as a source: objects, formulas, structures as text, dictionaries of these with properties."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from matlake.errors import Hint, SourceError
from matlake.materials.objects import crystal_or_error, has_composition
from matlake.store.importing.readers.json_records import read_record
from matlake.store.importing.readers.memory_cells import formula_text, holds_structure, plain_value
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import FORMULA_COLUMNS, KeyColumns, Source

_SCALARS: Final = (bool, int, float, str)
_OF_ENTRIES: Final = ("entry_id", "energy", "correction")


def open_materials(
    name: str,
    given: list[Any],
    beside: Mapping[str, list[Any]],
    structure_field: str | None,
    max_atoms: int,
    named: KeyColumns,
) -> Source:
    """Look at a list of materials.

    Properties of a pymatgen structure (``properties``), of ASE's atoms (``info``, and the energy in eV that a
    calculator found), of a computed entry (energy, correction, ``data``) and of a document of the Materials Project are
    columns, if they are single values.

    Args:
        name: What messages call it.
        given: The materials.
        beside: Further columns, such as the index of a Series.
        structure_field: The field of dictionaries that holds their structures; by default the first by a usual name.
        max_atoms: Largest cell that is read.
        named: Properties that are formulas or ids, besides those by usual names.

    Raises:
        SourceError: The list is empty, holds too many different properties, or has no field by a name.
    """
    if not given:
        raise SourceError(f"{name} is empty")
    if structure_field is not None and not any(map(_is_dictionary, given)):
        raise SourceError(f"{name} has no columns", Hint("leave structure out", cli="leave --structure-column out"))
    return open_records(name, partial(_records, given, beside, structure_field, max_atoms), named)


def _records(
    given: list[Any],
    beside: Mapping[str, list[Any]],
    structure_field: str | None,
    max_atoms: int,
    structures: bool,
) -> Iterator[Record]:
    for place, one in enumerate(given):
        record = _record(one, structure_field, max_atoms if structures else None)
        if beside:
            row = {name: plain_value(values[place]) for name, values in beside.items()}
            record = Record({**record.properties, **row}, record.crystal, record.has_structure)
        yield record


def _record(one: Any, structure_field: str | None, max_atoms: int | None) -> Record:
    if _is_dictionary(one):
        return read_record({str(name): plain_value(value) for name, value in one.items()}, structure_field, max_atoms)
    is_structure = holds_structure(one)
    properties = {} if isinstance(one, str) else _properties(one)
    if not is_structure and (isinstance(one, str) or has_composition(one)):
        properties = {**properties, FORMULA_COLUMNS[0]: formula_text(one)}
    crystal = None if max_atoms is None else crystal_or_error(one, max_atoms=max_atoms)
    return Record(properties, crystal, is_structure)


def _is_dictionary(one: Any) -> bool:
    """Tell whether something is a row by names, not a composition."""
    return isinstance(one, dict) and not has_composition(one)


def _properties(one: Any) -> dict[str, Any]:
    """Return the properties that an object holds beside its structure, if they are single values."""
    found: dict[str, Any] = {}
    for beside in ("properties", "info", "data"):
        more = getattr(one, beside, None)
        if isinstance(more, Mapping):
            found |= more
    if not hasattr(one, "sites") and (hasattr(one, "structure") or hasattr(one, "composition")):
        found |= {name: value for name, value in _fields(one) if value is not None}
    results = getattr(getattr(one, "calc", None), "results", None)
    if isinstance(results, Mapping):
        found["energy_eV"] = results.get("energy")
    plain = {str(name): plain_value(value) for name, value in found.items()}
    return {name: value for name, value in plain.items() if isinstance(value, _SCALARS)}


def _fields(one: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a computed entry or of a document that holds a structure."""
    for name in _OF_ENTRIES:
        yield name, getattr(one, name, None)
    for name, value in getattr(one, "__dict__", {}).items():
        if not name.startswith("_"):
            yield name, value
