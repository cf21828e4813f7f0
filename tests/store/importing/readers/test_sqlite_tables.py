"""Tables of SQLite databases that are not ASE's."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from opened_sources import read
from structures import CSCL

from matlake.errors import SourceError


def write(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


OXIDES = (
    "CREATE TABLE oxides (material_id TEXT, formula TEXT, gap_eV REAL, n INTEGER, note BLOB)",
    "INSERT INTO oxides VALUES ('0012', 'MgO', 7.8, 1, NULL), ('b', 'CaO', NULL, 2, x'00ff')",
)


def test_the_only_table_is_read(tmp_path: Path) -> None:
    found = read(write(tmp_path / "t.sqlite", *OXIDES))
    assert found.rows == [
        {"material_id": "0012", "formula": "MgO", "gap_eV": 7.8, "n": 1},
        {"material_id": "b", "formula": "CaO", "gap_eV": None, "n": 2},
    ]
    assert found.notes == ["properties left out because they are not single values: note"]


def test_of_several_tables_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.db", *OXIDES, 'CREATE TABLE "other ""one" (formula)', "CREATE VIEW v AS SELECT 1")
    with pytest.raises(SourceError, match='several tables: other "one, oxides') as error:
        read(path)
    assert f"{path}::other" in error.value.hint
    assert len(read(f"{path}::oxides").rows) == 2
    with pytest.raises(SourceError, match="has no table 'v'"):
        read(f"{path}::v")


def test_a_database_in_use_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.db", *OXIDES)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **named, timeout=0))
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="in use by another program"):
            read(path)


def test_structures_in_a_column_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER, cif TEXT)")
        connection.execute("INSERT INTO t VALUES (1, ?), (2, 'none')", (CSCL,))
        connection.commit()
    found = read(path)
    assert found.formulas[0] == "CsCl"
    assert found.rows == [{"id": "1"}, {"id": "2"}]


def test_columns_that_compute_are_not_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.db",
        "CREATE TABLE t (formula TEXT, big BLOB GENERATED ALWAYS AS (zeroblob(1000000000)) VIRTUAL)",
        "INSERT INTO t VALUES ('MgO')",
    )
    assert read(path).rows == [{"formula": "MgO"}]
