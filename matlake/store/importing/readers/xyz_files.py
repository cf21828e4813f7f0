"""Extended XYZ as a source: a crystal a frame, its ``key=value`` pairs as properties."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from matlake.errors import SourceError, StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import NO_NAMES, KeyColumns, Source
from matlake.store.importing.readers.streams import open_bytes, plain_name

_LONGEST_LINE: Final = 1 << 20
_DIGITS: Final = 12


def is_xyz(path: Path) -> bool:
    """Tell by its name whether a file is XYZ."""
    return plain_name(path).endswith((".xyz", ".extxyz"))


def open_xyz(path: Path, max_atoms: int, named: KeyColumns = NO_NAMES) -> Source:
    """Look at an extended XYZ file, plain or compressed.

    Args:
        path: The file.
        max_atoms: Largest cell that is read.
        named: Properties that are formulas or ids, besides those by usual names.

    Raises:
        SourceError: It holds no frame, or a line of more than a megabyte.
    """

    def read(structures: bool) -> Iterator[Record]:
        with open_bytes(path) as stream:
            yield from _frames(_lines(path, stream), max_atoms if structures else None)

    return open_records(str(path), read, named)


def _frames(lines: Iterator[tuple[int, str]], max_atoms: int | None) -> Iterator[Record]:
    """Yield the frames, without structures where ``max_atoms`` is None."""
    from matlake.materials.structure_files.extended_xyz import crystal_of_frame, read_comment, scalars

    for number, line in lines:
        count = line.strip()
        if not count:
            continue
        if not count.isdecimal() or len(count) > _DIGITS:
            reason = f"line {number} should hold a number of atoms: {count[:40]!r}; nothing after it can be read"
            yield Record({}, StructureError(reason))
            return
        pairs = read_comment(next(lines, (0, ""))[1])
        total = int(count)
        atoms: list[str] = []
        seen = 0
        for _, atom in islice(lines, total):
            seen += 1
            if max_atoms is not None and seen <= max_atoms:
                atoms.append(atom)
        crystal: Crystal | StructureError | None = None
        if seen < total:
            crystal = StructureError(f"the file ends after {seen:,} of {total:,} atoms")
        elif max_atoms is not None and total > max_atoms:
            crystal = TooManyAtomsError.of(total, max_atoms)
        elif max_atoms is not None:
            try:
                crystal = crystal_of_frame(pairs, atoms, max_atoms=max_atoms)
            except StructureError as error:
                crystal = error
        yield Record(scalars(pairs), crystal)


def _lines(path: Path, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    number = 0
    while line := stream.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise SourceError(f"line {number} of {path} is longer than a megabyte: not an XYZ file")
        yield number, line.decode("utf-8", errors="replace")
