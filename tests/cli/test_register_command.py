"""``encoders register`` and ``delete``: a network of torch becomes an encoder, and stays while something needs it."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from own_graphs import COMPOSITION_NODES, behind, composition_card, composition_graph, node
from samples import ELASTIC

import matlake
from matlake.cli.main import cli
from matlake.encoders.card import CARD_FILE, MODEL_FILE
from matlake.encoders.graph_inputs import AXES, graph_inputs
from matlake.encoders.reference import reference_crystals
from matlake.encoders.registry import SHIPPED
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.structure_files.sniff import parse_structure
from matlake.testing import check_encoder

PAGE = (Path(__file__).parents[2] / "docs" / "science" / "encoders.md").read_text()
TARGET = "bulk_modulus_VRH_GPa"
ROWS = 60

Sample = tuple[list[str], CrystalColumns, np.ndarray]


@dataclass
class Answer:
    code: int
    document: dict[str, Any]
    text: str


@dataclass
class Bench:
    """A folder with a lake, files of networks, and cards."""

    folder: Path

    def __call__(self, *arguments: object) -> Answer:
        """Run a command with ``--json``; errors of matlake become what the command line prints of them."""
        done = CliRunner().invoke(cli, ["--lake", str(self.folder / "lake"), *map(str, arguments), "--json"])
        if done.exception is None or isinstance(done.exception, SystemExit):
            return Answer(done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.output)
        assert isinstance(done.exception, matlake.MatlakeError), done.exception
        return Answer(1, {}, f"{done.exception}; {done.exception.cli_hint}")

    def card(self, file: str, /, **entries: Any) -> Path:
        path = self.folder / file
        path.write_text(json.dumps(entries))
        return path

    @property
    def encoders(self) -> Path:
        return self.folder / "lake" / "encoders"


@pytest.fixture(scope="module")
def sample() -> Sample:
    table = pq.read_table(ELASTIC).slice(0, ROWS)
    crystals = CrystalColumns.of([parse_structure(text) for text in table["poscar"].to_pylist()])
    return table["material_id"].to_pylist(), crystals, table[TARGET].to_numpy()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("own"))
    pq.write_table(pq.read_table(ELASTIC).slice(0, ROWS), bench.folder / "elastic.parquet")
    assert bench("import", bench.folder / "elastic.parquet", "--dataset", "elastic").code == 0
    return bench


def test_a_network_of_pairs_is_registered_embedded_checked_and_trained_on(bench: Bench, sample: Sample) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    import torch
    from torch_networks import CARD, export_pairs, tensors

    names, crystals, target = sample
    network = export_pairs(crystals, target, bench.folder)
    entries = json.loads(CARD)
    arguments = ("encoders", "register", "--onnx", bench.folder / "mine.onnx", "--card", bench.folder / "mine.json")

    registered = bench(*arguments)
    assert registered.code == 0, registered.text
    assert registered.document["layers"] == {"pooled": 12, "prediction": 1}
    assert registered.document["version"] == 1
    check_encoder(registered.document["folder"])

    assert bench("embed", "--encoder", "mine").document["embedded"] == ROWS
    lake = matlake.open_lake(bench.folder / "lake")
    rows = lake.query("SELECT material_id, vector FROM embeddings WHERE encoder = 'mine'").to_pylist()
    stored = {row["material_id"]: row["vector"] for row in rows}
    found = np.array([stored[name] for name in names])
    with torch.no_grad():
        expected = network(*tensors(crystals))[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    head = bench(
        "train", "--target", TARGET, "--features", "mine", "--model", "ridge", "--transform", "none", "--name", "stiff"
    )
    assert head.code == 0, head.text
    assert head.document["n_train"] + head.document["n_test"] == ROWS

    refused = bench("encoders", "delete", "mine").text
    assert f"cannot be deleted: head stiff, and {ROWS} vectors of layer pooled are bound to" in refused
    fewer = entries["input_parameters"] | {"elements": ["H-U"]}
    changed = bench.card("changed.json", **entries | {"input_parameters": fewer})
    assert "given other input parameters: head stiff" in bench(*arguments[:-1], changed, "--replace").text
    licensed = bench.card("licensed.json", **entries | {"licence": "MIT"})
    assert bench(*arguments[:-1], licensed, "--replace").document["version"] == 1
    assert bench("encoders", "show", "mine").document["licence"] == "MIT"
    other = composition_graph(bench.folder / "other.onnx")
    answer = bench("encoders", "register", "--onnx", other, "--card", arguments[-1], "--replace")
    assert "encoder mine cannot be replaced by another file: head stiff" in answer.text
    predicted = bench("predict", "stiff", "--dataset", "elastic")
    assert predicted.code == 0, predicted.text


def test_a_network_of_compositions_is_registered_and_embedded(bench: Bench) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from torch_networks import export_compositions

    export_compositions(bench.folder / "dense.onnx")
    card = bench.card("dense.json", **composition_card(name="dense"))
    answer = bench("encoders", "register", "--onnx", bench.folder / "dense.onnx", "--card", card)
    assert answer.code == 0, answer.text
    check_encoder(answer.document["folder"])
    assert bench("embed", "--encoder", "dense").document["embedded"] > 0


def test_the_page_lists_the_inputs_of_every_kind_as_they_are() -> None:
    shown = dict(re.findall(r"^\| `(\w+)` \| ((?:–|`\w+` \[).*) \|$", PAGE, re.MULTILINE))
    assert shown.pop("composition") == "– | `fractions` [compositions, 86]"
    assert shown.keys() == AXES.keys() - {"geometry"}
    for kind, text in shown.items():
        recipe = GraphRecipe(kind, 5.0, 0, 2, degrees=4, bond_cutoff_A=2.9)
        arrays = graph_inputs(recipe.build(reference_crystals().take([0])), recipe)
        for dtype, found in zip(("int64", "float32"), text.split(" | "), strict=True):
            made = [name for name, array in arrays.items() if array.dtype == dtype]
            assert found == ", ".join(f"`{name}` [{', '.join(AXES[kind][name])}]" for name in made)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_names_that_are_taken_are_refused_and_nothing_is_left_behind(bench: Bench) -> None:
    graph, card = composition_graph(bench.folder / "own.onnx"), bench.card("own.json", **composition_card())
    arguments = ("encoders", "register", "--onnx", graph, "--card", card)
    before = files(bench.encoders)
    for name, reason in (
        ("magpie", "encoder magpie ships with matlake, and cannot be replaced"),
        ("../own", "is not an encoder name"),
    ):
        assert reason in bench(*arguments, "--name", name, "--replace").text
    broken = bench.card("broken.json", **composition_card(layers=[{"name": "1", "output": "hidden", "dim": 3}]))
    assert "layer 1 has 3 numbers on the card" in bench(*arguments[:-1], broken).text
    assert files(bench.encoders) == before

    assert bench(*arguments).document["version"] == 1
    taken = bench(*arguments)
    assert "the lake has an encoder own-compositions already; add --replace, or choose another --name" in taken.text
    assert bench(*arguments, "--replace").document["version"] == 1
    composition_graph(graph, behind(COMPOSITION_NODES, "hidden", node("Neg", "inner", "hidden")))
    assert bench(*arguments, "--replace").document["version"] == 2
    assert {path.name for path in (bench.encoders / "own-compositions").iterdir()} == {CARD_FILE, MODEL_FILE}
    assert not list(bench.encoders.glob(".*"))

    assert bench("encoders", "delete", "own-compositions").document == {"deleted": "own-compositions", "vectors": 0}
    assert files(bench.encoders).keys() == before.keys()
    assert "no encoder named 'own-compositions'" in bench("encoders", "delete", "own-compositions").text
    assert "encoder magpie ships with matlake, and cannot be deleted" in bench("encoders", "delete", "magpie").text
    assert (SHIPPED / "magpie" / CARD_FILE).exists()


def test_the_file_that_vectors_or_heads_need_takes_the_place_of_a_wrong_one(bench: Bench) -> None:
    needed, wrong = composition_graph(bench.folder / "needed.onnx"), bench.folder / "wrong.onnx"
    composition_graph(wrong, behind(COMPOSITION_NODES, "hidden", node("Neg", "inner", "hidden")))
    card = bench.card("needed.json", **composition_card(name="needed"))
    arguments = ("encoders", "register", "--card", card, "--replace", "--onnx")
    assert bench(*arguments, needed).code == 0
    assert bench("embed", "--encoder", "needed").document["embedded"] > 0
    other = matlake.open_lake(bench.folder / "other", create=True)
    other.encoders.register(wrong, card)
    shutil.rmtree(bench.encoders / "needed")
    shutil.copytree(other.encoders_folder / "needed", bench.encoders / "needed")  # as of a lake put together by hand
    assert bench(*arguments, needed).code == 0
    assert (bench.encoders / "needed" / MODEL_FILE).read_bytes() == needed.read_bytes()
    assert bench("encoders", "verify", "needed").document["passed"]
    assert "cannot be replaced by another file" in bench(*arguments, wrong).text


def test_a_registration_that_cannot_be_written_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = composition_graph(bench.folder / "stopped.onnx")
    lake = matlake.open_lake(bench.folder / "lake")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("matlake.store.encoder_folders.copy_files", fails)
        with pytest.raises(matlake.MatlakeError, match=r"cannot register encoder stopped: .*No space left"):
            lake.encoders.register(graph, composition_card(), name="stopped")
    assert "stopped" not in lake.encoders
    assert not list(bench.encoders.glob(".*"))


def test_where_a_head_cannot_be_read_nothing_is_deleted(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    report = lake.encoders.register(composition_graph(tmp_path / "own.onnx"), composition_card())
    assert "it keeps the contract of encoders" in repr(report)
    (tmp_path / "lake" / "heads" / "some").mkdir()
    (tmp_path / "lake" / "heads" / "some" / CARD_FILE).write_text("{}")
    with pytest.raises(matlake.MatlakeError, match="it is not known whether head some uses encoder own-compositions"):
        lake.encoders.delete("own-compositions")
    assert "own-compositions" in lake.encoders


def test_a_lake_in_a_bucket_takes_encoders_and_lets_them_go(bucket: str, tmp_path: Path) -> None:
    lake = matlake.open_lake(f"{bucket}/lake", create=True)
    graph = composition_graph(tmp_path / "own.onnx")
    for version in (1, 2):
        lake.encoders.register(graph, composition_card(), replace=version > 1)
        assert lake.encoders["own-compositions"].card.version == version
        composition_graph(graph, behind(COMPOSITION_NODES, "hidden", node("Neg", "inner", "hidden")))
    with pytest.raises(matlake.MatlakeError, match="the lake has an encoder own-compositions already"):
        lake.encoders.register(graph, composition_card())
    lake.encoders.delete("own-compositions")
    assert "own-compositions" not in lake.encoders


def test_a_lake_of_a_moment_takes_none(bench: Bench) -> None:
    lake = matlake.open_lake(bench.folder / "lake", as_of="elastic=0")
    with pytest.raises(matlake.MatlakeError, match="to be read only"):
        lake.encoders.register(composition_graph(bench.folder / "own.onnx"), composition_card())
    with pytest.raises(matlake.MatlakeError, match="to be read only"):
        lake.encoders.delete("magpie")
