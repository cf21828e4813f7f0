"""From a path to the reader that it needs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from matlake.errors import Hint, SourceError
from matlake.files import is_there
from matlake.materials.crystal import MAX_ATOMS
from matlake.store.importing.readers.arrow_files import IPC, PARQUET, is_delta
from matlake.store.importing.readers.ase_database import is_ase_database, open_ase_database
from matlake.store.importing.readers.containers import files, is_archive
from matlake.store.importing.readers.excel_sheets import EXCEL, is_excel, open_sheet
from matlake.store.importing.readers.json_files import is_json, open_json
from matlake.store.importing.readers.plugin_readers import open_by_plugin, plugin_endings
from matlake.store.importing.readers.source import KeyColumns, Source
from matlake.store.importing.readers.sqlite_tables import is_sqlite, open_sqlite_table
from matlake.store.importing.readers.streams import COMPRESSED, open_bytes, plain_name
from matlake.store.importing.readers.structure_files import NoFilesError, is_structure_file, open_files
from matlake.store.importing.readers.table import is_table, open_structure_table
from matlake.store.importing.readers.unpacked import open_member, open_unpacked
from matlake.store.importing.readers.xyz_files import is_xyz, open_xyz
from matlake.text_tables import some_of

_ENDINGS: Final = (
    ".csv .tsv .txt .json .jsonl .xyz .extxyz .cif .vasp (each also .gz .bz2 .xz .zst), .parquet .feather .arrow .xlsx "
    ".xls .ods .db .sqlite .zip .tar .tar.gz .tar.bz2 .tar.xz"
)
_PART: Final = "::"
_WHOLE_ON_DISK: Final = (*PARQUET, *IPC, *EXCEL, ".db", ".sqlite", ".sqlite3")
_ABOUT: Final = re.compile(r"(?:readme|licen[cs]e|citation|changelog)[^/]*\.txt$", re.IGNORECASE)
"""Files that say what others in an archive are."""

_SNIFFED: Final = 1 << 16


def open_source(
    path: str | Path,
    *,
    structure_column: str | None = None,
    formula_column: str | None = None,
    id_column: str | None = None,
    mixed_as_text: bool = False,
    max_atoms: int = MAX_ATOMS,
) -> Source:
    """Open anything that can be imported.

    Args:
        path: A table: CSV, Parquet, Feather, Excel, SQLite, the folder of a Delta table. JSON or JSON lines of
            structures, records or formulas. CIF or POSCAR file, a folder or an archive of them. Extended XYZ; ASE
            database. ``FILE::NAME`` is a sheet of Excel, a table of SQLite or a file in a zip archive.
        structure_column: Column or field of structures; by default the first by a usual name.
        formula_column: Column of formulas, which is kept as written; by default the first by a usual name.
        id_column: Column of ids, likewise.
        mixed_as_text: Whether a CSV column is text as soon as one cell is, so that no cell is lost.
        max_atoms: Larger cells become failures.

    Raises:
        SourceError: It is not there, empty, of an unknown kind, damaged, or holds no rows.
    """
    path, part = _parts(Path(path).expanduser())
    asked = _Asked(path, part, structure_column, KeyColumns(formula_column, id_column), mixed_as_text, max_atoms)
    if not is_there(path):
        raise SourceError(f"no file at {path}", "name a table, a file of structures, or a folder or archive of them")
    if path.is_file() and not path.stat().st_size:
        raise SourceError(f"{path} is empty")
    opened = next(opened for fits, opened in _READERS if fits(path))
    return opened(asked)


@dataclass(frozen=True)
class _Asked:
    """What ``open_source`` was asked for: the path, the part of it that was named, and the rest."""

    path: Path
    part: str | None
    structure_column: str | None
    named: KeyColumns
    mixed_as_text: bool
    max_atoms: int

    def again(self, path: Path) -> Source:
        """Open another file for the same."""
        return open_source(
            path,
            structure_column=self.structure_column,
            formula_column=self.named.formula,
            id_column=self.named.id,
            mixed_as_text=self.mixed_as_text,
            max_atoms=self.max_atoms,
        )

    def refuse_columns(self) -> None:
        """Refuse a column that is named of a source that has none."""
        if self.structure_column is not None:
            raise SourceError(
                f"{self.path} has no columns", Hint("leave structure_column out", cli="leave --structure-column out")
            )


def _is_container(path: Path) -> bool:
    return path.is_dir() or is_archive(path)


def _is_packed(path: Path) -> bool:
    """Tell whether a file is compressed, and of a format that cannot be read as a stream."""
    return path.name.lower().endswith(COMPRESSED) and plain_name(path).endswith(_WHOLE_ON_DISK)


def _is_crystal_file(path: Path) -> bool:
    return is_structure_file(path.name) and not (is_table(path) and not _holds_a_structure(path))


def _open_container(asked: _Asked) -> Source:
    path = asked.path
    if path.name.lower().endswith(".zip") and path.is_file() and (member := asked.part or _only_table(path)):
        return open_member(path, member, asked.again)
    asked.refuse_columns()
    return _open_folder(path, asked.max_atoms, asked.named)


def _open_crystal_file(asked: _Asked) -> Source:
    asked.refuse_columns()
    return open_files(asked.path, asked.max_atoms)


def _open_sqlite(asked: _Asked) -> Source:
    if asked.part is None and is_ase_database(asked.path):
        asked.refuse_columns()
        return open_ase_database(asked.path, asked.max_atoms, asked.named)
    return open_sqlite_table(asked.path, asked.part, asked.structure_column, asked.max_atoms, asked.named)


def _open_xyz(asked: _Asked) -> Source:
    asked.refuse_columns()
    return open_xyz(asked.path, asked.max_atoms, asked.named)


def _open_table(asked: _Asked) -> Source:
    return open_structure_table(
        asked.path, asked.structure_column, asked.max_atoms, asked.named, mixed_as_text=asked.mixed_as_text
    )


_READERS: Final[tuple[tuple[Callable[[Path], bool], Callable[[_Asked], Source]], ...]] = (
    (is_delta, _open_table),
    (_is_container, _open_container),
    (_is_packed, lambda asked: open_unpacked(asked.path, asked.again)),
    (_is_crystal_file, _open_crystal_file),
    (is_json, lambda asked: open_json(asked.path, asked.structure_column, asked.max_atoms, asked.named)),
    (is_xyz, _open_xyz),
    (is_excel, lambda asked: open_sheet(asked.path, asked.part, asked.structure_column, asked.max_atoms, asked.named)),
    (is_sqlite, _open_sqlite),
    (is_table, _open_table),
    (lambda _: True, lambda asked: _open_otherwise(asked.path, asked.max_atoms, asked.named)),
)
"""What is asked of a path, in this order, and what opens it."""


def _parts(path: Path) -> tuple[Path, str | None]:
    """Return the file, and the sheet, table or member that is named behind it."""
    file, mark, part = str(path).partition(_PART)
    return (Path(file), part) if mark and part and not path.exists() else (path, None)


def _only_table(path: Path) -> str | None:
    """Return the only file in a zip archive that is a table or JSON, where there are no structure files in it."""
    names = [file.name for file in files(path, lambda _: True, content=False)]
    tables = [name for name in names if _is_single(name)]
    tables = [name for name in tables if not _ABOUT.match(PurePosixPath(name).name)] or tables
    if not tables or any(is_structure_file(name) for name in names):
        return None
    if len(tables) > 1:
        raise SourceError(
            f"{path} holds several tables: {some_of(tables)}", f"name one of them: {path}{_PART}{tables[0]}"
        )
    return tables[0]


def _is_single(name: str) -> bool:
    """Tell by its name whether a file is read on its own: a table, JSON, XYZ."""
    path = Path(name)
    return is_table(path) or is_json(path) or is_xyz(path) or plain_name(path).endswith(_WHOLE_ON_DISK)


def _open_folder(path: Path, max_atoms: int, named: KeyColumns) -> Source:
    """Open a folder or archive; the plug-ins are asked where it holds no file that matlake itself reads."""
    try:
        return open_files(path, max_atoms)
    except NoFilesError:
        added = open_by_plugin(path, max_atoms, named)
        if added is not None:
            return added
        tables = [file.name for file in files(path, _is_offered, content=False)]
        if not tables:
            raise
        held = f"{path} holds tables, each to be read on its own: {some_of(tables)}"
        raise SourceError(held, f"name one: {path}/{tables[0]}" if path.is_dir() else "unpack it") from None


def _is_offered(name: str) -> bool:
    """Tell by its name whether to offer a file of a folder: notes are .txt as well, and a Delta log is JSON."""
    return _is_single(name) and not plain_name(Path(name)).endswith(".txt") and "_delta_log" not in name


def _open_otherwise(path: Path, max_atoms: int, named: KeyColumns) -> Source:
    """Ask the plug-ins for what matlake itself does not read."""
    added = open_by_plugin(path, max_atoms, named)
    if added is None:
        endings = "; ".join(filter(None, [_ENDINGS, plugin_endings()]))
        raise SourceError(f"cannot tell from its name what {path} is", f"endings read: {endings}")
    return added


def _holds_a_structure(path: Path) -> bool:
    """Tell whether ``POSCAR_1.txt`` is a POSCAR or a table."""
    from matlake.materials.structure_files import recognised

    with open_bytes(path) as stream:
        return bool(recognised(stream.read(_SNIFFED).decode(errors="replace")))
