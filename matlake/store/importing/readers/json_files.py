"""JSON of pymatgen dictionaries as a source, read piece by piece.

Layouts: a structure; a list of structures or records; lines of them; an object of them by id; pandas' ``split`` layout
``{"columns": […], "data": [[…], …]}``, with or without ``index``, as Matbench has it. A record is an object with a
structure in one of its fields (a computed entry is one); its other fields are properties. Where no record has a
structure, and one of the fields is a formula, the records are compositions.
"""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import NO_NAMES, STRUCTURE_COLUMNS, KeyColumns, Source
from matlake.store.importing.readers.streams import open_bytes

LARGEST_RECORD: Final = 256 << 20
"""Longest record, in characters."""

_CHUNK: Final = 1 << 20
_ID: Final = "material_id"
_SINGLE: Final = frozenset({"lattice", "sites", "composition", *STRUCTURE_COLUMNS})


def is_json(path: Path) -> bool:
    """Tell by its name whether a file is JSON."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".json", ".jsonl", ".ndjson"))


def open_json(path: Path, structure_column: str | None, max_atoms: int, named: KeyColumns = NO_NAMES) -> Source:
    """Look at a JSON file, plain or compressed.

    Args:
        path: ``.json``, or ``.jsonl`` with one record a line.
        structure_column: Field of the structure; by default the first of the usual names.
        max_atoms: Largest cell that is read.
        named: Fields of formulas or ids, besides those by usual names.

    Raises:
        SourceError: It is not JSON, or in none of the layouts.
    """
    lines = not path.name.lower().removesuffix(".gz").endswith(".json")

    def read(structures: bool) -> Iterator[Record]:
        for found in _lines(path) if lines else _values(path):
            yield _record(found, structure_column, max_atoms if structures else None)

    return open_records(path, read, named)


def _record(found: object, structure_column: str | None, max_atoms: int | None) -> Record:
    from matlake.materials.structure_files.pymatgen_json import is_structure

    if isinstance(found, StructureError):
        return Record({}, found, has_structure=False)
    if not isinstance(found, Mapping):
        return Record({}, StructureError(f"no record: {str(found)[:40]!r}"), has_structure=False)
    if is_structure(found):
        own = {_ID: found[_ID]} if isinstance(found.get(_ID), str) else {}
        return Record(own, None if max_atoms is None else _crystal(found, max_atoms))
    name = structure_column or _structure_field(found)
    properties = {key: value for key, value in found.items() if key != name and not key.startswith("@")}
    if max_atoms is None:
        return Record(properties, None, has_structure=name is not None)
    return Record(properties, _crystal(found.get(name) if name else None, max_atoms))


def _structure_field(found: Mapping[str, Any]) -> str | None:
    from matlake.materials.structure_files import recognised

    lower = {key.lower(): key for key in found}
    present = [lower[name] for name in STRUCTURE_COLUMNS if name in lower]
    for key in present:
        value = found[key]
        if isinstance(value, Mapping) or (isinstance(value, str) and recognised(value)):
            return key
    return present[0] if present else None


def _crystal(found: object, max_atoms: int) -> Crystal | StructureError:
    from matlake.materials.structure_files import parse_structure
    from matlake.materials.structure_files.pymatgen_json import crystal_of

    try:
        if isinstance(found, str):
            return parse_structure(found, max_atoms=max_atoms)
        return crystal_of(found, max_atoms=max_atoms)
    except StructureError as error:
        return error


def _lines(path: Path) -> Iterator[Any]:
    """Yield the value of each line; a line that is not JSON is an error in its place."""
    with open_bytes(path) as stream:
        number = 0
        while line := stream.readline(LARGEST_RECORD + 1):
            number += 1
            if len(line) > LARGEST_RECORD:
                raise SourceError(f"line {number} of {path} is longer than {LARGEST_RECORD / 1e6:.0f} MB")
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                yield StructureError(f"line {number}: not JSON: {error}")


def _values(path: Path) -> Iterator[Any]:
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace") as text:
        pieces = _Pieces(path, text)
        while start := pieces.peek():
            if start == "[":
                yield from pieces.array()
            elif start == "{":
                yield from _object(pieces)
            else:
                raise SourceError(f"{path} is not JSON: it begins with {start!r}", "pymatgen's to_json writes it")


def _object(pieces: "_Pieces") -> Iterator[Any]:
    """Yield the records of an object: of a table, by id, or the object itself."""
    held: dict[str, Any] = {}
    by_id = table = False
    for key in pieces.object_keys():
        if key == "data" and "columns" in held and pieces.peek() == "[":
            names = [str(name) for name in held["columns"]]
            for row in pieces.array():
                fits = isinstance(row, list) and len(row) == len(names)
                yield dict(zip(names, row, strict=True)) if fits else row
            table = True
            continue
        value = pieces.value()
        if not held and isinstance(value, dict) and key.lower() not in _SINGLE and not key.startswith("@"):
            by_id = True
        if by_id:
            yield _with_id(key, value)
        else:
            held[key] = value
    if held and not table:
        yield held


def _with_id(key: str, value: Any) -> Any:
    if not isinstance(value, Mapping) or _ID in value:
        return value
    return {_ID: key, **value}


class _Pieces:
    """The values of a JSON text, one after the other, with no more of the text in memory than the value at hand."""

    def __init__(self, path: Path, text: io.TextIOWrapper) -> None:
        self._path = path
        self._text = text
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._place = 0

    def peek(self) -> str:
        """Return the next character that is not a blank, ``""`` at the end."""
        while True:
            while self._place < len(self._buffer) and self._buffer[self._place] in " \t\r\n":
                self._place += 1
            if self._place < len(self._buffer):
                return self._buffer[self._place]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Read a value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._place)
            except RecursionError as error:
                raise SourceError(f"{self._path} is nested too deeply") from error
            except ValueError as error:
                if self._more():
                    continue
                raise SourceError(f"{self._path} is not JSON: {error}") from error
            if end == len(self._buffer) and self._more():
                continue  # a number may go on
            self._place = end
            return value

    def array(self) -> Iterator[Any]:
        """Read an array, value by value."""
        self._expect("[")
        if self.peek() == "]":
            self._place += 1
            return
        while True:
            yield self.value()
            if self._expect(",]") == "]":
                return

    def object_keys(self) -> Iterator[str]:
        """Read the keys of an object; the caller reads the value that belongs to each."""
        self._expect("{")
        if self.peek() == "}":
            self._place += 1
            return
        while True:
            key = str(self.value())
            self._expect(":")
            yield key
            if self._expect(",}") == "}":
                return

    def _expect(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            raise SourceError(f"{self._path} is not JSON: {found or 'the end'!r} where {wanted!r} should be")
        self._place += 1
        return found

    def _more(self) -> bool:
        """Read on, twice as much each time; forget what was read."""
        rest = self._buffer[self._place :]
        if len(rest) > LARGEST_RECORD:
            raise SourceError(f"{self._path} is not JSON, or holds a record of more than {LARGEST_RECORD / 1e6:.0f} MB")
        more = self._text.read(max(_CHUNK, len(rest)))
        self._buffer, self._place = rest + more, 0
        return bool(more)
