"""Views are made when a statement names them, from snapshots that are read again once a log has changed."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from matlake.errors import QueryError
from matlake.store.importing.importer import import_table
from matlake.store.lake import Lake, open_lake
from matlake.store.tables import delta
from matlake.store.views import Views


def add(lake: Lake, dataset: str, formulas: list[str]) -> None:
    table = lake.path / f"{dataset}.csv"
    table.write_text("\n".join(["formula,gap_eV", *(f"{formula},1.5" for formula in formulas)]))
    import_table(lake, table, dataset)
    table.unlink()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake", create=True)
    add(lake, "gaps", ["GaAs", "GaN", "nonsense!"])
    add(lake, "tables", ["TiO2"])
    return lake


def made(lake: Lake, names: set[str] | None) -> set[str]:
    with duckdb.connect(":memory:") as connection:
        Views(lake, connection).make(names)
        found = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    return {name for (name,) in found}


def test_a_statement_has_the_views_that_it_names_and_those_that_these_read(lake: Lake) -> None:
    every = made(lake, None)
    assert {"materials", "embeddings", "failures", "predictions", "unread_cells", "gaps", "tables"} <= every
    assert made(lake, {"gaps"}) == {"gaps", "rows of gaps"}
    assert made(lake, {"materials"}) == {"materials", "rows of gaps", "rows of tables"}
    assert made(lake, {"gaps", "gasp"}) == every


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SELECT * FROM GAPS", 2),
        ("FROM main.gaps", 2),
        ("FROM memory.main.gaps", 2),
        ("FROM memory.gaps", 2),
        ("WITH gaps AS (FROM gaps LIMIT 1) FROM gaps", 1),
        ("WITH few AS (FROM materials) FROM few, (WITH materials AS (SELECT 1) FROM materials)", 3),
        ("FROM unnest([1, 2]) AS t(x) WHERE EXISTS (FROM tables)", 2),
        ("SELECT (SELECT count(*) FROM failures), (SELECT count(*) FROM internal.compositions)", 1),
        ("SELECT * FROM information_schema.tables WHERE table_name IN ('gaps', 'materials')", 2),
        ("SELECT * FROM duckdb_views() WHERE view_name IN ('gaps', 'materials')", 2),
        ("DESCRIBE gaps", 7),
        ("EXPLAIN FROM gaps", 1),
        ("SELECT 1", 1),
    ],
)
def test_a_statement_finds_its_views_whatever_it_is(lake: Lake, statement: str, rows: int) -> None:
    assert lake.query(statement).num_rows == rows


def test_a_name_that_is_of_no_view_is_answered_with_one_that_is(lake: Lake) -> None:
    with pytest.raises(QueryError, match="materials"):
        lake.query("FROM materals")


def test_a_log_is_read_again_once_it_has_changed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    inner = delta.open_table
    monkeypatch.setattr(
        delta, "open_table", lambda root, version=None: opened.append(root.name) or inner(root, version)
    )
    count = "SELECT count(*) AS n FROM materials"
    assert lake.query(count).to_pylist() == [{"n": 3}]
    opened.clear()
    assert lake.query(count).to_pylist() == [{"n": 3}]
    assert not opened
    add(lake, "gaps", ["SiC"])
    opened.clear()
    assert lake.query(count).to_pylist() == [{"n": 2}]
    assert opened == ["gaps"]
    lake.delete_dataset("gaps")
    add(lake, "gaps", ["SiC", "BN", "BP", "BAs"])  # the first version of another table, under the name of the deleted
    assert lake.query(count).to_pylist() == [{"n": 5}]


def test_a_version_of_a_table_that_was_made_anew_is_not_that_of_the_former(lake: Lake) -> None:
    former = delta.read_snapshot_of(lake.dataset("gaps"), 0)
    lake.delete_dataset("gaps")
    add(lake, "gaps", ["SiC", "BN"])
    later = delta.read_snapshot_of(lake.dataset("gaps"), 0)
    assert former is not None
    assert later is not None
    assert former.parts != later.parts


def test_a_table_is_read_as_one_moment(lake: Lake) -> None:
    with lake.connect() as connection:
        add(lake, "gaps", ["SiC"])
        lake.delete_dataset("tables")
        assert connection.execute("SELECT formula FROM gaps ORDER BY formula").fetchall() == [("GaAs",), ("GaN",)]


def test_views_say_the_types_of_their_columns_though_stand_ins_made_them(lake: Lake) -> None:
    with lake.connect() as connection:
        tables = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
        types = connection.sql("FROM internal.compositions").to_arrow_table().schema
    assert tables == [(0,)]
    assert types.field("fractions").type == pa.list_(pa.float64())
