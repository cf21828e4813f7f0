"""The contract of a reader: records of every file, a reason for what cannot be read, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matlake.errors import StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal
from matlake.store.importing.readers import Batch, Reader, Record
from matlake.store.importing.readers.plugin_readers import open_with
from matlake.store.importing.readers.source import ID_COLUMNS, usual_column
from matlake.testing.requirements import no_network, require, require_name

_NOISE: Final = bytes(range(256)) * 8
_CUTS: Final = (0.3, 0.6, 0.9)


def check_reader(reader: Reader, path: str | Path) -> None:
    """Check what ``import`` relies on, with files of the format.

    Every file gives records, each with a crystal or the reason why there is none, or with a formula alone
    (``has_structure=False``); their properties are single values; ids differ; reading twice gives the same; a cell
    larger than allowed is a ``StructureError``, and so is the only error that a file which is cut off, empty or of
    another format may raise; and nothing is read from a network.

    Args:
        reader: What the entry point in ``matlake.readers`` stands for.
        path: A file of the format, or a folder of them. Of crystals, at least one has two or more atoms.

    Raises:
        AssertionError: One of these does not hold.
        SourceError: The files hold no records, or properties that SQL cannot tell apart.
    """
    require(isinstance(reader, Reader), f"it is of type {type(reader).__name__}, not ….importing.readers.Reader")
    require_name(reader.name)
    for ending in reader.endings:
        plain = ending.startswith(".") and ending == ending.lower()
        require(plain, f"its ending {ending!r} is not like '.res', in lower case")
    with no_network():
        contents = _contents(reader, Path(path))
        found = [record for content in contents for record in _check_file(reader, content)]
        if any(record.has_structure for record in found):
            largest = max((len(one.crystal.numbers) for one in found if isinstance(one.crystal, Crystal)), default=0)
            require(largest > 1, f"none of the {len(found)} records at {path} has a crystal of two or more atoms")
            for content in contents:
                _check_limit(reader, content, largest - 1)
        for content in (
            b"",
            _NOISE,
            *(content[: int(share * len(content))] for content in contents for share in _CUTS),
        ):
            _check_damaged(reader, content)
        _check_import(reader, Path(path))


def _contents(reader: Reader, path: Path) -> list[bytes]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    contents = [file.read_bytes() for file in files if file.name.lower().endswith(reader.endings)]
    require(contents, f"there is no file at {path} with one of its endings: {' '.join(reader.endings)}")
    return contents


def _check_file(reader: Reader, content: bytes) -> list[Record]:
    first, second = (_read_or_refuse(reader, content, MAX_ATOMS) for _ in range(2))
    require([_key(one) for one in first] == [_key(one) for one in second], "it reads one file twice in two manners")
    for record in first:
        given = isinstance(record.crystal, Crystal | StructureError) or not record.has_structure
        require(given, f"a record's crystal is a {type(record.crystal).__name__}, no Crystal")
        for name, value in record.properties.items():
            single = value is None or isinstance(value, bool | int | float | str)
            require(single, f"the property {name} is of type {type(value).__name__}: tables hold single values")
        if isinstance(record.crystal, StructureError):
            require(str(record.crystal), "a record without a crystal gives no reason")
    return first


def _key(record: Record) -> tuple[Any, ...]:
    crystal = record.crystal
    found = crystal.content_hash if isinstance(crystal, Crystal) else str(crystal)
    return (found, *((name, repr(value)) for name, value in sorted(record.properties.items())))


def _check_limit(reader: Reader, content: bytes, max_atoms: int) -> None:
    for record in _read_or_refuse(reader, content, max_atoms):
        if isinstance(record.crystal, Crystal):
            atoms = len(record.crystal.numbers)
            require(
                atoms <= max_atoms, f"it reads {atoms} atoms where {max_atoms} are allowed: that is a StructureError"
            )


def _check_damaged(reader: Reader, content: bytes) -> None:
    """A damaged file may give fewer records, or reasons; whatever crystal it gives is one."""
    for record in _read_or_refuse(reader, content, MAX_ATOMS):
        if isinstance(record.crystal, Crystal):
            require(len(record.crystal.numbers), "it makes a crystal without atoms of a damaged file")


def _read_or_refuse(reader: Reader, content: bytes, max_atoms: int) -> list[Record]:
    try:
        return list(reader.read(content, max_atoms))
    except StructureError as error:
        require(str(error), "it raises a StructureError without a reason")
        return []
    except Exception as error:
        start = content[:20]
        message = f"it raises {type(error).__name__} for what begins with {start!r}, no StructureError: {error}"
        raise AssertionError(message) from error


def _check_import(reader: Reader, path: Path) -> None:
    source = open_with([reader], path, MAX_ATOMS)
    if source is None:
        raise AssertionError(f"no file at {path} has one of its endings")
    batches: Sequence[Batch] = list(source.batches())
    rows = sum(batch.columns.num_rows for batch in batches)
    require(rows == source.rows, f"{rows} rows come of {source.rows}")
    column = usual_column(source.schema.names, ID_COLUMNS)
    ids = [name for batch in batches for name in batch.columns[column or ID_COLUMNS[0]].to_pylist()]
    double = {name for name in ids if ids.count(name) > 1}
    require(not double, f"several records have the id {', '.join(sorted(map(str, double)))}")
