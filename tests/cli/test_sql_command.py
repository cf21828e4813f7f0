"""``sql``: the format follows the ending, files arrive whole, and a query can be stopped."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from samples import LAKE_0_1_0, Cli

from matlake import open_lake
from matlake.errors import QueryError
from matlake.locks import LOCKED
from matlake.store import limits
from matlake.store.limits import _container_limits, _remove_abandoned, default_memory, parse_size

LONG = "a text that is longer than the sixty characters that the table for people shows of it"
STATEMENT = (
    f"SELECT 1/3 AS third, '{LONG}' AS text, [1.5, 2, 3, 4, 5, 6] AS list, 170141183460469231731::HUGEINT AS big"
)
ENDLESS = "SELECT sum(a.i * b.i) FROM range(100000000) AS a(i), range(100000000) AS b(i)"


@pytest.fixture(scope="module")
def old_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that 0.1.0 made; nothing here changes it."""
    return Path(shutil.copytree(LAKE_0_1_0, tmp_path_factory.mktemp("old") / "lake"))


@pytest.mark.parametrize("ending", [".csv", ".CSV", ".tsv", ".json", ".jsonl", ".parquet", ".arrow", ".feather"])
def test_the_format_follows_the_ending_with_full_precision(old_lake: Path, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"result{ending}"
    assert not Cli(old_lake)("sql", STATEMENT, "--output", str(file))
    match ending.lower():
        case ".csv" | ".tsv":
            delimiter = "," if ending.lower() == ".csv" else "\t"
            (row,) = csv.DictReader(file.read_text().splitlines(), delimiter=delimiter)
            row = {**row, "list": json.loads(row["list"]), "third": float(row["third"])}
        case ".json":
            (row,) = json.loads(file.read_text())
        case ".jsonl":
            (row,) = map(json.loads, file.read_text().splitlines())
        case ".parquet":
            (row,) = pq.read_table(file).to_pylist()
        case _:
            (row,) = feather.read_table(file).to_pylist()
    assert row["third"] == 1 / 3
    assert row["text"] == LONG
    assert row["list"] == [1.5, 2, 3, 4, 5, 6]
    assert int(row["big"]) == 170141183460469231731
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("x.xlsx", []),
        ("x", []),
        ("x.csv.gz", []),
        ("x.csv", ["--format", "json"]),
        ("x.parquet", ["--format", "table"]),
        ("missing/x.csv", []),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_query_runs(
    old_lake: Path, tmp_path: Path, target: str, arguments: list[str]
) -> None:
    started = time.monotonic()
    Cli(old_lake)("sql", ENDLESS, "--output", str(tmp_path / target), *arguments, code=2)
    assert time.monotonic() - started < 60
    assert not list(tmp_path.iterdir())


def test_files_of_the_lake_are_no_output(old_lake: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in old_lake.rglob("*")}
    part = next(iter(old_lake.glob("embeddings/*/*/*/*.parquet")))
    for target in (part, old_lake / "lake.json", old_lake / "heads" / "new.csv", old_lake / "datasets" / "x.parquet"):
        Cli(old_lake)("sql", "SELECT 1", "--output", str(target), code=1)
    assert {path: path.stat().st_mtime_ns for path in old_lake.rglob("*")} == before


def test_a_file_that_was_there_stays_when_the_query_fails(old_lake: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("precious")
    Cli(old_lake)("sql", "SELECT 1 FROM nothing", "--output", str(tmp_path / "x.csv"), code=1)
    Cli(old_lake)("sql", "SELECT INTERVAL 1 MONTH", "--output", str(tmp_path / "x.parquet"), code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert (tmp_path / "x.csv").read_text() == "precious"


def test_json_holds_no_number_that_json_does_not_have(old_lake: Path) -> None:
    answer = Cli(old_lake)("sql", "SELECT 'nan'::DOUBLE AS a, 'inf'::DOUBLE AS b, 1 AS c, 2 AS c", "--format", "json")
    assert json.loads(answer) == [{"a": None, "b": None, "c": 1, "c_1": 2}]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_query_stops_at_a_signal_and_leaves_nothing(old_lake: Path, tmp_path: Path, number: signal.Signals) -> None:
    target, temporary = tmp_path / "x.csv", tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "matlake", "--lake", str(old_lake), "sql", ENDLESS, "--output", str(target)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(temporary.iterdir()):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2)  # the query runs by now
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert not target.exists()
    if number is signal.SIGINT:
        assert process.returncode == 1
        assert errors.startswith("error: interrupted") or "\nerror: interrupted" in errors
        assert not list(temporary.iterdir())
    else:
        assert process.returncode != 0


def test_a_query_that_takes_too_long_ends_in_a_line(old_lake: Path) -> None:
    lake, started = open_lake(old_lake), time.monotonic()
    with pytest.raises(QueryError, match=r"took more than 0\.5 s") as caught:
        lake.query(ENDLESS, max_seconds=0.5)
    assert time.monotonic() - started < 20
    assert "max_seconds" in caught.value.hint
    assert "--max-seconds" in caught.value.cli_hint
    Cli(old_lake)("sql", ENDLESS, "--max-seconds", "0.5", code=1)
    assert lake.query("SELECT 1 AS one", max_seconds=60).to_pylist() == [{"one": 1}]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT list(i) FROM range(300000000) AS t(i)",
        "SELECT * FROM range(10000000000) AS t(i)",
    ],
)
def test_a_query_that_takes_too_much_memory_ends_in_a_line(old_lake: Path, statement: str) -> None:
    with pytest.raises(QueryError, match=r"100 MB") as caught:
        open_lake(old_lake).query(statement, memory_limit="100MB")
    assert "\n" not in str(caught.value)
    assert "--memory-limit" in caught.value.cli_hint


