"""Files in formats that plug-ins read: one file, a folder or an archive of them.

A reader gets the content of a file. Opening, unpacking, limits of size and ids are the same as for all other files, so
that no plug-in has to see to them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias

from matlake.errors import PluginError, StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal
from matlake.plugins import PluginKind, check_kind, check_same_name
from matlake.store.importing.readers.containers import File, files, is_archive, shortest_ids
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import ID_COLUMNS, NO_NAMES, KeyColumns, Source, usual_column
from matlake.store.importing.readers.streams import plain_name, unpack
from matlake.text_tables import in_a_line

ReadRecords: TypeAlias = Callable[[bytes, int], Iterable[Record]]
"""From what is in a file, unpacked, and the most atoms of a cell to its records; raises StructureError for a file that
holds nothing that can be read."""

_LONGEST_REASON: Final = 200


@dataclass(frozen=True)
class Reader:
    """How files of a format are read.

    Attributes:
        name: Name of the format, that of the entry point.
        endings: Of the names of its files, in lower case: ``(".res",)``.
        read: Yields a record for each crystal in a file. A record without an id gets the name of the file; one that
            cannot be read has the reason as its crystal, a ``StructureError``.
    """

    name: str
    endings: tuple[str, ...]
    read: ReadRecords


def _accept(name: str, found: Any) -> Reader:
    """Return what an entry point adds, if it is a reader of its name."""
    check_kind(found, Reader, "matlake.store.importing.readers.Reader")
    reader: Reader = found
    check_same_name(name, reader.name)
    if not reader.endings or not all(one.startswith(".") and one == one.lower() for one in reader.endings):
        raise PluginError(f"its endings are not like '.res': {', '.join(reader.endings) or 'there are none'}")
    return reader


READER_PLUGINS: Final = PluginKind("matlake.readers", "reader", _accept, tuple)
"""Readers of other packages. They are asked for files that matlake itself does not read."""


def open_by_plugin(path: Path, max_atoms: int, named: KeyColumns = NO_NAMES) -> Source | None:
    """Open a file, or a folder or archive of files, that a plug-in reads; None if none does.

    Args:
        path: File, folder or archive.
        max_atoms: Largest cell that is read.
        named: Properties that are formulas or ids, besides those by usual names.

    Raises:
        SourceError: The files hold no records, or properties that SQL cannot tell apart.
    """
    return open_with([reader for _, reader in READER_PLUGINS.usable()], path, max_atoms, named)


def open_with(readers: Iterable[Reader], path: Path, max_atoms: int, named: KeyColumns = NO_NAMES) -> Source | None:
    """Open what one of some readers takes, as ``open_by_plugin`` does."""
    takers = {ending: reader for reader in readers for ending in reader.endings}

    def ending_of(name: str) -> str | None:
        plain = plain_name(name)
        return next((ending for ending in takers if plain.endswith(ending)), None)

    def wanted(name: str) -> bool:
        return ending_of(name) is not None

    if not (path.is_dir() or is_archive(path) or wanted(path.name)):
        return None

    def without_ending(name: str) -> str:
        folder, slash, last = name.rpartition("/")
        return f"{folder}{slash}{last[: len(plain_name(last).removesuffix(ending_of(last) or ''))]}"

    names = [file.name for file in files(path, wanted, content=False)]
    ids = shortest_ids(names, without_ending, lambda name: PurePosixPath(without_ending(name)).name)
    if not ids:
        return None

    def read(structures: bool) -> Iterator[Record]:  # noqa: ARG001 - a reader gives both or neither
        for file in files(path, wanted, content=True):
            yield from records_of(takers[ending_of(file.name) or ""], file, ids[file.name], max_atoms)

    return open_records(str(path), read, named)


def plugin_endings() -> str:
    """Return what a message says of the formats that plug-ins add, and of readers that cannot be used."""
    found = READER_PLUGINS.load()
    endings = [f"{' '.join(one.value.endings)} ({one.package})" for one in found if one.value is not None]
    faults = [f"the reader {one.name!r} of {one.package} cannot be used: {one.fault}" for one in found if one.fault]
    return "; ".join([*endings, *faults])


def records_of(reader: Reader, file: File, identifier: str, max_atoms: int) -> Iterator[Record]:
    """Yield the records of a file, each with an id; a file that cannot be read is a record that says why.

    Args:
        reader: Of its format.
        file: The file, plain or compressed.
        identifier: Id of a record that has none itself; of several, it is numbered.
        max_atoms: Largest cell that is read.
    """
    nothing = Record({}, StructureError(f"{file.name} holds nothing that the reader {reader.name!r} reads"))
    found = list(_read(reader, file, max_atoms)) or [nothing]
    for number, record in enumerate(found, start=1):
        if usual_column(list(record.properties), ID_COLUMNS) is not None:
            yield record
        else:
            numbered = identifier if len(found) == 1 else f"{identifier}-{number}"
            yield replace(record, properties={ID_COLUMNS[0]: numbered, **record.properties})


def _read(reader: Reader, file: File, max_atoms: int) -> Iterator[Record]:
    """Yield what a reader gives; where it fails, that is the last record of the file."""
    if isinstance(file.content, StructureError):
        yield Record({}, file.content)
        return
    try:
        for record in reader.read(unpack(file.content), max_atoms):
            yield _checked(record, max_atoms)
    except StructureError as error:
        yield Record({}, error)
    except Exception as error:  # noqa: BLE001 - one file that a reader fails at must not stop the others
        reason = in_a_line(f"the reader {reader.name!r} failed at {file.name}: {type(error).__name__}: {error}")
        yield Record({}, StructureError(reason[:_LONGEST_REASON]))


def _checked(record: Record, max_atoms: int) -> Record:
    crystal = record.crystal
    if isinstance(crystal, Crystal) and len(crystal.numbers) > max_atoms:
        return replace(record, crystal=TooManyAtomsError.of(len(crystal.numbers), max_atoms))
    return record
