"""From a path to the reader that it needs."""

from pathlib import Path
from typing import Final

from matlake.errors import Hint, SourceError
from matlake.materials.crystal import MAX_ATOMS
from matlake.store.importing.readers.ase_database import is_ase_database, open_ase_database
from matlake.store.importing.readers.containers import is_archive
from matlake.store.importing.readers.json_files import is_json, open_json
from matlake.store.importing.readers.plugin_readers import open_by_plugin, plugin_endings
from matlake.store.importing.readers.source import KeyColumns, Source
from matlake.store.importing.readers.streams import open_bytes
from matlake.store.importing.readers.structure_files import NoFilesError, is_structure_file, open_files
from matlake.store.importing.readers.table import is_table, open_structure_table
from matlake.store.importing.readers.xyz_files import is_xyz, open_xyz

_ENDINGS: Final = ".csv .tsv .txt .parquet .json .jsonl .cif .vasp .xyz .extxyz .db .zip .tar .tar.gz .tar.bz2 .tar.xz"


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
        path: CSV or Parquet table; CIF or POSCAR file, a folder or an archive of them; JSON or JSON lines of pymatgen
            dictionaries; extended XYZ; ASE database.
        structure_column: Column or field of structures; by default the first by a usual name.
        formula_column: Column of formulas, which is kept as written; by default the first by a usual name.
        id_column: Column of ids, likewise.
        mixed_as_text: Whether a CSV column is text as soon as one cell is, so that no cell is lost.
        max_atoms: Larger cells become failures.

    Raises:
        SourceError: It is not there, empty, of an unknown kind, damaged, or holds no rows.
    """
    path = Path(path)
    named = KeyColumns(formula_column, id_column)
    if structure_column is not None and not (is_table(path) or is_json(path)):
        raise SourceError(
            f"{path} has no columns", Hint("leave structure_column out", cli="leave --structure-column out")
        )
    if path.is_dir() or (path.is_file() and is_archive(path)):
        return _open_folder(path, max_atoms, named)
    if not path.is_file():
        raise SourceError(f"no file at {path}", "name a table, a file of structures, or a folder or archive of them")
    if not path.stat().st_size:
        raise SourceError(f"{path} is empty")
    if is_structure_file(path.name) and not (is_table(path) and not _holds_a_structure(path)):
        return open_files(path, max_atoms)
    if is_json(path):
        return open_json(path, structure_column, max_atoms, named)
    if is_xyz(path):
        return open_xyz(path, max_atoms, named)
    if is_ase_database(path):
        return open_ase_database(path, max_atoms, named)
    if is_table(path):
        return open_structure_table(path, structure_column, max_atoms, named, mixed_as_text=mixed_as_text)
    return _open_otherwise(path, max_atoms, named)


def _open_folder(path: Path, max_atoms: int, named: KeyColumns) -> Source:
    """Open a folder or archive; the plug-ins are asked where it holds no file that matlake itself reads."""
    try:
        return open_files(path, max_atoms)
    except NoFilesError:
        added = open_by_plugin(path, max_atoms, named)
        if added is None:
            raise
        return added


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
