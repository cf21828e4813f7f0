"""JSON as a source, read piece by piece: records of a structure, or of a formula, with their properties.

``json_layouts`` finds the records in a file, ``json_records`` the structure and the properties in a record. Where no
record has a structure, and one of the fields is a formula, the records are compositions.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from matlake.errors import SourceError, StructureError
from matlake.store.importing.readers.error_answers import refusal_in
from matlake.store.importing.readers.json_layouts import json_values, records_in_page
from matlake.store.importing.readers.json_pieces import LARGEST_RECORD
from matlake.store.importing.readers.json_records import read_record
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import NO_NAMES, KeyColumns, Source
from matlake.store.importing.readers.streams import open_bytes, plain_name

_HEADER: Final = "x-optimade"
_STRUCTURES: Final = "structures"
_OTHER_ENTRIES: Final = ("references", "files", "calculations", "trajectories", "info", "links")
"""Types of the entries beside structures in a dump of an OPTIMADE database."""


def is_json(path: Path) -> bool:
    """Tell by its name whether a file is JSON."""
    return plain_name(path).endswith((".json", ".jsonl", ".ndjson"))


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
    lines = not plain_name(path).endswith(".json")
    others: Counter[str] = Counter()

    def read(structures: bool) -> Iterator[Record]:
        others.clear()
        for found in chain.from_iterable(map(records_in_page, _lines(path) if lines else json_values(path))):
            if said := refusal_in(found):
                raise SourceError(f"{path} is an error that a server answered: {said}", "ask it again")
            kind = _other_kind(found)
            if kind is not None:
                others[kind] += 1
            else:
                yield read_record(found, structure_column, max_atoms if structures else None)

    source = open_records(str(path), read, named)
    others.pop(_HEADER, None)
    if others:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in others.most_common())
        source.notes.append(f"entries that are not structures left out: {kinds}")
    return source


def _other_kind(found: object) -> str | None:
    """Return what an entry of an OPTIMADE database is, if it is not a structure: the header, a reference, …."""
    if not isinstance(found, Mapping):
        return None
    if _HEADER in found:
        return _HEADER
    kind = found.get("type")
    return kind if kind in _OTHER_ENTRIES and ("attributes" in found or kind == "info") else None


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
