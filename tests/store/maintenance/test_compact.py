"""Compaction: fewer files, the same rows, whoever reads, writes, compacts or dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged_lakes import LOUD, OXIDES, part_of, parts, write_oxides

import matlake
from matlake.errors import LakeError
from matlake.store.tables import writing
from matlake.store.tables.appender import Appender

ALL = "SELECT dataset, material_id, formula FROM materials ORDER BY ALL"
VECTORS = "SELECT dataset, material_id, encoder, layer, vector FROM embeddings ORDER BY ALL"
HOUR = 3600


@pytest.fixture
def lake(tmp_path: Path) -> matlake.Lake:
    """Oxides in six parts, embedded in as many."""
    opened = matlake.open_lake(tmp_path / "lake", create=True)
    write_oxides(opened, 6)
    for start in range(0, 3000, 500):
        matlake.embed(opened, ["fractions"], where=f"gap_eV >= {start} AND gap_eV < {start + 500}")
    return opened


def names(root: Path) -> set[str]:
    return {part.path.name for part in parts(root)}


def make_older(lake: matlake.Lake, hours: int) -> None:
    """Let the hours pass for files that no commit names."""
    for path in lake.path.rglob("*"):
        if path.is_file() and "_delta_log" not in path.parts:
            os.utime(path, (time.time() - hours * HOUR,) * 2)


def test_small_parts_become_one_with_the_same_rows(lake: matlake.Lake) -> None:
    before = lake.query(ALL), lake.query(VECTORS)
    assert len(parts(lake.embeddings)) == 6
    report = matlake.compact(lake)
    assert (report.merged, report.written) == (12, 2)
    assert len(parts(lake.embeddings)) == len(parts(lake.dataset("oxides"))) == 1
    assert (lake.query(ALL), lake.query(VECTORS)) == before
    assert matlake.check(lake).sound
    assert matlake.compact(lake).merged == 0
    assert matlake.embed(lake, ["fractions"]).embedded == 0


def test_parts_grow_to_the_size_wanted_and_large_ones_stay(lake: matlake.Lake) -> None:
    before = lake.query(VECTORS)
    half = sum(part.size for part in parts(lake.embeddings)) // 2
    matlake.compact(lake, part_bytes=half)
    merged = names(lake.embeddings)
    assert len(merged) == 2
    matlake.compact(lake, part_bytes=half)
    assert names(lake.embeddings) == merged
    assert lake.query(VECTORS) == before


def test_readers_of_older_snapshots_keep_their_files_until_the_retention_time_has_passed(lake: matlake.Lake) -> None:
    before = lake.query(VECTORS)
    old = [part.path for part in parts(lake.embeddings)]
    make_older(lake, 100)
    with lake.connect() as connection:
        assert matlake.compact(lake).removed == 0
        assert all(path.exists() for path in old)
        assert connection.sql(VECTORS).to_arrow_table() == before
    assert matlake.compact(lake, retention_hours=0).removed >= 6
    assert not any(path.exists() for path in old)
    assert lake.query(VECTORS) == before


def test_what_kills_and_reimports_left_is_removed_when_it_is_old(lake: matlake.Lake) -> None:
    matlake.compact(lake, retention_hours=0)
    live = sorted(path for path in lake.path.rglob("*") if path.is_file() and "_delta_log" not in path.parts)
    table = pa.table({"content_hash": ["x"], "vector": [[1.0]]})
    partition = parts(lake.embeddings)[0].partition
    writing.write_part(lake.embeddings, table, partition)
    (lake.embeddings / ".part-x.parquet.tmp").write_bytes(b"half")
    stopped = lake.datasets_folder / "stopped"
    writing.write_part(stopped, table, {})
    (lake.encoders_folder / "half").mkdir()
    (lake.encoders_folder / "half" / "encoder.onnx").write_bytes(b"")
    (lake.heads_folder / ".saving" / "gap.1").mkdir(parents=True)
    (lake.path / ".lake.json.1.part").write_bytes(b"")
    assert matlake.compact(lake).removed == 0
    assert "compact" in " ".join(matlake.check(lake, retention_hours=0).notes)
    make_older(lake, 25)
    for folder in (lake.encoders_folder / "half", lake.heads_folder / ".saving" / "gap.1"):
        os.utime(folder, (time.time() - 25 * HOUR,) * 2)
    assert matlake.compact(lake).removed == 6
    assert sorted(path for path in lake.path.rglob("*") if path.is_file() and "_delta_log" not in path.parts) == live
    assert matlake.check(lake).sound


def test_vectors_of_contents_in_no_dataset_are_dropped_on_request_only(lake: matlake.Lake) -> None:
    table = pa.table({"formula": ["Fe1O1", "Fe2O3"], "gap_eV": [1.0, 2.0]})
    pq.write_table(table, lake.path.parent / "two.parquet")
    matlake.import_table(lake, lake.path.parent / "two.parquet", "oxides")
    before = lake.query(VECTORS)
    vectors = sum(part.rows for part in parts(lake.embeddings))
    matlake.compact(lake)
    assert sum(part.rows for part in parts(lake.embeddings)) == vectors
    report = matlake.compact(lake, drop_unused=True)
    assert report.dropped == vectors - 2
    assert sum(part.rows for part in parts(lake.embeddings)) == 2
    assert lake.query(VECTORS) == before


def test_nothing_is_dropped_while_a_dataset_cannot_be_read_whole(lake: matlake.Lake) -> None:
    LOUD["cut"](min(part.path for part in parts(lake.dataset("oxides"))))
    with pytest.raises(LakeError, match="not known which vectors are used"):
        matlake.compact(lake, drop_unused=True)


def test_a_partition_with_a_damaged_part_is_left_as_it_is(copied: matlake.Lake) -> None:
    before = names(copied.embeddings)
    LOUD["zeros"](part_of(copied, "embeddings"))
    report = matlake.compact(copied)
    assert names(copied.embeddings) == before
    assert any("check --repair" in note for note in report.notes)


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    root = tmp_path / "lake" / "embeddings"
    opened = matlake.open_lake(tmp_path / "lake", create=True)
    partition = {"encoder": "x", "encoder_sha256": "0", "layer": "y"}
    appender = Appender(root, partition, "content_hash", ("vector",))
    random = np.random.default_rng(0)
    rows, dim = 8192, 256
    for number in range(24):
        vectors = pa.array(random.normal(size=rows * dim).astype(np.float32))
        offsets = pa.array(np.arange(0, rows * dim + 1, dim, dtype=np.int32))
        keys = [f"{number}-{row}" for row in range(rows)]
        table = pa.table({"content_hash": keys, "vector": pa.ListArray.from_arrays(offsets, vectors)})
        appender.append([writing.write_part(root, table, partition, ("vector",))])
    whole = sum(part.size for part in parts(root))
    compacting = start(
        opened, "matlake.compact(lake)\nimport pyarrow\nprint(pyarrow.default_memory_pool().max_memory())"
    )
    printed, errors = compacting.communicate(timeout=120)
    assert len(parts(root)) == 2
    assert sum(part.rows for part in parts(root)) == 24 * rows
    assert int(printed) < whole / 2, errors


def start(lake: matlake.Lake, code: str) -> "subprocess.Popen[str]":
    script = f"import pathlib, matlake\nlake = matlake.open_lake(pathlib.Path({str(lake.path)!r}))\n{code}"
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_compactors_an_embedder_an_importer_and_a_reader_at_once(lake: matlake.Lake) -> None:
    before = lake.query(ALL)
    compactor = "for _ in range(6): matlake.compact(lake, part_bytes=60_000)"
    embedder = (
        "for start in range(0, 3000, 300):\n"
        "    matlake.embed(lake, ['magpie'], where=f'gap_eV >= {start} AND gap_eV < {start + 300}')"
    )
    importer = (
        "for _ in range(3):\n"
        "    try: matlake.import_table(lake, lake.path.parent / 'oxides.parquet', 'oxides')\n"
        "    except matlake.MatlakeError as error: assert 'another process' in str(error), error"
    )
    reader = (
        "counts = 'SELECT count(*) AS n, count(DISTINCT material_id) AS d FROM '\n"
        "for _ in range(15):\n"
        "    n, d = lake.query(counts + 'embed.fractions').to_pylist()[0].values()\n"
        f"    assert n == d == {OXIDES}, (n, d)\n"
        "    n, d = lake.query(counts + 'embed.magpie').to_pylist()[0].values()\n"
        "    assert n == d, (n, d)\n"
        f"    assert lake.query('SELECT count(*) AS n FROM oxides').to_pylist() == [{{'n': {OXIDES}}}]"
    )
    matlake.embed(lake, ["magpie"], where="gap_eV < 100")
    started = [start(lake, code) for code in (compactor, compactor, embedder, importer, reader)]
    for process in started:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert "warning" not in errors.lower(), errors
    matlake.embed(lake, ["magpie"])
    for encoder in ("fractions", "magpie"):
        (counts,) = lake.query(
            f"SELECT count(*) AS n, count(DISTINCT material_id) AS d FROM embed.{encoder}"
        ).to_pylist()
        assert counts == {"n": OXIDES, "d": OXIDES}
    assert lake.query(ALL) == before
    keys = [pq.read_table(part.path, partitioning=None)["content_hash"] for part in parts(lake.embeddings)]
    every = pa.chunked_array([chunk for column in keys for chunk in column.chunks])
    assert len(every) == 2 * len(every.unique())
    assert matlake.check(lake).sound


STAGES = {
    "while merging": "import matlake.store.tables.writing as w\nw.digest_of = lambda path: die()",
    "before the commit": (
        "import matlake.store.maintenance.compact as c\nd = c.delta\nd.replace_parts = lambda *a: die()"
    ),
    "between links and commit": (
        "import matlake.store.tables.delta as d\nclass Dying(d.DeltaTable):\n"
        "    def create_write_transaction(self, *a, **k): die()\nd.DeltaTable = Dying"
    ),
    "after the commit": "import matlake.store.tables.delta as d\nd.sync_log = lambda root: die()",
    "while removing": (
        "import matlake.store.maintenance.leftovers as l\n"
        "real = l.Leftover.remove\ncount = 0\n"
        "def remove(self):\n    global count\n    count += 1\n    real(self)\n    if count == 3: die()\n"
        "l.Leftover.remove = remove"
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_compactor_that_is_killed_leaves_a_good_lake(lake: matlake.Lake, stage: str) -> None:
    if stage == "while removing":
        matlake.compact(lake)
    before = lake.query(ALL), lake.query(VECTORS)
    dying = "import os, signal\ndef die(): os.kill(os.getpid(), signal.SIGKILL)\n"
    killed = start(lake, dying + STAGES[stage] + "\nmatlake.compact(lake, retention_hours=0)")
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, errors
    assert (lake.query(ALL), lake.query(VECTORS)) == before
    assert matlake.check(lake).sound
    matlake.compact(lake, retention_hours=0)
    assert (lake.query(ALL), lake.query(VECTORS)) == before
    on_disk = {path.name for path in lake.path.rglob("*part-*") if path.is_file()}
    live = [
        part.path.name
        for root in (lake.embeddings, lake.failures_table, lake.dataset("oxides"))
        for part in parts(root)
    ]
    assert on_disk == set(live)
    assert len(live) == 2
