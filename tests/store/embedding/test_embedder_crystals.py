"""Bulk embedding of crystals: graphs made ahead and shared, several layers at once, nothing twice, nothing lost."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card
from numpy.typing import NDArray
from samples import CRYSTAL_ENCODER, ELASTIC, ENCODER

from matlake import Lake, embed, import_table, open_encoder, open_lake
from matlake.encoders import shard_sizes
from matlake.encoders.base import GraphsToEncode
from matlake.encoders.card import InputKind
from matlake.encoders.composition_encoder import CompositionEncoder
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.session import onnx_runtime
from matlake.errors import MissingExtraError, NotFiniteError
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.structure_files.sniff import parse_structure
from matlake.progress import Progress
from matlake.store.embedding import targets
from matlake.store.embedding.encoding import NOT_FINITE
from matlake.store.embedding.pending import NO_CRYSTAL
from matlake.store.status import status
from matlake.store.tables import delta, writing

POOLED = f"{CRYSTAL_ENCODER}@pooled"
FIRST = f"{CRYSTAL_ENCODER}@1"
COMPOSITION = f"{ENCODER}@16"
ROCK_SALT = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]


def poscar(numbers: list[str], edge: float, positions: list[list[float]], *, fcc: bool = True) -> str:
    """A cubic crystal with one atom of each symbol."""
    half = edge / 2
    vectors = [[0, half, half], [half, 0, half], [half, half, 0]] if fcc else np.eye(3) * edge
    rows = [" ".join(map(str, row)) for row in (*vectors, *positions)]
    head = ["crystal", "1.0", *rows[:3], " ".join(numbers), " ".join("1" for _ in numbers), "direct"]
    return "\n".join([*head, *rows[3:]]) + "\n"


SODIUM_CHLORIDE = poscar(["Na", "Cl"], 5.64, ROCK_SALT)
STRETCHED = poscar(["Na", "Cl"], 5.70, ROCK_SALT)
CAESIUM_TYPE = poscar(["Na", "Cl"], 3.40, ROCK_SALT, fcc=False)  # a polymorph
MAGNESIA = poscar(["Mg", "O"], 4.21, ROCK_SALT)
HELIUM = poscar(["He", "O"], 4.0, ROCK_SALT)  # only the composition encoder does not know helium
NEON = poscar(["Ne"], 4.4, [[0.0, 0.0, 0.0]])  # neither encoder knows neon


def stored(lake: Lake, layer: str = "pooled", encoder: str = CRYSTAL_ENCODER) -> pa.Table:
    table = delta.open_table(lake.embeddings)
    assert table is not None
    partition = {"encoder": encoder, "layer": layer}
    parts = [pq.read_table(file, partitioning=None) for file in delta.live_files(table, partition)]
    empty = pa.table({"content_hash": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))})
    return pa.concat_tables([empty, *parts]).sort_by("content_hash")


def vectors_of(table: pa.Table) -> NDArray[np.float32]:
    return np.array(table["vector"].to_pylist(), dtype=np.float32)


def close(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    """Whether vectors agree within what batches of other crystals may change."""
    return bool(np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max())


def ids(lake: Lake, statement: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in lake.query(statement).to_pylist())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write structures, by id, as a table."""

    def write(**structures: str) -> Path:
        path = tmp_path / "structures.parquet"
        pq.write_table(pa.table({"material_id": list(structures), "structure": list(structures.values())}), path)
        return path

    return write


@pytest.fixture
def few(tmp_path: Path, write: Callable[..., Path]) -> Lake:
    """Two polymorphs, one crystal twice, and elements that encoders do not know."""
    lake = open_lake(tmp_path / "few", create=True)
    path = write(
        a=SODIUM_CHLORIDE, b=CAESIUM_TYPE, c=SODIUM_CHLORIDE, d=MAGNESIA, e=HELIUM, f=NEON, g="no structure at all"
    )
    import_table(lake, path, "few")
    return lake


