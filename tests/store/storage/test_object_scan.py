"""Objects as DuckDB reads them: what local files give, by requests for the columns and rows that a query needs."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from object_store import ObjectStore, traffic

from matlake.store.parquet_rows import parquet_rows
from matlake.store.storage.places import lake_path
from matlake.store.storage.remote_path import RemotePath

pytest.importorskip("obstore", reason="needs the extra cloud")

ROWS, GROUP, DIM = 6000, 1000, 256
QUERIES = (
    "SELECT count(*) FROM rows",
    "SELECT sum(x), count(x) FROM rows",
    "SELECT key FROM rows WHERE key = '00004321'",
    "SELECT vector[3] FROM rows WHERE key = '00004321'",
    "SELECT vector[256] FROM rows WHERE key IN ('00000001', '00005999') ORDER BY ALL",
    "SELECT count(*) FROM rows WHERE x IS NULL",
    "SELECT count(*) FROM rows WHERE x > 0.5 AND number < 3000 AND number <> 7",
    "SELECT pair.b FROM rows WHERE pair.a = 5",
    """SELECT sum(number) FROM rows WHERE "weird ""name"", é" = 3""",
    "SELECT key FROM rows ORDER BY number DESC LIMIT 3",
    "SELECT count(*) FROM rows WHERE x > 2",
    "SELECT later FROM rows WHERE later = 'here' LIMIT 1",
    "SELECT count(*) FROM rows WHERE later IS NULL",
)


@pytest.fixture
def both(bucket: str, tmp_path: Path) -> tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]:
    """The same rows in a bucket, to a connection closed to all else, and in a folder; one file lacks a column."""
    random = np.random.default_rng(0)
    table = pa.table(
        {
            "key": [f"{row:08d}" for row in range(ROWS)],
            "x": pa.array(random.random(ROWS), mask=random.random(ROWS) < 0.1),
            "number": np.arange(ROWS),
            "vector": pa.FixedSizeListArray.from_arrays(random.random(ROWS * DIM).astype(np.float32), DIM).cast(
                pa.list_(pa.float32())
            ),
            "pair": [{"a": row, "b": str(row)} for row in range(ROWS)],
            'weird "name", é': np.arange(ROWS) % 7,
        }
    )
    paths = []
    for number, part in enumerate((table.slice(0, ROWS // 2), table.slice(ROWS // 2))):
        given = part.append_column("later", pa.array(["here"] * part.num_rows)) if number else part
        pq.write_table(given, tmp_path / f"{number}.parquet", row_group_size=GROUP, use_dictionary=False)
        path = lake_path(f"{bucket}/a folder/{number}.parquet")
        assert isinstance(path, RemotePath)
        path.upload(tmp_path / f"{number}.parquet")
        paths.append(path)
    remote, local = duckdb.connect(), duckdb.connect()
    remote.execute("SET enable_external_access = false; SET lock_configuration = true")
    remote.execute(f"CREATE VIEW rows AS SELECT * FROM {parquet_rows(remote, paths)}")
    local.execute(f"CREATE VIEW rows AS FROM read_parquet('{tmp_path}/*.parquet', union_by_name = true)")
    return remote, local


def test_queries_give_what_local_files_give(
    both: tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection],
) -> None:
    remote, local = both
    for query in QUERIES:
        given, expected = (np.array(connection.execute(query).fetchall()) for connection in both)
        assert given.shape == expected.shape, query
        if given.dtype.kind == "f":
            np.testing.assert_allclose(given, expected, rtol=1e-12, err_msg=query)
        else:
            assert (given == expected).all(), query
    assert remote.sql("SELECT * FROM rows").columns == local.sql("SELECT * FROM rows").columns


def test_a_query_reads_the_columns_and_row_groups_that_it_needs(
    both: tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection], object_store: ObjectStore
) -> None:
    remote, _ = both

    def read(query: str) -> tuple[int, int]:
        with object_store.recording() as requests:
            remote.execute(query).fetchall()
        return traffic(requests)

    vectors = ROWS * DIM * 4
    ends = 2 * (128 << 10)
    _, everything = read("SELECT sum(vector[1]) FROM rows")
    assert vectors < everything < 1.2 * vectors + ends
    _, counted = read("SELECT count(*) FROM rows")
    assert counted < 0.1 * vectors + ends
    _, one_column = read("SELECT sum(x) FROM rows")
    assert one_column < 0.1 * vectors + ends
    _, one_row = read("SELECT vector FROM rows WHERE key = '00004321'")
    assert one_row < (GROUP / ROWS + 0.1) * vectors + ends
