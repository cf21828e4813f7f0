"""ASE databases (SQLite) as a source, read without ASE: a crystal a row, its key-value pairs as properties.

The tables are those of ase.db, versions 5 to 9: https://ase-lib.org/ase/db/db.html. Only arrays of numbers and JSON are
read from them, and nothing is ever written.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from matlake.errors import SourceError, StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.structure_files.text import NOT_PERIODIC
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import NO_NAMES, KeyColumns, Source

_MAGIC: Final = b"SQLite format 3\0"
_QUERY: Final = "SELECT id, energy, key_value_pairs, pbc, cell, {} FROM systems ORDER BY id"
_KIND: Final = "SELECT type FROM sqlite_master WHERE name = 'systems'"
_LONGEST_VALUE: Final = 1 << 28
_ALL_DIRECTIONS: Final = 0b111
_BYTES_OF_Z: Final = 4


def is_ase_database(path: Path) -> bool:
    """Tell by its first bytes whether a file is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def open_ase_database(path: Path, max_atoms: int, named: KeyColumns = NO_NAMES) -> Source:
    """Look at an ASE database.

    Args:
        path: The file.
        max_atoms: Largest cell that is read.
        named: Properties that are formulas or ids, besides those by usual names.

    Raises:
        SourceError: It is damaged, empty or of another kind.
    """

    def read(structures: bool) -> Iterator[Record]:
        arrays = "length(numbers), substr(numbers, 1, ?), substr(positions, 1, ?)" if structures else "0, ?, ?"
        longest = (_BYTES_OF_Z * max_atoms, 24 * max_atoms)
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
                if connection.execute(_KIND).fetchone() != ("table",):  # a view could compute for ever
                    raise SourceError(f"{path} is an SQLite database without ASE's table of systems")
                for row in connection.execute(_QUERY.format(arrays), longest):
                    yield _record(row, max_atoms if structures else None)
        except sqlite3.Error as error:
            raise SourceError(f"{path} is not a valid ASE database, or is damaged: {error}") from error

    return open_records(str(path), read, named)


def _record(row: tuple[Any, ...], max_atoms: int | None) -> Record:
    identifier, energy, pairs, periodic, cell, length, numbers, positions = row
    properties: dict[str, Any] = {"id": identifier}
    if energy is not None:
        properties["energy_eV"] = energy
    try:
        found = json.loads(pairs or "{}")
    except (ValueError, RecursionError, TypeError) as error:
        return Record(properties, StructureError(f"key-value pairs are not JSON: {error}"))
    if isinstance(found, Mapping):
        properties.update({name: value for name, value in found.items() if name != "id"})
    if max_atoms is None:
        return Record(properties, None)
    try:
        return Record(properties, _crystal(periodic, cell, length, numbers, positions, max_atoms))
    except StructureError as error:
        return Record(properties, error)
    except (TypeError, ValueError) as error:
        return Record(properties, StructureError(f"damaged arrays: {error}"))


def _crystal(periodic: int, cell: bytes, length: int, numbers: bytes, positions: bytes, max_atoms: int) -> Crystal:
    if length > _BYTES_OF_Z * max_atoms:
        raise TooManyAtomsError.of(length // _BYTES_OF_Z, max_atoms)
    if periodic & _ALL_DIRECTIONS != _ALL_DIRECTIONS:
        raise StructureError(*NOT_PERIODIC)
    return make_crystal(
        np.frombuffer(numbers, dtype="<i4"),
        np.frombuffer(cell, dtype="<f8").reshape(3, 3),
        np.frombuffer(positions, dtype="<f8").reshape(-1, 3),
        cartesian=True,
        max_atoms=max_atoms,
    )