@pytest.fixture(scope="module")
def elastic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with 150 real crystals, to be copied."""
    folder = tmp_path_factory.mktemp("elastic")
    pq.write_table(pq.read_table(ELASTIC).slice(0, 150), folder / "elastic.parquet")
    import_table(open_lake(folder / "lake", create=True), folder / "elastic.parquet", "elastic")
    return folder / "lake"


@pytest.fixture
def crystals(elastic: Path, tmp_path: Path) -> Lake:
    return open_lake(shutil.copytree(elastic, tmp_path / "crystals"))


def sample(rows: slice) -> list[Crystal]:
    return [parse_structure(text) for text in pq.read_table(ELASTIC)["poscar"].to_pylist()[rows]]


def test_vectors_are_those_of_the_encoder(crystals: Lake) -> None:
    report = embed(crystals, [POOLED, FIRST], workers=2)
    encoder = open_encoder(crystals.find_encoder(CRYSTAL_ENCODER).folder)
    expected = {one.content_hash: one for one in sample(slice(150))}
    assert (report.embedded, report.skipped, report.failed) == (2 * len(expected), 2 * (150 - len(expected)), 0)
    for layer in ("pooled", "1"):
        table = stored(crystals, layer)
        columns = CrystalColumns.of([expected[key] for key in table["content_hash"].to_pylist()])
        assert len(columns) == len(expected)
        assert close(vectors_of(table), encoder.encode(columns, layer))


def test_several_layers_come_from_one_run_and_equal_graph_parameters_share_graphs(
    crystals: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = shutil.copytree(crystals.find_encoder(CRYSTAL_ENCODER).folder, crystals.encoders_folder / "twin")
    edit_card(twin / "card.json", lambda card: card.update(name="twin"))
    calls: list[object] = []

    def counted(home: type, name: str) -> None:
        inner, called = getattr(home, name), f"{home.__name__}.{name}"
        monkeypatch.setattr(home, name, lambda *some, **named: calls.append(called) or inner(*some, **named))

    counted(GraphRecipe, "build")
    counted(CrystalEncoder, "encode_inputs")
    counted(CompositionEncoder, "encode_inputs")
    embed(crystals, [POOLED, FIRST, "twin@pooled", COMPOSITION, f"{ENCODER}@15"])
    assert sorted(calls) == [
        "CompositionEncoder.encode_inputs",
        "CrystalEncoder.encode_inputs",
        "CrystalEncoder.encode_inputs",
        "GraphRecipe.build",
    ]
    assert close(vectors_of(stored(crystals, encoder="twin")), vectors_of(stored(crystals)))


def test_polymorphs_differ_for_encoders_of_crystals_only(few: Lake) -> None:
    report = embed(few, [POOLED, COMPOSITION])
    assert (report.embedded, report.skipped, report.failed) == (4 + 2, 1 + 2, 1 + 2)
    views = {feature: f'SELECT material_id, vector FROM embed."{feature}"' for feature in (POOLED, COMPOSITION)}
    pooled = dict(ids(few, views[POOLED]))
    assert pooled["a"] == pooled["c"] != pooled["b"]
    plain = dict(ids(few, views[COMPOSITION]))
    assert plain["a"] == plain["b"] == plain["c"] != plain["d"]
    assert ids(few, f"SELECT material_id FROM embeddings WHERE encoder = '{CRYSTAL_ENCODER}'") == [*map(tuple, "abcde")]


def test_every_row_is_embedded_or_explained_for_each_encoder(few: Lake, write_table: Callable[..., Path]) -> None:
    import_table(few, write_table(formula=["Si", "NaCl", "He", "Xx"]), "formulas")
    embed(few, [POOLED, COMPOSITION])
    everything = {("few", name) for name in "abcdefg"} | {("formulas", f"formulas-{row}") for row in range(4)}
    for encoder in (CRYSTAL_ENCODER, ENCODER):
        embedded = ids(few, f"SELECT dataset, material_id FROM embeddings WHERE encoder = '{encoder}'")
        failed = ids(few, f"SELECT dataset, material_id FROM failures WHERE encoder = '{encoder}' OR stage = 'import'")
        assert sorted(embedded + failed) == sorted(everything)
    reasons = ids(few, f"SELECT material_id, reason FROM failures WHERE encoder = '{CRYSTAL_ENCODER}'")
    assert reasons == [
        ("f", "element Ne is not among the 88 of this encoder"),
        *((f"formulas-{row}", NO_CRYSTAL) for row in range(3)),
    ]
    assert status(few).failures == len(ids(few, "SELECT * FROM failures"))


def test_rows_without_crystal_fail_only_where_they_were_asked_for(few: Lake, write_table: Callable[..., Path]) -> None:
    import_table(few, write_table(formula=["Si", "NaCl", "MgO"]), "one")
    import_table(few, write_table(formula=["Si", "NaCl", "MgO"]), "other")
    statement = f"SELECT dataset, formula FROM failures WHERE reason = '{NO_CRYSTAL}'"
    embed(few, [POOLED], dataset="few")
    assert ids(few, statement) == []
    assert embed(few, [POOLED, FIRST], where="dataset = 'one' AND nelements = 1").failed == 2
    assert ids(few, statement) == [("one", "Si")]
    for _ in range(2):
        assert embed(few, [POOLED], dataset="one").failed == 3
        assert ids(few, statement) == [("one", "MgO"), ("one", "NaCl"), ("one", "Si")]


def test_a_row_that_gets_a_crystal_is_embedded_and_its_failure_gone(
    few: Lake, write: Callable[..., Path], write_table: Callable[..., Path]
) -> None:
    import_table(few, write_table(material_id=["x", "y"], formula=["NaCl", "MgO"]), "grown")
    assert embed(few, [POOLED], dataset="grown").failed == 2
    import_table(few, write(x=SODIUM_CHLORIDE, y=MAGNESIA), "grown")
    report = embed(few, [POOLED], dataset="grown")
    assert (report.embedded, report.failed) == (2, 0)
    assert ids(few, "SELECT material_id FROM failures WHERE dataset = 'grown'") == []


def test_a_second_run_embeds_nothing_and_a_changed_crystal_is_an_append(few: Lake, write: Callable[..., Path]) -> None:
    first = embed(few, [POOLED])
    again = embed(few, [POOLED])
    assert (again.embedded, again.skipped, again.failed) == (0, first.embedded + first.skipped, first.failed)
    before = stored(few)
    import_table(few, write(a=STRETCHED, b=CAESIUM_TYPE), "few")
    report = embed(few, [POOLED])
    assert (report.embedded, report.skipped, report.failed) == (1, 1, 0)
    assert set(before["content_hash"].to_pylist()) < set(stored(few)["content_hash"].to_pylist())
    assert stored(few).num_rows == before.num_rows + 1


def test_a_crystal_of_two_datasets_is_embedded_once(few: Lake, write: Callable[..., Path]) -> None:
    import_table(few, write(x=SODIUM_CHLORIDE, y=STRETCHED, z=NEON), "more")
    report = embed(few, [POOLED])
    assert (report.embedded, report.skipped, report.failed) == (5, 2, 2)
    assert len(ids(few, "SELECT dataset, material_id FROM embeddings")) == 7


def test_only_what_a_layer_lacks_is_embedded(few: Lake, write: Callable[..., Path]) -> None:
    embed(few, [POOLED])
    import_table(few, write(x=STRETCHED, y=SODIUM_CHLORIDE), "more")
    embed(few, [FIRST], where="dataset = 'more' AND material_id = 'y'")
    report = embed(few, [POOLED, FIRST])
    assert report.embedded == 1 + 4
    assert stored(few, "pooled")["content_hash"].equals(stored(few, "1")["content_hash"])


def test_values_that_are_not_finite_fail_alone(few: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = CrystalEncoder.encode_inputs

    def overflowing(self: CrystalEncoder, inputs: GraphsToEncode, *others: Any) -> list[NDArray[np.float32]]:
        graphs = inputs.graphs
        magnesium = np.logical_or.reduceat(graphs.numbers == 12, graphs.atom_offsets[:-1])
        if magnesium.any():
            raise NotFiniteError("not finite", np.flatnonzero(magnesium).tolist())
        return inner(self, inputs, *others)

    monkeypatch.setattr(CrystalEncoder, "encode_inputs", overflowing)
    report = embed(few, [POOLED, FIRST])
    assert (report.embedded, report.skipped, report.failed) == (2 * 3, 2 * 1, 2 * 2)
    assert ids(few, "SELECT material_id, reason FROM failures WHERE stage = 'embed'")[0] == ("d", NOT_FINITE)
    assert embed(few, [POOLED]).embedded == 0


def test_an_error_in_a_thread_ends_the_run_with_what_is_committed(
    crystals: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(shard_sizes.MOST_CONTENTS, InputKind.CRYSTAL, {"cpu": 20})
    write_part, calls = writing.write_part, []

    def full(root: Path, table: pa.Table, partition: dict[str, str], vectors: tuple[str, ...] = ()) -> writing.Part:
        calls.append(root)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return write_part(root, table, partition, vectors)

    monkeypatch.setattr(writing, "write_part", full)
    with pytest.raises(OSError, match="No space"):
        embed(crystals, [POOLED, FIRST], workers=2)
    kept = sum(stored(crystals, layer).num_rows for layer in ("pooled", "1"))
    monkeypatch.setattr(writing, "write_part", write_part)
    report = embed(crystals, [POOLED, FIRST])
    assert kept + report.embedded == 2 * stored(crystals).num_rows
    assert stored(crystals)["content_hash"].equals(stored(crystals, "1")["content_hash"])


def test_a_missing_gpu_is_said_and_nothing_is_done_instead(few: Lake) -> None:
    if "CUDAExecutionProvider" in onnx_runtime().get_available_providers():
        pytest.skip("ONNX Runtime has its CUDA provider here")
    with pytest.raises(MissingExtraError, match="cuda was requested") as caught:
        embed(few, [POOLED], device="cuda")
    assert "matlake[gpu]" in caught.value.hint
    assert not stored(few).num_rows


def test_for_a_fast_device_batches_are_made_ahead_and_vectors_are_the_same(
    crystals: Lake, elastic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = open_lake(shutil.copytree(elastic, tmp_path / "plain"))
    embed(plain, [POOLED])
    batches: list[object] = []
    inner = CrystalEncoder.encode_inputs

    def counted(self: CrystalEncoder, inputs: GraphsToEncode, layers: list[str]) -> list[NDArray[np.float32]]:
        batches.append(inputs.batches)
        return inner(self, inputs, layers)

    def fast(folder: Path, *, device: str, layers: list[str]) -> CrystalEncoder:
        opened = open_encoder(folder, layers=layers)
        assert isinstance(opened, CrystalEncoder)
        return replace(opened, device=device)  # on the processor all the same

    monkeypatch.setattr(CrystalEncoder, "encode_inputs", counted)
    monkeypatch.setattr(targets, "open_encoder", fast)
    embed(crystals, [POOLED], device="cuda", workers=2)
    assert batches
    assert all(batches)
    assert close(vectors_of(stored(crystals)), vectors_of(stored(plain)))


def test_progress_ends_at_all_rows_of_all_features(few: Lake) -> None:
    steps: list[tuple[int, int]] = []
    embed(few, [POOLED, COMPOSITION], progress=Progress(track=lambda done, total: steps.append((done, total))))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (14, 14)
    embed(few, [POOLED], progress=Progress(track=lambda done, total: steps.append((done, total))))
    assert steps[-1] == (7, 7)


def run_embed(lake: Path) -> "subprocess.Popen[bytes]":
    """Embed two layers in a process of its own, in shards of ten crystals."""
    code = f"""
