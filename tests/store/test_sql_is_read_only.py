"""No statement writes anything anywhere, and none reads more than the views: the digest of every file says so."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import hostile_sql
import pyarrow as pa
import pytest
from samples import LAKE_0_1_0

from matlake import import_table, open_lake
from matlake.errors import QueryError
from matlake.regress.features.matrix import read_matrix
from matlake.store import limits, sql, write_barrier
from matlake.store.embedding.embedder import embed
from matlake.store.lake import Lake
from matlake.store.pure_reads import PureRead
from matlake.store.views import Views

WRITERS = tuple(
    around.replace("{statement}", copy)
    for number, copy in enumerate(hostile_sql.COPIES)
    for around in (hostile_sql.AROUND if number == 0 else hostile_sql.AROUND[:4])
)
REFUSED = (*WRITERS, *hostile_sql.CHANGES, *hostile_sql.READS)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a real lake, a file beside it, a working folder, and a folder of temporary files."""
    shutil.copytree(LAKE_0_1_0, tmp_path / "lake")
    (tmp_path / "beside.csv").write_text("a\nSi\n")
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "here.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    limits._make_root.cache_clear()
    limits.spill_root()
    yield tmp_path
    limits._make_root.cache_clear()


def names(place: Path) -> dict[str, str]:
    """Return what the braces of the hostile statements stand for."""
    lake = place / "lake"
    return {
        "part": str(next(iter(sorted(lake.glob("embeddings/*/*/*/*.parquet"))))),
        "card": str(next(iter(sorted(lake.glob("heads/*/card.json"))))),
        "marker": str(lake / "lake.json"),
        "lake": str(lake),
        "beside": str(place / "beside.csv"),
        "temporary": str(place / "temporary"),
    }


def everything(place: Path) -> dict[str, str]:
    """Return the digest of every file, and the name of every folder."""
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in place.rglob("*")
    }


def outside() -> set[Path]:
    return set(Path("/dev/shm").glob("matlake*"))  # noqa: S108 - the name that a hostile statement writes to


def test_at_least_150_hostile_statements_are_refused_and_change_nothing(place: Path) -> None:
    lake, known, python_variable = open_lake(place / "lake"), names(place), pa.table({"a": [1]})
    before, elsewhere = everything(place), outside()
    assert sum("heads/" in name or "embeddings/" in name for name in before) > 10
    accepted = []
    for template in REFUSED:
        statement = template.format(**known)
        try:
            lake.query(statement)
        except QueryError:
            continue
        accepted.append(statement)
    assert not accepted, "\n".join(accepted)
    assert len(set(REFUSED)) >= 150
    assert everything(place) == before
    assert outside() == elsewhere
    assert python_variable.num_rows == 1


def test_pure_reads_are_answered_and_change_nothing(place: Path) -> None:
    lake, known = open_lake(place / "lake"), names(place)
    before = everything(place)
    for statement in hostile_sql.PURE:
        assert lake.query(statement.format(**known)).num_columns, statement
    assert everything(place) == before


def test_nothing_is_written_even_if_statements_are_not_looked_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second layer: the thread that runs a statement cannot write, nor can the threads that DuckDB starts."""
    outcome: list[bool] = []
    thread = threading.Thread(target=lambda: outcome.append(write_barrier.forbid_writes(place / "temporary")))
    thread.start()
    thread.join()
    if outcome != [True]:
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setattr(
        sql, "pure_read", lambda _, statement: PureRead(statement, frozenset({"materials"}), frozenset())
    )
    lake, known = open_lake(place / "lake"), names(place)
    before, elsewhere = everything(place), outside()
    denied = 0
    for template in (*WRITERS, *hostile_sql.CHANGES):
        if "enable_logging" in template:  # DuckDB 1.5 ends the process where it may not write its log
            continue
        try:
            lake.query(template.format(**known))
        except QueryError as error:
            denied += "Permission denied" in str(error)
        except AttributeError:  # a statement without a result
            continue
    assert everything(place) == before
    assert outside() == elsewhere
    assert denied > 10  # they were run, and it was the kernel that refused


def test_the_barrier_ends_with_the_query(place: Path) -> None:
    lake = open_lake(place / "lake")
    lake.query("SELECT 1")
    import_table(lake, place / "beside.csv", "later", formula_column="a")


@pytest.mark.parametrize(
    "where",
    [
        "formula IN (SELECT content FROM read_text('{beside}'))",
        "EXISTS (SELECT * FROM query('SELECT 1'))",
        "getenv('HOME') <> ''",
        "nelements = 2) OR (true",
        "true ORDER BY 1",
        "write_log('x') IS NULL",
        "true); COPY (SELECT 1) TO '{part}'; SELECT (true",
        "EXISTS (WITH x AS (COPY (SELECT 1) TO '{part}') SELECT 1)",
    ],
)
def test_predicates_reach_no_further_than_statements(place: Path, where: str) -> None:
    lake, predicate = open_lake(place / "lake"), where.format(**names(place))
    before = everything(place)
    with pytest.raises(QueryError):
        read_matrix(lake, "band_gap_eV", (), where=predicate)
    with pytest.raises(QueryError):
        embed(lake, ["magpie"], where=predicate)
    assert before.items() <= everything(place).items()


def test_views_reach_no_further_than_statements(place: Path) -> None:
    """A stranger's lake holds names, and names are quoted wherever they stand in SQL."""
    lake = open_lake(place / "lake")
    views = lake.query("SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal").to_pylist()
    files = {str(path) for path in (place / "lake").rglob("*.parquet")}
    assert views
    for view in views:
        for word in "\n".join(view["sql"].split("'")[1::2]).splitlines():
            is_path = word.startswith("/") and word != "/"  # which stands between a dataset and an id
            assert not is_path or word in files, f"{view['view_name']} reads {word}"


def test_duckdb_may_open_the_tables_and_no_other_folder(place: Path) -> None:
    lake = open_lake(place / "lake")
    (row,) = lake.query("SELECT value FROM duckdb_settings() WHERE name = 'allowed_directories'").to_pylist()
    assert all(f"{lake.path}/{name}/" in row["value"] for name in ("datasets", "embeddings", "failures"))
    assert f"{lake.path}/heads" not in row["value"]


def test_the_connection_is_closed_to_files_before_it_reads_any(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[object] = []

    def note(lake: Lake, connection: duckdb.DuckDBPyConnection) -> Views:
        settings.extend(
            connection.execute(
                "SELECT value FROM duckdb_settings() WHERE name IN ('enable_external_access', 'lock_configuration', "
                "'autoinstall_known_extensions', 'autoload_known_extensions') ORDER BY name"
            ).fetchall()
        )
        return Views(lake, connection)

    monkeypatch.setattr(sql, "Views", note)
    open_lake(place / "lake").query("SELECT 1")
    assert settings == [("false",), ("false",), ("false",), ("true",)]
