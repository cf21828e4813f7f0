"""Bulk embedding: once for each content, whatever is killed, repeated or run at the same time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ENCODER, GAPS

from matlake import Lake, embed, import_table, open_encoder, open_lake, parse_formula
from matlake.encoders import shard_sizes
from matlake.errors import EncoderError, LakeError, QueryError
from matlake.materials.compositions import element_fractions
from matlake.store.tables import delta, writing

FEATURE = f"{ENCODER}@16"  # the shortest vectors: 32 numbers


def stored(lake: Lake) -> pa.Table:
    """What the embeddings table holds, in an order that does not depend on the run."""
    table = delta.open_table(lake.embeddings)
    assert table is not None
    parts = [pq.read_table(file, partitioning=None) for file in delta.live_files(table)]
    return pa.concat_tables(parts).sort_by("content_hash") if parts else pa.table({"content_hash": []})


def ids(lake: Lake, statement: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in lake.query(statement).to_pylist())


@pytest.fixture
def awkward(tmp_path: Path, write_table: Callable[..., Path]) -> Lake:
    """Equal compositions, elements outside the 86, and rows that are no formulas."""
    lake = open_lake(tmp_path / "awkward", create=True)
    formulas = ["TiO2", "Ti2O4", "O2Ti", "HeO", "Si", None, "Xx", "ArF2", "He2O2", "NaCl", "", "Na+"]
    import_table(lake, write_table(formula=formulas, gap_eV=[float(i) for i in range(12)]), "d")
    return lake


def test_equal_compositions_are_embedded_once(awkward: Lake) -> None:
    report = embed(awkward, [FEATURE])
    assert (report.embedded, report.skipped, report.failed) == (3, 2, 3)
    vectors = awkward.query(f'SELECT m.formula, vector FROM embed."{FEATURE}" JOIN materials m USING (material_id)')
    by_formula = {row["formula"]: row["vector"] for row in vectors.to_pylist()}
    assert by_formula["TiO2"] == by_formula["Ti2O4"] == by_formula["O2Ti"]
    assert by_formula["Si"] != by_formula["TiO2"]


def test_every_row_is_embedded_or_explained(awkward: Lake) -> None:
    embed(awkward, [FEATURE])
    embedded = ids(awkward, "SELECT material_id FROM embeddings")
    failed = ids(awkward, "SELECT material_id FROM failures")
    assert sorted(embedded + failed) == sorted((f"d-{i}",) for i in range(12))
    reasons = ids(awkward, "SELECT formula, stage, encoder, reason FROM failures WHERE formula = 'HeO'")
    assert reasons == [("HeO", "embed", ENCODER, "element He is not among the 86 of this encoder")]


def test_a_second_run_does_nothing_and_says_so(awkward: Lake) -> None:
    embed(awkward, [FEATURE])
    before = (stored(awkward), ids(awkward, "FROM failures SELECT material_id"))
    report = embed(awkward, [FEATURE])
    assert (report.embedded, report.skipped, report.failed) == (0, 5, 3)
    assert (stored(awkward), ids(awkward, "FROM failures SELECT material_id")) == before


def test_only_new_and_changed_rows_are_embedded(awkward: Lake, write_table: Callable[..., Path]) -> None:
    embed(awkward, [FEATURE])
    import_table(awkward, write_table(formula=["Ti3O6", "Si", "GaAs"]), "d")
    report = embed(awkward, [FEATURE])
    assert (report.embedded, report.skipped, report.failed) == (1, 2, 0)
    assert ids(awkward, "SELECT material_id FROM embeddings") == [("d-0",), ("d-1",), ("d-2",)]


def test_vectors_are_those_of_the_encoder(lake: Lake) -> None:
    assert embed(lake, [FEATURE], workers=2).failed == 0
    rows = lake.query(f'SELECT formula, vector FROM embed."{FEATURE}" JOIN gaps USING (material_id)').to_pylist()
    encoder = open_encoder(lake.find_encoder(ENCODER).folder)
    expected = encoder.encode(element_fractions([parse_formula(row["formula"]) for row in rows]), "16")
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.array([row["vector"] for row in rows]), expected, atol=1e-5 * scale)


def test_where_and_dataset_select_rows(lake: Lake, write_table: Callable[..., Path]) -> None:
    import_table(lake, write_table(formula=["RbCsKNa"], other_eV=[1.0]), "more")
    assert embed(lake, [FEATURE], where="nelements = 2 AND band_gap_eV > 0").embedded > 0
    assert ids(lake, "SELECT DISTINCT nelements FROM embeddings JOIN materials USING (dataset, material_id)") == [(2,)]
    assert embed(lake, [FEATURE], dataset="more").embedded == 1


@pytest.mark.parametrize("where", ["no_such_column > 1", "1 = ", "true); DROP VIEW materials; --", "formula"])
def test_a_wrong_predicate_is_one_clear_error(lake: Lake, where: str) -> None:
    with pytest.raises(QueryError):
        embed(lake, [FEATURE], where=where)
    assert stored(lake).num_rows == 0


def test_unknown_names_are_one_clear_error(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no encoder named 'elemnt'"):
        embed(lake, ["elemnt"])
    with pytest.raises(EncoderError, match="no layer '99'"):
        embed(lake, [f"{ENCODER}@99"])
    with pytest.raises(LakeError, match="no dataset 'gasp'"):
        embed(lake, [FEATURE], dataset="gasp")
    with pytest.raises(LakeError, match="holds no dataset"):
        embed(open_lake(tmp_path / "new", create=True), [FEATURE])


def test_several_layers_are_several_views(lake: Lake) -> None:
    report = embed(lake, [f"{ENCODER}@16", f"{ENCODER}@15"])
    assert report.embedded == 2 * stored_contents(lake)
    assert ids(lake, "SELECT DISTINCT layer, len(vector) FROM embeddings") == [("15", 64), ("16", 32)]


def stored_contents(lake: Lake) -> int:
    (row,) = lake.query("SELECT count(DISTINCT composition_hash) AS n FROM internal.compositions").to_pylist()
    return int(row["n"])


def run_embed(lake: Path) -> "subprocess.Popen[bytes]":
    """Embed in a process of its own, in shards of 256 rows."""
    code = f"""
