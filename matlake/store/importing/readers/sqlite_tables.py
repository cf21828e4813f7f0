"""Tables of SQLite databases as a source, row by row. Nothing but a table is read, and nothing is ever written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from matlake.errors import SourceError
from matlake.store.importing.readers.json_records import read_record
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import KeyColumns, Source, refuse_double_names, refuse_too_many_columns
from matlake.store.quoting import identifier
from matlake.text_tables import some_of

_MAGIC: Final = b"SQLite format 3\0"
_LONGEST_VALUE: Final = 1 << 28
_TABLES: Final = (  # a view, a virtual table or a column that is computed could compute for ever
    "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
_COLUMNS: Final = "SELECT name FROM pragma_table_info(?)"


def is_sqlite(path: Path) -> bool:
    """Tell by its first bytes whether a file is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database such that nothing is written and no function of its schema is run.

    Raises:
        SourceError: It is damaged, or no database.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            yield connection
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise SourceError(f"cannot read the SQLite database {path}: {error}") from error
        raise SourceError(f"{path} is in use by another program", "try again when that has finished") from error
    except sqlite3.Error as error:
        raise SourceError(f"{path} is not a valid SQLite database, or is damaged: {error}") from error


def table_names(path: Path) -> list[str]:
    """Return the names of the tables of a database.

    Raises:
        SourceError: It is damaged, or no database.
    """
    with read_only(path) as connection:
        return [name for (name,) in connection.execute(_TABLES)]


def open_sqlite_table(
    path: Path, table: str | None, structure_column: str | None, max_atoms: int, named: KeyColumns
) -> Source:
    """Look at a table of an SQLite database.

    Args:
        path: The file.
        table: Its name; by default the only one.
        structure_column: Column of structures; by default one by a usual name.
        max_atoms: Largest cell that is read.
        named: Columns of formulas or ids, besides those by usual names.

    Raises:
        SourceError: It is damaged; there are several tables, or none, or none of that name.
    """
    names = table_names(path)
    shown = some_of(names)
    if not names:
        raise SourceError(f"{path} is an SQLite database without a table")
    if table is not None and table not in names:
        raise SourceError(f"{path} has no table {table!r}", f"its tables: {shown}")
    if table is None and len(names) > 1:
        raise SourceError(f"{path} has several tables: {shown}", f"name one of them: {path}::{names[0]}")
    chosen = table or names[0]
    with read_only(path) as connection:
        columns = [name for (name,) in connection.execute(_COLUMNS, (chosen,))]
    refuse_too_many_columns(str(path), len(columns))
    refuse_double_names(str(path), columns)
    query = f"SELECT {', '.join(map(identifier, columns))} FROM {identifier(chosen)}"

    def read(structures: bool) -> Iterator[Record]:
        with read_only(path) as connection:
            for row in connection.execute(query):
                found = dict(zip(columns, row, strict=True))
                yield read_record(found, structure_column, max_atoms if structures else None)

    return open_records(str(path), read, named)