def test_a_query_may_spill_and_nothing_is_left(old_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statement = "SELECT count(*) AS n FROM (SELECT i, md5(i::VARCHAR) AS m FROM range(3000000) AS t(i) ORDER BY m, i)"
    lake = open_lake(old_lake)
    lake.query("SELECT 1")
    assert lake.query(statement, memory_limit="128MiB").to_pylist() == [{"n": 3_000_000}]
    assert [path.name for path in limits.spill_root().iterdir()] == [LOCKED]
    monkeypatch.setattr("matlake.store.limits.spill_root", lambda: old_lake)
    assert limits.spill_folder(old_lake) is None  # never in the lake


def test_a_query_runs_where_nothing_can_be_spilled(old_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    limits._make_root.cache_clear()
    try:
        lake = open_lake(old_lake)
        assert limits.spill_root() is None
        assert lake.query("SELECT count(*) AS n FROM gaps").to_pylist() == [{"n": 120}]
        statement = "SELECT i, md5(i::VARCHAR) AS m FROM range(10000000) AS t(i) ORDER BY m, i"
        with pytest.raises(QueryError, match="100 MB of memory"):
            lake.query(f"SELECT count(*) FROM ({statement} LIMIT 9000000)", memory_limit="100MB")
    finally:
        limits._make_root.cache_clear()


def test_sizes_of_memory_are_read() -> None:
    assert parse_size("2GB") == 2_000_000_000
    assert parse_size(" 1.5 GiB ") == 3 << 29
    assert parse_size("500m") == 500_000_000
    for text in ("", "2", "-1GB", "1MB", "80%", "x", "1e9GB", "2 GBs"):
        with pytest.raises(QueryError):
            parse_size(text)


def test_a_quarter_of_what_the_container_has_is_the_default(tmp_path: Path) -> None:
    membership, mounted = tmp_path / "cgroup", tmp_path / "sys"
    (mounted / "a" / "b").mkdir(parents=True)
    (mounted / "memory" / "c").mkdir(parents=True)
    (mounted / "a" / "memory.max").write_text("4000000000\n")
    (mounted / "a" / "b" / "memory.max").write_text("max\n")
    (mounted / "memory" / "c" / "memory.limit_in_bytes").write_text("3000000000\n")
    membership.write_text("0::/a/b\n7:memory:/c\n5:cpu:/d\n")
    assert sorted(_container_limits(membership, mounted)) == [3_000_000_000, 4_000_000_000]
    assert _container_limits(tmp_path / "none", mounted) == []
    assert 0 < default_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def test_what_killed_processes_have_spilled_is_removed(tmp_path: Path) -> None:
    left, young, other = tmp_path / "matlake-spilled-old", tmp_path / "matlake-spilled-young", tmp_path / "else"
    for folder in (left, young, other):
        (folder / "deep").mkdir(parents=True)
    for folder in (left, other):
        os.utime(folder, (0, 0))
    _remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["else", "matlake-spilled-young"]
    root = limits.spill_root()
    os.utime(root, (0, 0))
    _remove_abandoned(root.parent)
    assert root.is_dir()  # its process lives


def test_connections_of_all_commands_are_limited(old_lake: Path) -> None:
    with open_lake(old_lake).connect() as connection:
        kept = dict(
            connection.execute(
                "SELECT name, value FROM duckdb_settings() WHERE name IN ('memory_limit', 'max_temp_directory_size')"
            ).fetchall()
        )
    assert all(not value.startswith("90%") for value in kept.values())
    assert len(kept) == 2
