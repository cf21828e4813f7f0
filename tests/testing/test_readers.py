"""The check of a reader finds each manner in which one can be wrong."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matlake.errors import StructureError
from matlake.materials.crystal import make_crystal
from matlake.materials.structure_files.poscar import parse_poscar
from matlake.store.importing.readers import Reader, Record
from matlake.testing import check_reader

SALT = """salt
1.0
5.6 0 0
0 5.6 0
0 0 5.6
Na Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
"""
NAMES = itertools.count()


def read(content: bytes, max_atoms: int) -> Iterator[Record]:
    yield Record({"gap_eV": 5.0}, parse_poscar(content.decode(errors="replace"), max_atoms=max_atoms))


GOOD = Reader("mine", (".mine",), read)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mine").write_text(SALT)
    return tmp_path


def test_a_sound_reader_passes(folder: Path) -> None:
    check_reader(GOOD, folder)
    check_reader(GOOD, folder / "a.mine")


def test_a_reader_of_formulas_passes(tmp_path: Path) -> None:
    def lines(content: bytes, _: int) -> Iterator[Record]:
        for line in content.decode(errors="replace").split():
            yield Record({"formula": line}, None, has_structure=False)

    (tmp_path / "a.mine").write_text("TiO2 NaCl")
    check_reader(replace(GOOD, read=lines), tmp_path)


def unlimited(content: bytes, _: int) -> Iterator[Record]:
    return read(content, 1000)


def credulous(content: bytes, max_atoms: int) -> Iterator[Record]:
    if not content:
        raise IndexError("list index out of range")
    return read(content, max_atoms)


def forgetful(content: bytes, max_atoms: int) -> Iterator[Record]:
    (record,) = read(content, max_atoms)
    return iter([replace(record, properties={"number": next(NAMES)})])


def nested(content: bytes, max_atoms: int) -> Iterator[Record]:
    (record,) = read(content, max_atoms)
    return iter([replace(record, properties={"symmetry": {"number": 225}})])


def double(content: bytes, max_atoms: int) -> Iterator[Record]:
    (record,) = read(content, max_atoms)
    return iter([replace(record, properties={"id": "same"})])


def without_crystals(content: bytes, max_atoms: int) -> Iterator[Record]:
    (record,) = read(content, max_atoms)
    return iter([replace(record, crystal=None)])


def speechless(_content: bytes, _max_atoms: int) -> Iterator[Record]:
    return iter([Record({}, StructureError(""))])


def one_atom(_content: bytes, _max_atoms: int) -> Iterator[Record]:
    return iter([Record({}, make_crystal([1], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 0]]))])


def from_the_web(content: bytes, max_atoms: int) -> Iterator[Record]:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=0.1)
    return read(content, max_atoms)


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        (replace(GOOD, name="My Format"), "its name 'My Format' is not"),
        (replace(GOOD, endings=("mine",)), "its ending 'mine' is not like '.res'"),
        (replace(GOOD, endings=(".other",)), "there is no file at .* with one of its endings: .other"),
        (replace(GOOD, read=unlimited), "it reads 2 atoms where 1 are allowed"),
        (replace(GOOD, read=credulous), "it raises IndexError for what begins with b'', no StructureError"),
        (replace(GOOD, read=forgetful), "it reads one file twice in two manners"),
        (replace(GOOD, read=nested), "the property symmetry is of type dict"),
        (replace(GOOD, read=double), "several records have the id same"),
        (replace(GOOD, read=without_crystals), "a record's crystal is a NoneType"),
        (replace(GOOD, read=speechless), "a record without a crystal gives no reason"),
        (replace(GOOD, read=one_atom), "has a crystal of two or more atoms"),
        (replace(GOOD, read=from_the_web), "it opens a connection to a network"),
        (read, "it is of type function"),
    ],
)
def test_each_fault_is_found(folder: Path, reader: Any, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        check_reader(reader, folder)
