"""ASE databases (SQLite) as a source, read without ASE: a crystal a row, its key-value pairs as properties.

The tables are those of ase.db, versions 5 to 9: https://ase-lib.org/ase/db/db.html. Only arrays of numbers and JSON are
read from them, and nothing is ever written.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.structure_files.text import NOT_PERIODIC
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import NO_NAMES, KeyColumns, Source
from matlake.store.importing.readers.sqlite_tables import read_only, table_names

_QUERY: Final = "SELECT id, energy, key_value_pairs, pbc, cell, {} FROM systems ORDER BY id"
_ALL_DIRECTIONS: Final = 0b111
_BYTES_OF_Z: Final = 4


def is_ase_database(path: Path) -> bool:
    """Tell whether an SQLite database has ASE's table.

    Raises:
        SourceError: It is damaged.
    """
    return "systems" in table_names(path)


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
        with read_only(path) as connection:
            for row in connection.execute(_QUERY.format(arrays), longest):
                yield _record(row, max_atoms if structures else None)

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