from pathlib import Path
from matlake import embed, open_lake
from matlake.encoders import shard_sizes
shard_sizes.MOST_CONTENTS["crystal"] = {{"cpu": 10}}
print(embed(open_lake(Path({str(lake)!r})), [{POOLED!r}, {FIRST!r}], workers=2).embedded)
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def test_embed_resumes_after_kill(elastic: Path, crystals: Lake, tmp_path: Path) -> None:
    clean = open_lake(shutil.copytree(elastic, tmp_path / "clean"))
    embed(clean, [POOLED, FIRST])
    log = crystals.embeddings / "_delta_log"
    interrupted = 0
    for seconds in (0.0, 0.05, 0.1):
        commits = len(list(log.iterdir()))
        with run_embed(crystals.path) as process:
            deadline = time.monotonic() + 60
            while len(list(log.iterdir())) == commits and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
        interrupted += process.returncode == -signal.SIGKILL
        for layer in ("pooled", "1"):
            keys = stored(crystals, layer)["content_hash"].to_pylist()
            assert len(keys) == len(set(keys))
    assert interrupted
    embed(crystals, [POOLED, FIRST])
    for layer in ("pooled", "1"):
        assert stored(crystals, layer)["content_hash"].equals(stored(clean, layer)["content_hash"])
        assert close(vectors_of(stored(crystals, layer)), vectors_of(stored(clean, layer)))


def test_two_processes_embed_each_crystal_once(crystals: Lake) -> None:
    processes = [run_embed(crystals.path) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    reported = sum(int(output) for output in outputs)
    keys = [stored(crystals, layer)["content_hash"].to_pylist() for layer in ("pooled", "1")]
    assert keys[0] == keys[1] == sorted({one.content_hash for one in sample(slice(150))})
    assert reported == len(keys[0]) + len(keys[1])
