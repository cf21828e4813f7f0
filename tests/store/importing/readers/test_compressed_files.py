"""Files that are compressed with gzip, bzip2, xz or Zstandard, and tables in zip archives."""

import bz2
import gzip
import json
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened_sources import optimade_entry, read
from structures import CSCL, POSCAR

from matlake.errors import SourceError


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd,
}
TABLE = "formula,gap_eV\nMgO,7.8\nCaO,7.0\n"
FILES = {
    "t.csv": (TABLE, 2),
    "t.tsv": (TABLE.replace(",", "\t"), 2),
    "t.json": (json.dumps({"data": [optimade_entry(), optimade_entry("Ca")]}), 2),
    "t.jsonl": ("\n".join(json.dumps(optimade_entry(metal)) for metal in ("Mg", "Ca")), 2),
    "t.xyz": ('1\nLattice="3 0 0 0 3 0 0 0 3" moment=2.2\nFe 0 0 0\n', 1),
    "t.cif": (CSCL, 1),
    "CONTCAR": (POSCAR, 1),
}


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("name", FILES)
def test_a_compressed_file_is_read_like_a_plain_one(tmp_path: Path, name: str, ending: str) -> None:
    text, rows = FILES[name]
    (tmp_path / name).write_text(text)
    (tmp_path / f"{name}{ending}").write_bytes(PACK[ending](text.encode()))
    plain, packed = read(tmp_path / name), read(tmp_path / f"{name}{ending}")
    assert len(plain.rows) == rows
    assert (packed.rows, packed.formulas) == (plain.rows, plain.formulas)


@pytest.mark.parametrize("ending", PACK)
def test_a_compressed_file_that_is_cut_off_is_damaged(tmp_path: Path, ending: str) -> None:
    for name, text in (("t.csv", TABLE * 999), ("t.json", FILES["t.json"][0])):
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(PACK[ending](text.encode())[:-20])
        with pytest.raises(SourceError, match=r"damaged|cannot read"):
            read(path)


@pytest.mark.parametrize("ending", PACK)
def test_a_bomb_ends_in_one_error(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.store.importing.readers.streams._ALWAYS_ALLOWED", 1 << 20)
    blank = b" " * (3 << 20)
    for name in ("t.csv", "t.jsonl", "t.parquet"):
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(PACK[ending](TABLE.encode() + blank))
        with pytest.raises(SourceError, match="decompression bomb"):
            read(path)


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"formula": ["MgO", "CaO"], "gap_eV": [7.8, 7.0]}), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("name", ["t.csv", "data/t.json", "t.jsonl", "t.parquet", "t.csv.gz"])
def test_a_zip_with_one_table_is_that_table(tmp_path: Path, name: str) -> None:
    records = [{"formula": "MgO", "gap_eV": 7.8}, {"formula": "CaO", "gap_eV": 7.0}]
    contents = {
        "t.csv": TABLE.encode(),
        "data/t.json": json.dumps(records).encode(),
        "t.jsonl": "\n".join(map(json.dumps, records)).encode(),
        "t.parquet": parquet(),
        "t.csv.gz": gzip.compress(TABLE.encode()),
    }
    path = write_zip(tmp_path / "t.zip", {"README.md": b"about", name: contents[name]})
    found = read(path)
    assert found.rows == records
    assert found.source.name == f"{path}::{name}"


def test_a_zip_with_several_tables_asks_which(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "t.zip", {"a.csv": TABLE.encode(), "b.csv": TABLE.replace("Mg", "Ni").encode()})
    with pytest.raises(SourceError, match=r"several tables: a.csv, b.csv") as error:
        read(path)
    assert f"{path}::a.csv" in error.value.hint
    assert read(f"{path}::b.csv").rows[0]["formula"] == "NiO"


def test_what_says_something_about_a_zip_is_not_its_table(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README.txt", "Band gaps of oxides")
        archive.writestr("LICENSE.txt", "CC BY 4.0")
        archive.writestr("gaps.csv", "formula,gap_eV\nMgO,7.8\n")
    assert read(path).rows == [{"formula": "MgO", "gap_eV": 7.8}]


def test_a_zip_with_structure_files_stays_what_it_is(tmp_path: Path) -> None:
    found = read(write_zip(tmp_path / "t.zip", {"a.cif": CSCL.encode(), "about.csv": TABLE.encode()}))
    assert found.formulas == ["CsCl"]
    assert found.notes == ["1 files that are neither CIF nor POSCAR left out: 1 .csv"]


def test_errors_name_the_archive_and_nothing_of_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "unpacked"))
    (tmp_path / "unpacked").mkdir()
    path = write_zip(tmp_path / "t.zip", {"../../t.csv": b"formula\n"})
    with pytest.raises(SourceError, match=r"t.zip::../../t.csv has a header but no rows"):
        read(path)
    read(write_zip(tmp_path / "u.zip", {"t.csv": TABLE.encode()}))
    assert list((tmp_path / "unpacked").iterdir()) == []
    assert not (tmp_path.parent / "t.csv").exists()


def test_a_bomb_in_a_zip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.store.importing.readers.streams._ALWAYS_ALLOWED", 1 << 20)
    with pytest.raises(SourceError, match="decompression bomb"):
        read(write_zip(tmp_path / "t.zip", {"t.csv": b" " * (3 << 20)}))


def test_a_compressed_database_is_unpacked_first(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (formula TEXT, gap_eV REAL)")
        connection.execute("INSERT INTO t VALUES ('MgO', 7.8)")
    connection.close()
    path = tmp_path / "u.db.xz"
    path.write_bytes(lzma.compress((tmp_path / "t.db").read_bytes()))
    assert read(path).rows == [{"formula": "MgO", "gap_eV": 7.8}]
