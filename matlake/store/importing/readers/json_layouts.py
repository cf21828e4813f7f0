"""The records in a JSON text, whatever stands around them.

- A list of records, or one record after the other.
- An envelope: an object with the list under ``data``, ``entries``, ``results``, …, as interfaces answer.
- An object of records by id; an object of formulas by id, as pandas writes a Series.
- The layouts of pandas: ``records``, ``split``, ``index``, ``columns`` and ``table``.
- A single record.
"""

import codecs
import io
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from matlake.errors import FormulaError
from matlake.store.importing.readers.json_pieces import JsonPieces
from matlake.store.importing.readers.source import FORMULA_COLUMNS, ID_COLUMNS, STRUCTURE_COLUMNS
from matlake.store.importing.readers.streams import open_bytes

ID: Final = "material_id"
ENVELOPES: Final = ("data", "entries", "results", "response", "docs", "items", "records", "materials", "structures")
_ABOUT: Final = frozenset(
    {"meta", "metadata", "links", "query", "schema", "jsonapi", "info", "resource", "header", "x-optimade", "included"}
)
"""What stands in an envelope beside the records, and is none."""

_USUAL: Final = frozenset({*STRUCTURE_COLUMNS, *FORMULA_COLUMNS, *ID_COLUMNS})
_OF_ONE_RECORD: Final = frozenset({"lattice", "sites", "composition", *STRUCTURE_COLUMNS})
_MOST_HELD: Final = 1000


def json_values(path: Path) -> Iterator[Any]:
    """Yield the records of a file, plain or compressed.

    Raises:
        SourceError: It is not JSON.
    """
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding=_encoding(stream.peek(2))) as text:
        pieces = JsonPieces(path, text)
        while start := pieces.peek():
            if start == "[":
                yield from pieces.array()
            elif start == "{":
                yield from _object(pieces)
            else:
                raise pieces.not_json(f"it begins with {start!r}")


def records_in_page(found: Any) -> Iterator[Any]:
    """Yield the records of a page as an interface answers it, where it stands among others; or else what was found."""
    if isinstance(found, Mapping) and not _is_record(found):
        others = [key for key in found if key not in _ABOUT]
        rows = found[others[0]] if len(others) == 1 and others[0] in ENVELOPES else None
        if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
            yield from rows
            return
    yield found


def _encoding(start: bytes) -> str:
    return "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _object(pieces: JsonPieces) -> Iterator[Any]:
    """Yield the records of an object, holding what comes before it is clear what they are."""
    held: dict[str, Any] = {}
    keys = pieces.object_keys()
    for key in keys:
        if key in ENVELOPES and pieces.peek() == "[" and not _is_record(held):
            rows = pieces.array()
            first = next(rows, None)
            split = isinstance(first, list) and isinstance(held.get("columns"), list)
            if split or isinstance(first, Mapping | str):
                yield from _rows(held, first, rows)
                for _ in keys:
                    pieces.value()
                return
            held[key] = [] if first is None else [first, *rows]
            continue
        held[key] = pieces.value()
        by_id = key not in _ABOUT and key not in ENVELOPES and _is_record(held[key]) and not _in_columns(held)
        if (by_id or len(held) > _MOST_HELD) and _are_by_id(held):
            yield from (_with_id(name, value) for name, value in held.items() if name not in _ABOUT)
            for name in keys:
                yield _with_id(name, pieces.value())
            return
    yield from _held(held)