from pathlib import Path
from matlake import embed, open_lake
from matlake.encoders import shard_sizes
shard_sizes.SHARD_BYTES = 0
print(embed(open_lake(Path({str(lake)!r})), [{FEATURE!r}]).embedded)
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def bundled_lake(path: Path) -> Lake:
    lake = open_lake(path, create=True)
    import_table(lake, GAPS, "gaps")
    return lake


def test_embed_resumes_after_kill(tmp_path: Path) -> None:
    clean = bundled_lake(tmp_path / "clean")
    embed(clean, [FEATURE])
    killed = bundled_lake(tmp_path / "killed")
    interrupted = 0
    for seconds in (0.0, 0.02, 0.05, 0.1, 0.2):
        log = killed.embeddings / "_delta_log"
        commits = len(list(log.iterdir()))
        with run_embed(killed.path) as process:
            deadline = time.monotonic() + 60
            while len(list(log.iterdir())) == commits and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
        interrupted += process.returncode == -signal.SIGKILL
        rows = stored(killed).num_rows
        assert len(set(stored(killed)["content_hash"].to_pylist())) == rows
    assert interrupted
    embed(killed, [FEATURE])
    assert stored(killed)["content_hash"].equals(stored(clean)["content_hash"])
    np.testing.assert_allclose(
        np.array(stored(killed)["vector"].to_pylist()),
        np.array(stored(clean)["vector"].to_pylist()),
        rtol=1e-4,
        atol=1e-4,
    )


def test_two_processes_embed_each_content_once(tmp_path: Path) -> None:
    lake = bundled_lake(tmp_path / "lake")
    processes = [run_embed(lake.path) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    hashes = stored(lake)["content_hash"].to_pylist()
    assert len(hashes) == len(set(hashes)) == stored_contents(lake)
    reported = [int(output) for output in outputs]
    assert sum(reported) == len(hashes)


def test_a_failing_disk_loses_nothing_that_was_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_sizes, "SHARD_BYTES", 0)
    write_part, calls = writing.write_part, []

    def full(root: Path, table: pa.Table, partition: dict[str, str], vectors: tuple[str, ...] = ()) -> writing.Part:
        calls.append(root)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write_part(root, table, partition, vectors)

    monkeypatch.setattr(writing, "write_part", full)
    with pytest.raises(OSError, match="No space"):
        embed(lake, [FEATURE])
    kept = stored(lake).num_rows
    monkeypatch.setattr(writing, "write_part", write_part)
    report = embed(lake, [FEATURE])
    assert kept + report.embedded == stored_contents(lake)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_lake_that_cannot_be_written_still_answers_sql(lake: Lake) -> None:
    embed(lake, [FEATURE])
    for path in lake.path.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(lake.query("SELECT * FROM embeddings")) == 300
    finally:
        for path in lake.path.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
