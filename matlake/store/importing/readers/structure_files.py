"""CIF files and those of VASP as a source: one, a folder of them, or an archive."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers import id_properties
from matlake.store.importing.readers.containers import File, files, shortest_ids
from matlake.store.importing.readers.id_properties import IdProperties
from matlake.store.importing.readers.source import Batch, Source, bounded
from matlake.store.importing.readers.streams import COMPRESSED_FORM, plain_name, unpack
from matlake.store.importing.readers.vasp_runs import Found, is_vasprun, one_each, runs_of

_SUFFIX: Final = re.compile(rf"\.(?:cif|vasp|poscar|contcar){COMPRESSED_FORM}$", re.IGNORECASE)
_COMPRESSED: Final = re.compile(rf"{COMPRESSED_FORM}$", re.IGNORECASE)
_VASP_NAME: Final = re.compile(r"(?:POSCAR|CONTCAR)(?:$|[._-])", re.IGNORECASE)
_OTHER_SUFFIX: Final = re.compile(
    r"\.(?:csv|tsv|parquet|pq|feather|arrow|ipc|xlsx?|ods|db|sqlite3?|json|jsonl|ndjson|md|log|py|pdf|png|svg|jpe?g)"
    rf"{COMPRESSED_FORM}$",
    re.IGNORECASE,
)
"""An ending that says more than the name before it: ``POSCAR_list.tsv`` is a table."""

_SCHEMA: Final = pa.schema([("material_id", pa.string())])
_KINDS_SHOWN: Final = 5


class NoFilesError(SourceError):
    """A folder or archive holds no file of a known format."""


def is_structure_file(name: str) -> bool:
    """Tell by its name whether a file is a CIF, a POSCAR or a vasprun.xml."""
    last = name.rpartition("/")[2]
    return bool(_SUFFIX.search(last) or (_VASP_NAME.match(last) and not _OTHER_SUFFIX.search(last)) or is_vasprun(last))


def open_files(path: Path, max_atoms: int) -> Source:
    """Look through a folder or archive for structure files, or take a single one.

    Ids are the names of the files without ending, with as much of the path as makes them unique. A file named POSCAR,
    CONTCAR or vasprun.xml has its folder's name, and those of one folder are one material. A CIF with several crystals
    gives ids NAME-BLOCK. The values of an ``id_prop.csv`` beside the files are properties.

    Args:
        path: File, folder or archive.
        max_atoms: Largest cell that is read.

    Raises:
        SourceError: There are none or too many, or the archive is damaged or a bomb.
    """
    left_out: Counter[str] = Counter()
    listed: list[str] = []

    def wanted(name: str) -> bool:
        if is_structure_file(name):
            return True
        if PurePosixPath(name).name == id_properties.FILE:
            listed.append(name)
            return False
        left_out[PurePosixPath(name).suffix.lower() or "no ending"] += 1
        return False

    names = [file.name for file in files(path, wanted, content=False)]
    if not names:
        raise NoFilesError(
            f"no CIF or POSCAR file in {path}",
            "endings read: .cif .vasp .poscar .contcar (.gz .bz2 .xz .zst), names POSCAR… CONTCAR… vasprun.xml",
        )
    runs = runs_of(names)
    ids = shortest_ids(list(dict.fromkeys(runs.values())), _without_ending, _stem)
    if path.is_dir() and "POSCAR" in ids and len(ids) == 1:
        ids["POSCAR"] = path.resolve().name
    values = _values(path, listed, list(ids.values()))
    schema = pa.schema([*_SCHEMA, *(values.schema if values else ())])
    source = Source(str(path), schema, len(ids), partial(_batches, path, runs, ids, max_atoms, schema, values))
    if values is not None:
        source.bad_lines.extend(values.without_file(list(ids.values())))
        source.notes.append(f"values of {values.name} are in {', '.join(values.schema.names)}")
    elif listed:
        source.notes.append(f"several files {id_properties.FILE} left out: import each folder on its own")
    several = sum(count > 1 for count in Counter(runs.values()).values())
    if several:
        source.notes.append(
            f"{several:,} VASP runs with several structure files, one material each: the end of vasprun.xml, "
            "or else CONTCAR, or else POSCAR"
        )
    if left_out:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in left_out.most_common(_KINDS_SHOWN))
        source.notes.append(f"{left_out.total():,} files that are neither CIF nor POSCAR left out: {kinds}")
    return source


def _values(path: Path, listed: list[str], ids: list[str]) -> IdProperties | None:
    if len(listed) != 1:
        return None
    return id_properties.read_id_properties(path, listed[0]).of_files(ids, _without_ending)


def _batches(
    path: Path,
    runs: dict[str, str],
    ids: dict[str, str],
    max_atoms: int,
    schema: pa.Schema,
    values: IdProperties | None,
) -> Iterator[Batch]:
    for some, crystals in bounded(_crystals(path, runs, ids, max_atoms)):
        columns, unread = values.columns(some) if values else ([], [])
        yield Batch(
            pa.RecordBatch.from_arrays([pa.array(some, pa.string()), *columns], schema=schema), crystals, unread
        )


def _crystals(
    path: Path, runs: dict[str, str], ids: dict[str, str], max_atoms: int
) -> Iterator[tuple[str, Crystal | StructureError]]:
    read = ((file.name, _read(file, max_atoms)) for file in files(path, runs.__contains__, content=True))
    for run, found in one_each(read, runs):
        identifier = ids[run]
        names = [name or str(place) for place, (name, _) in enumerate(found)]
        for name, (_, crystal) in zip(_distinct(names), found, strict=True):
            yield identifier if len(found) == 1 else f"{identifier}-{name}", crystal


def _distinct(names: list[str]) -> list[str]:
    """Number blocks of one name, such as ``data_global``, in their order: ``global-1``, ``global-2``."""
    counts, numbers, taken = Counter(names), Counter[str](), set(names)
    distinct = []
    for name in names:
        new = name
        while counts[name] > 1 and new in taken:
            numbers[name] += 1
            new = f"{name}-{numbers[name]}"
        taken.add(new)
        distinct.append(new)
    return distinct


def _without_ending(name: str) -> str:
    return _COMPRESSED.sub("", _SUFFIX.sub("", name))


def _stem(name: str) -> str:
    folder, _, last = name.rpartition("/")
    if folder and plain_name(last).upper() in ("POSCAR", "CONTCAR", "VASPRUN.XML"):
        last = folder.rpartition("/")[2]
    return _without_ending(last)


def _read(file: File, max_atoms: int) -> Found:
    from matlake.materials.structure_files.cif import read_cif
    from matlake.materials.structure_files.poscar import parse_poscar
    from matlake.materials.structure_files.text import decode
    from matlake.materials.structure_files.vasprun import parse_vasprun

    try:
        if isinstance(file.content, StructureError):
            raise file.content
        content = unpack(file.content)
        if not content.strip():
            return []
        if is_vasprun(file.name):
            return [("", parse_vasprun(content, max_atoms=max_atoms))]
        text = decode(content)
        if plain_name(file.name).endswith(".cif"):
            return read_cif(text, max_atoms=max_atoms)
        return [("", parse_poscar(text, max_atoms=max_atoms))]
    except StructureError as error:
        return [("", error)]