def _rows(held: Mapping[str, Any], first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    """Yield the records of an envelope; rows of values get the names that stand before them."""
    names = [str(name) for name in held.get("columns") or ()]
    index = _index_of_pandas(held.get("schema"))
    for row in chain([first], rest):
        yield _named(row, names, index)


def _named(row: Any, names: list[str], index: str | None) -> Any:
    if isinstance(row, list) and len(row) == len(names):
        return dict(zip(names, row, strict=True))
    if index is not None and isinstance(row, dict):
        row.pop(index, None)
    return row


def _index_of_pandas(schema: object) -> str | None:
    """Return the column in which pandas' ``table`` layout keeps an index without a name, None where it has none."""
    named = isinstance(schema, Mapping) and "pandas_version" in schema and schema.get("primaryKey") == ["index"]
    return "index" if named else None


def _held(held: dict[str, Any]) -> Iterator[Any]:
    """Yield the records of an object that was read whole."""
    others = {key: value for key, value in held.items() if key not in _ABOUT}
    if not others:
        return
    rows = held.get("data")
    if isinstance(held.get("columns"), list) and isinstance(rows, list):  # names that stand behind the rows
        yield from _rows(held, rows[0], iter(rows[1:])) if rows else ()
        return
    inner = next((others[key] for key in ENVELOPES if isinstance(others.get(key), list | Mapping)), None)
    if inner is not None and not _is_record(held):
        yield from _held(dict(inner)) if isinstance(inner, Mapping) and not _is_record(inner) else _several(inner)
    elif _in_columns(others):
        yield from _from_columns(others)
    elif _are_by_id(others):
        yield from (_with_id(key, value) for key, value in others.items())
    elif _are_formulas(others):
        yield from ({ID: key, "formula": value} for key, value in others.items())
    else:
        yield held


def _several(inner: Any) -> Iterator[Any]:
    yield from inner if isinstance(inner, list) else [inner]


def _is_record(found: object) -> bool:
    """Tell whether an object is one material: it has a structure, or a field by a usual name."""
    from matlake.materials.structure_files.dictionaries import form_of

    if not isinstance(found, Mapping):
        return False
    fields = {key.lower() for key, value in found.items() if not _is_column(value)}
    return bool(form_of(found)) or not _USUAL.isdisjoint(fields) or isinstance(found.get("attributes"), Mapping)


def _is_column(value: object) -> bool:
    """Tell whether a value is a column of pandas' ``columns`` layout: values by the labels of their rows."""
    from matlake.materials.structure_files.dictionaries import form_of

    if not isinstance(value, Mapping) or not value or form_of(value) or any(key.startswith("@") for key in value):
        return False
    return all(key.isdigit() for key in value)


def _in_columns(held: Mapping[str, Any]) -> bool:
    """Tell whether an object holds columns with the labels of the same rows."""
    first = next(iter(held.values()), None)
    if not isinstance(first, Mapping) or not all(isinstance(value, Mapping) for value in held.values()):
        return False
    labels = list(first)
    if any(list(value) != labels for value in held.values()):
        return False
    if all(map(_is_column, held.values())):
        return not all(key.isdigit() for key in held)
    usual = next((value for key, value in held.items() if key.lower() in (*FORMULA_COLUMNS, *STRUCTURE_COLUMNS)), None)
    return usual is not None and not _is_record(usual) and all(isinstance(v, str | Mapping) for v in usual.values())


def _from_columns(columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Any]:
    """Yield the rows of columns; labels that do not count the rows are ids."""
    labels = list(next(iter(columns.values())))
    numbered = all(label.isdigit() for label in labels)
    for label in labels:
        row = {name: column[label] for name, column in columns.items()}
        yield row if numbered else _with_id(label, row)


def _are_by_id(held: Mapping[str, Any]) -> bool:
    return all(
        isinstance(value, Mapping) and key.lower() not in _OF_ONE_RECORD and not key.startswith("@")
        for key, value in held.items()
        if key not in _ABOUT
    )


def _are_formulas(held: Mapping[str, Any]) -> bool:
    from matlake.materials.formula import parse_formula

    if not _USUAL.isdisjoint(map(str.lower, held)) or not all(isinstance(value, str) for value in held.values()):
        return False
    try:
        return all(parse_formula(value) for value in held.values())
    except FormulaError:
        return False


def _with_id(key: str, value: Any) -> Any:
    if isinstance(value, str):
        return {ID: key, "formula": value}
    if not isinstance(value, Mapping) or any(str(value.get(name)) == key for name in ID_COLUMNS) or ID in value:
        return value
    return {ID: key, **value}
