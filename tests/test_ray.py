"""Work on the nodes of a Ray cluster: the same rows as here, whatever actor or node is lost; refusals in one line."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ENCODER, GAPS, Cli

from matlake import Lake, embed, encode, import_table, open_lake, predict_dataset
from matlake.encoders import ray_pool, shard_sizes
from matlake.encoders.engine import Engine
from matlake.encoders.ray_pool import run_on_ray
from matlake.errors import EncoderError, LakeError, MatlakeError
from matlake.progress import Progress
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction import stored_rows
from matlake.store.embedding import remote_encoding
from matlake.store.embedding.encoding import Encoded
from matlake.store.embedding.remote_encoding import RemoteEncoders
from matlake.store.embedding.targets import open_targets
from matlake.store.tables import delta
from matlake.store.tables.writing import Part

pytest.importorskip("ray", reason="needs the extra 'ray'")

from ray_cluster import Squares, two_nodes, workers

FEATURE = f"{ENCODER}@16"
ONE_ACTOR: dict[str, Any] = {"address": None, "device": "cpu", "workers": 1}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as started:
        yield started


def stored(lake: Lake) -> pa.Table:
    table = delta.open_table(lake.embeddings)
    assert table is not None
    parts = [pq.read_table(str(file), partitioning=None) for file in delta.live_files(table)]
    return pa.concat_tables(parts).sort_by("content_hash")


def test_rows_equal_a_clean_run_though_an_actor_and_a_node_are_lost(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakes = []
    for name in ("clean", "lake"):
        lakes.append(open_lake(tmp_path / name, create=True))
        import_table(lakes[-1], GAPS, "gaps")
    clean, lake = lakes
    embed(clean, [FEATURE])
    monkeypatch.setattr(shard_sizes, "SHARD_BYTES", 0)  # eighteen shards
    pids: list[list[int]] = []

    def lose(done: int, total: int) -> None:
        now = workers(cluster)
        if not pids and len(now) == 2:
            pids.append(now)
            os.kill(now[0], signal.SIGKILL)
        elif len(pids) == 1 and done > total / 3:
            pids.append(now)
            cluster.remove_node(*cluster.worker_nodes)

    report = embed(lake, [FEATURE], engine="ray", progress=Progress(track=lose))
    assert len(pids) == 2
    assert len(pids[0]) == 2
    assert pids[0][0] not in pids[1]
    assert (report.embedded, report.failed) == (stored(clean).num_rows, 0)
    assert stored(lake)["content_hash"].equals(stored(clean)["content_hash"])
    vectors = [np.array(stored(each)["vector"].to_pylist()) for each in lakes]
    np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-4)


def test_encode_gives_the_same_vectors_and_reasons(cluster: Any) -> None:
    assert cluster
    formulas = [*pq.read_table(GAPS)["formula"].slice(0, 40).to_pylist(), "TiO2", "Ti2O4", "HeO", "Xx"]
    here, failed_here = encode(formulas, [FEATURE, f"{ENCODER}@15"], return_failures=True, workers=1)
    there, failed_there = encode(formulas, [FEATURE, f"{ENCODER}@15"], return_failures=True, engine="ray", workers=1)
    assert failed_here == failed_there
    assert [failure.row for failure in failed_here] == [42, 43]
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)


def test_predictions_are_the_same_and_in_the_same_order(
    cluster: Any, trained: TrainResult, embedded: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster
    assert trained.card.name == "gap"
    monkeypatch.setattr(stored_rows, "MOST_ROWS", 100)  # four blocks
    here = predict_dataset(embedded, "gap", dataset="gaps")
    there = predict_dataset(embedded, "gap", dataset="gaps", engine="ray")
    assert there.to_arrow().equals(here.to_arrow())
    lake = open_lake(shutil.copytree(embedded.path, tmp_path / "lake"))
    saved = predict_dataset(lake, "gap", dataset="gaps", save=True, engine="ray")
    assert (saved.saved, saved.n_failed) == (len(here.to_arrow()), 0)
    rows = lake.query("SELECT material_id, value FROM predictions ORDER BY material_id").to_pydict()
    assert dict(zip(*rows.values(), strict=True)) == {one.input: one.value for one in here.predictions}


def test_blocks_come_in_the_order_of_their_numbers() -> None:
    assert list(stored_rows.in_order((number, number) for number in (2, 0, 1, 4, 3))) == [0, 1, 2, 3, 4]


def test_pieces_of_a_lost_actor_are_done_again_and_work_is_read_no_faster_than_it_is_done(
    cluster: Any, tmp_path: Path
) -> None:
    assert cluster
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(30):
            read.append(number)
            yield number

    squares = []
    with closing(run_on_ray(numbers(), Squares(tmp_path, frozenset([7])), **ONE_ACTOR)) as done:
        for square in done:
            squares.append(square)
            assert len(read) <= len(squares) + 3
    assert sorted(squares) == [number**2 for number in range(30)]
    assert (tmp_path / "7-0").exists()


def test_a_piece_that_takes_actor_after_actor_along_is_one_line(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster
    monkeypatch.setattr(ray_pool, "_ATTEMPTS", 2)  # starting actors takes seconds
    with pytest.raises(MatlakeError, match="2 Ray actors were lost over the same piece of work") as caught:
        list(run_on_ray(iter([1]), Squares(tmp_path, frozenset([1]), times=99), **ONE_ACTOR))
    assert "\n" not in str(caught.value)


def test_nodes_with_another_matlake_are_refused(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster
    monkeypatch.setattr(ray_pool, "tool_versions", lambda _: {"matlake": "9.9"})
    with pytest.raises(MatlakeError, match=r"of the Ray cluster has matlake .*, and this machine matlake 9\.9"):
        list(run_on_ray(iter([1]), Squares(tmp_path), **ONE_ACTOR))


def test_nodes_with_another_file_of_an_encoder_are_refused(
    cluster: Any, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster
    of = RemoteEncoders.of

    def another(*arguments: Any) -> RemoteEncoders:
        right = of(*arguments)
        return replace(right, layers=tuple((name, "0" * 64, layer) for name, _, layer in right.layers))

    monkeypatch.setattr(RemoteEncoders, "of", another)
    with pytest.raises(EncoderError, match=f"has another file of encoder {ENCODER}") as caught:
        embed(lake, [FEATURE], engine="ray", workers=1)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_device_that_no_node_has_is_refused(cluster: Any, lake: Lake) -> None:
    assert cluster
    with pytest.raises(MatlakeError, match="no node of the Ray cluster has a GPU"):
        embed(lake, [FEATURE], engine="ray", device="cuda")


def test_nothing_to_do_starts_nothing(embedded: Lake) -> None:
    report = embed(embedded, [f"{ENCODER}@13"], engine="ray", address="203.0.113.1:6379")
    assert report.embedded == 0


def test_a_head_that_is_not_there_is_one_line(lake: Lake) -> None:
    started = time.monotonic()
    message = Cli(lake.path).stderr(
        "embed", "--encoder", FEATURE, "--engine", "ray", "--address", "127.0.0.2:1", code=1
    )
    assert "no Ray head answers at 127.0.0.2:1" in message
    assert len(message.splitlines()) == 2  # with the hint
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("address", ["head", ":6379", "head:port", "ray://"])
def test_what_is_no_address_is_one_line(address: str) -> None:
    with pytest.raises(MatlakeError, match=r"is not the address of a Ray head") as caught:
        ray_pool._check_there(address)
    assert "HOST:PORT" in str(caught.value.hint)


def test_a_lake_that_nodes_do_not_share_is_named(lake: Lake, tmp_path: Path) -> None:
    targets = open_targets(lake, [FEATURE], "cpu")
    opener = RemoteEncoders.of(lake, targets, "cpu")
    with pytest.raises(LakeError, match="cannot open the lake: ") as caught:
        replace(opener, lake=replace(opener.lake, path=tmp_path / "elsewhere")).open()
    assert caught.value.hint == "the lake must be on a file system that all nodes share, or in a bucket"
    written = Encoded((0,), [Part("part-of-another-node.parquet", {}, 1, 1)], pa.table({}))
    with pytest.raises(LakeError, match=r"another node has written .*part-of-another-node"):
        remote_encoding.check_shared([written], targets)


@pytest.mark.parametrize(("settings", "said"), [(("dask",), "unknown engine 'dask'"), (("local", "h:1"), "only Ray")])
def test_engines_that_do_not_exist_are_refused(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(MatlakeError, match=said):
        Engine(*settings)
