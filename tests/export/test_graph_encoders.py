"""The graph networks from training to ONNX: one run each, small, on real crystals."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED
from small_networks import SMALL

from matlake.encoders.card import MODEL_FILE, read_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import reference_crystals
from matlake.encoders.verify import verify_encoder
from matlake.errors import EncoderError, SourceError, TrainingError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.encoders.training_record import TableRecipe  # noqa: E402
from matlake.export.again import export_again  # noqa: E402
from matlake.export.packaging import ExportRequest, export_encoder  # noqa: E402
from matlake.export.pretraining.run import PretrainRequest, load_trained, run_pretraining  # noqa: E402
from matlake.export.pretraining.run_record import read_run  # noqa: E402
from matlake.export.pretraining.training_data import TrainingTable, read_training_data  # noqa: E402
from matlake.networks.architectures import ARCHITECTURES  # noqa: E402 - after the skip
from matlake.networks.writing import GRAPH_OPERATORS, graph_model  # noqa: E402

TARGET = "bulk_modulus_VRH_GPa"
GRAPH_NETWORKS = ("cgcnn", "schnet", "dimenet++")


def ignore(_: object) -> None:
    pass


@pytest.fixture(scope="module")
def crystals(tmp_path_factory) -> Path:
    """The first 120 crystals of the bundled sample."""
    path = tmp_path_factory.mktemp("data") / "elasticity.parquet"
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 120), path)
    return path


@pytest.fixture(scope="module")
def request_for(crystals, tmp_path_factory) -> Callable[..., PretrainRequest]:
    """Makes a request to train a small network."""

    def make(name: str, *targets: str) -> PretrainRequest:
        recipe = TableRecipe(targets or (TARGET,), "crystal", "poscar", held_out="space_group_number = 225")
        config = replace(ARCHITECTURES[name].config, epochs=2, batch_size=16)
        folder = tmp_path_factory.mktemp(name) / "run"
        return PretrainRequest(name, TrainingTable.from_file(crystals), recipe, config, folder, SMALL[name])

    return make


@pytest.fixture(scope="module")
def runs(request_for) -> dict[str, Path]:
    """A finished run of each network."""
    folders = {}
    for name in GRAPH_NETWORKS:
        request = request_for(name)
        run_pretraining(request, ignore, ignore)
        folders[name] = request.folder
    return folders


@pytest.fixture(scope="module")
def exported(runs, crystals, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    for name, run in runs.items():
        export_encoder(
            ExportRequest(
                name, run, f"{name}-small", root / name, data=TrainingTable.from_file(crystals), database="mp"
            )
        )
    return {name: root / name for name in runs}


@pytest.mark.parametrize("name", GRAPH_NETWORKS)
def test_an_exported_network_keeps_the_contract(exported, name) -> None:
    assert not [check for check in verify_encoder(exported[name]) if not check.passed]


@pytest.mark.parametrize("name", GRAPH_NETWORKS)
def test_the_card_tells_graph_elements_data_and_errors(exported, runs, name) -> None:
    card, record = read_card(exported[name]), read_run(runs[name])
    assert card.input == "crystal"
    assert card.input_parameters.graph.cutoff_A == ARCHITECTURES[name].sizes["cutoff"]
    assert card.input_parameters.elements == record.elements
    assert max(card.parity.values()) <= card.parity_tolerance == 1e-5
    assert card.licence == "CC BY 4.0"
    assert set(card.metrics) == {f"{part}_mae_GPa" for part in ("val", "test", "held_out")}
    assert card.metrics["test_mae_GPa"] == pytest.approx(record.results["test_mae"], rel=1e-3)
    assert card.training.columns.held_out == "space_group_number = 225"


@pytest.mark.parametrize("name", GRAPH_NETWORKS)
def test_the_graph_has_known_operators_only(exported, name) -> None:
    model = onnx.load(exported[name] / MODEL_FILE)
    used = {node.op_type for node in model.graph.node}
    assert used <= GRAPH_OPERATORS
    assert not {op for op in used | GRAPH_OPERATORS if op.startswith(("Scatter", "Atan", "Acos", "Asin"))}


@pytest.mark.parametrize("name", GRAPH_NETWORKS)
def test_a_batch_without_edges_works(exported, name) -> None:
    encoder = open_encoder(exported[name])
    alone = reference_crystals().take([len(reference_crystals()) - 2])  # one atom in a box of 30 Å
    inputs = encoder.inputs(alone)
    assert inputs.graphs.edges.tolist() == [0]
    assert all(np.isfinite(vectors).all() for vectors in encoder.encode_inputs(inputs, ["pooled", "prediction"]))
    assert all(array.size for array in encoder.feed(inputs).values())


@pytest.mark.parametrize("name", GRAPH_NETWORKS)
def test_layers_are_the_pooled_blocks_the_crystal_vector_and_the_prediction(exported, name) -> None:
    names = [layer.name for layer in read_card(exported[name]).layers]
    assert names[-1] == "prediction"
    assert "pooled" in names
    assert "1" in names
    assert (name == "dimenet++") == ("sums_2" in names) == ("messages_2" in names)


@pytest.mark.parametrize("name", GRAPH_NETWORKS)
def test_a_run_resumes_and_ends_with_the_same_weights(request_for, runs, name) -> None:
    request = request_for(name)

    class Killed(Exception):  # noqa: N818 - not an error
        pass

    def stop(_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        run_pretraining(request, ignore, stop)
    run_pretraining(request, ignore, ignore)
    whole, resumed = (
        torch.load(folder / "checkpoint.pt", weights_only=True)["network"] for folder in (runs[name], request.folder)
    )
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_several_targets_give_one_network_and_an_error_each(request_for) -> None:
    request = request_for("schnet", TARGET, "poisson_ratio")
    record = run_pretraining(request, ignore, ignore)
    assert {"test_mae_bulk_modulus_VRH_GPa", "test_mae_poisson_ratio"} <= set(record.results)
    network, identity = load_trained(request.folder / "best.pt")
    assert identity["targets"] == [TARGET, "poisson_ratio"]
    assert network.lin2.out_features == 2


def test_no_composition_is_in_two_parts_and_held_out_ones_are_never_trained_on(crystals) -> None:
    recipe = TableRecipe((TARGET,), "crystal", "poscar", held_out="space_group_number = 225")
    data = read_training_data(TrainingTable.from_file(crystals), recipe)
    part_of: dict[str, str] = {}
    for part, rows in data.parts.items():
        for k in range(len(rows)):
            assert part_of.setdefault(rows.materials[k].composition.content_hash, part) == part
    account = data.account
    assert account.rows["held_out"] > 5
    assert account.read == sum(account.rows.values()) + account.kin_of_held_out


def test_rows_that_an_import_would_refuse_are_counted(tmp_path) -> None:
    sound = "Po\n1.0\n3.3 0 0\n0 3.3 0\n0 0 3.3\nPo\n1\ndirect\n0 0 0\n"
    double = "Po\n1.0\n3.3 0 0\n0 3.3 0\n0 0 3.3\nPo\n2\ndirect\n0 0 0\n0.01 0 0\n"
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"poscar": [sound, double, "no structure", None], TARGET: [1.0, 2.0, 3.0, 4.0]}), path)
    account = read_training_data(TrainingTable.from_file(path), TableRecipe((TARGET,), "crystal")).account
    assert (sum(account.rows.values()), account.bad_materials) == (1, 3)
    assert "atoms on top of each other" in account.bad_material_examples[0]


def test_a_predicate_that_is_none_is_refused(crystals) -> None:
    recipe = TableRecipe((TARGET,), "crystal", "poscar", held_out="year >")
    with pytest.raises(SourceError, match="is not a valid predicate over the columns of elasticity"):
        read_training_data(TrainingTable.from_file(crystals), recipe)


def test_an_unknown_size_is_refused(request_for) -> None:
    with pytest.raises(TrainingError, match="schnet has no size width"):
        run_pretraining(replace(request_for("schnet"), sizes={"width": 3}), ignore, ignore)


def test_elements_outside_the_training_rows_are_refused(exported) -> None:
    encoder = open_encoder(exported["schnet"])
    hydrogen = reference_crystals().take([len(reference_crystals()) - 1])
    elements = encoder.card.input_parameters.elements
    expected = None if "H" in elements else f"element H is not among the {len(elements)} of this encoder"
    assert encoder.rejections(hydrogen) == [expected]


def test_int8_is_refused_for_graph_networks(runs, tmp_path) -> None:
    with pytest.raises(EncoderError, match="int8 is for ElemNet only"):
        export_encoder(ExportRequest("schnet", runs["schnet"], "s", tmp_path / "s", "int8"))


@pytest.mark.parametrize("name", ["cgcnn", "schnet"])  # DimeNet++ takes ten seconds, by the same exporter
def test_the_same_weights_give_the_same_file(exported, runs, name) -> None:
    network, identity = load_trained(runs[name] / "best.pt")
    made = ARCHITECTURES[name]
    recipe = made.recipe(network, identity["graph"]["cutoff_A"], identity["graph"]["max_neighbours"])
    content = graph_model(made, network, recipe)[0].SerializeToString(deterministic=True)
    assert content == (exported[name] / MODEL_FILE).read_bytes()
    assert b"graph_onnx.py" not in content


def test_an_encoder_is_exported_again_without_its_checkpoint(exported, tmp_path) -> None:
    before = read_card(exported["cgcnn"])
    card = export_again(exported["cgcnn"], tmp_path / "again", default_layer="hidden", notes=("again",))
    assert (card.version, card.default_layer, card.training.notes) == (before.version + 1, "hidden", ("again",))
    assert (card.layers, card.metrics, card.target) == (before.layers, before.metrics, before.target)
    assert max(card.parity.values()) <= card.parity_tolerance
    crystals = reference_crystals().take(range(0, 40, 4))
    found, expected = (
        open_encoder(folder).encode(crystals, "prediction") for folder in (tmp_path / "again", exported["cgcnn"])
    )
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
