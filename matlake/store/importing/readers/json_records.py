"""From a record of JSON to its structure and its properties, in the layouts of the field's databases."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from matlake.errors import StructureError
from matlake.store.importing.readers.cells import is_missing_text
from matlake.store.importing.readers.records import Record, amounts_text
from matlake.store.importing.readers.source import FORMULA_COLUMNS, STRUCTURE_COLUMNS, usual_column

_ENTRY: Final = "Entry"
_SHOWN: Final = 40
_FORMULA_OF_OQMD: Final = "name"
_MANY: Final = frozenset({"atoms"})  # a name that a number of atoms may have


def read_record(found: object, structure_column: str | None, max_atoms: int | None) -> Record:
    """Return a record with its structure.

    Layouts: a field with a structure, of pymatgen or JARVIS or as text; a structure alone; a computed entry of
    pymatgen, whose ``data`` are properties; an entry of OPTIMADE, whose properties are ``attributes``; the fields of a
    structure of OPTIMADE or OQMD among the others; text, which is a formula.

    Args:
        found: As ``json`` reads it, or why that failed.
        structure_column: Field of the structure; by default the first of the usual names.
        max_atoms: Largest cell that is read; None to leave structures out.
    """
    if isinstance(found, str):
        return Record({FORMULA_COLUMNS[0]: found}, None, has_structure=False)
    if not isinstance(found, dict):
        error = found if isinstance(found, StructureError) else StructureError(f"no record: {str(found)[:_SHOWN]!r}")
        return Record({}, error, has_structure=False)
    properties, structure, has_structure = _parts(found, structure_column)
    if max_atoms is None:
        return Record(properties, None, has_structure)
    from matlake.materials.objects import crystal_or_error

    return Record(properties, crystal_or_error(structure, max_atoms=max_atoms), has_structure)


def _parts(found: Mapping[str, Any], structure_column: str | None) -> tuple[Mapping[str, Any], Any, bool]:
    """Return the properties, the structure, and whether there is a place for one."""
    from matlake.materials.structure_files import optimade_json, oqmd_json
    from matlake.materials.structure_files.dictionaries import form_of

    attributes = found.get("attributes")
    if isinstance(attributes, dict):
        properties = {"id": found.get("id")} | _without(attributes, optimade_json.STRUCTURE_FIELDS)
        return properties, attributes, optimade_json.is_optimade(attributes)
    form = form_of(found)
    if form == "OPTIMADE":
        return _without(found, optimade_json.STRUCTURE_FIELDS), found, True
    if form == "OQMD":
        fields = _without(found, {*oqmd_json.STRUCTURE_FIELDS, _FORMULA_OF_OQMD})
        return {FORMULA_COLUMNS[0]: found.get(_FORMULA_OF_OQMD)} | fields, found, True
    if form:
        own = usual_column([name for name in found if isinstance(found[name], str)], ("material_id", "jid"))
        return ({} if own is None else {own: found[own]}), found, True
    name = structure_column or _structure_field(found)
    properties = {key: value for key, value in found.items() if key != name and not key.startswith("@")}
    if str(found.get("@class", "")).endswith(_ENTRY):
        properties = _of_entry(properties)
    for usual in FORMULA_COLUMNS:
        if isinstance(amounts := properties.get(usual), dict) and (text := amounts_text(amounts)):
            if name is None:
                properties[usual] = text
            else:
                del properties[usual]  # what the structure says
    structure = found.get(name) if name is not None else None
    return properties, None if _is_missing(structure) else structure, name is not None


def _without(found: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in fields and not key.startswith("@")}


def _of_entry(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of a computed entry: those in ``data`` stand beside its own."""
    data = properties.pop("data", None)
    if not isinstance(data, dict):
        return properties
    clashing = {key: value for key, value in data.items() if properties.get(key) is not None}
    hoisted = properties | {key: value for key, value in data.items() if key not in clashing}
    return hoisted | {"data": clashing} if clashing else hoisted


def _structure_field(found: Mapping[str, Any]) -> str | None:
    """Return the field of the structure: one by a usual name, or else the only one that holds a structure."""
    from matlake.materials.objects import has_structure
    from matlake.materials.structure_files import recognised

    lower = {key.lower(): key for key in found}
    present = [lower[name] for name in STRUCTURE_COLUMNS if name in lower]
    for key in present:
        value = found[key]
        if isinstance(value, dict) or (recognised(value) if isinstance(value, str) else has_structure(value)):
            return key
    holding = [key for key, value in found.items() if has_structure(value)]
    if len(holding) == 1:
        return holding[0]
    return next((key for key in present if key.lower() not in _MANY or _is_missing(found[key])), None)


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and is_missing_text(value))
