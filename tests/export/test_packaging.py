"""Export: the file computes what the network computes, or there is no card."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from matlake.encoders.card import MODEL_FILE, Target, read_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.verify import verify_encoder
from matlake.errors import EncoderError, TrainingError

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.export import packaging  # noqa: E402
from matlake.export.packaging import ExportRequest, export_encoder  # noqa: E402
from matlake.export.precision import compute_in_int8  # noqa: E402
from matlake.export.pretraining.run import load_trained, run_pretraining  # noqa: E402
from matlake.export.pretraining.training_data import TrainingTable  # noqa: E402
from matlake.networks.architectures import ARCHITECTURES  # noqa: E402 - after the skip
from matlake.networks.parity import TOLERANCES, check_parity, measure_parity  # noqa: E402
from matlake.networks.writing import ALLOWED_OPERATORS, check_operators, elemnet_model  # noqa: E402

PRECISIONS = ("float32", "float16", "int8")


@pytest.fixture(scope="module", autouse=True)
def exported_once() -> Iterator[None]:
    """Remember the graph of each network: torch exports for seconds, and most tests export the same weights."""
    known: dict[str, tuple[bytes, object]] = {}

    def remembered(network) -> tuple:
        weights = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values()))
        if weights.hexdigest() not in known:
            model, layers = elemnet_model(network)
            known[weights.hexdigest()] = model.SerializeToString(), layers
        content, layers = known[weights.hexdigest()]
        return onnx.load_model_from_string(content), layers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packaging, "elemnet_model", remembered)
        yield


@pytest.fixture(scope="module")
def exported(run_folder, table, tmp_path_factory) -> dict[str, Path]:
    """The run in every precision: precision -> folder."""
    root = tmp_path_factory.mktemp("encoders")
    for precision in PRECISIONS:
        request = ExportRequest(
            "elemnet",
            run_folder,
            f"oxides-{precision}",
            root / precision,
            precision,
            TrainingTable.from_file(table),
            "oqmd",
        )
        export_encoder(request)
    return {precision: root / precision for precision in PRECISIONS}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_layer_equals_the_network_in_any_batch(exported, run_folder, precision) -> None:
    network, _ = load_trained(run_folder / "best.pt")
    parity = measure_parity(ARCHITECTURES["elemnet"], network, open_encoder(exported[precision]))
    assert len(parity) == 17
    assert max(parity.values()) <= TOLERANCES[precision]
    assert read_card(exported[precision]).parity == pytest.approx(parity, abs=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_exported_encoder_keeps_the_contract(exported, precision) -> None:
    failed = [check for check in verify_encoder(exported[precision]) if not check.passed]
    assert not failed


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_graph_is_plain_and_tells_nothing_of_the_machine(exported, precision) -> None:
    content = (exported[precision] / MODEL_FILE).read_bytes()
    model = onnx.load_model_from_string(content)
    assert {node.op_type for node in model.graph.node} <= ALLOWED_OPERATORS[precision]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert b"elemnet.py" not in content
    assert [output.name for output in model.graph.output][-2:] == ["hidden_16", "prediction"]


def test_a_network_of_two_properties_predicts_both(table, request_in, tmp_path) -> None:
    second = "formula_length"
    read = pa.csv.read_csv(table)
    lengths = pa.array([float(len(formula)) for formula in read["formula"].to_pylist()])
    pq.write_table(read.append_column(second, lengths), tmp_path / "two.parquet")
    request = request_in(tmp_path / "run")
    columns = (*request.recipe.target_columns, second)
    data = TrainingTable.from_file(tmp_path / "two.parquet")
    config = replace(request.config, epochs=1)
    run_pretraining(
        replace(request, data=data, recipe=replace(request.recipe, target_columns=columns), config=config), print, print
    )
    for precision in ("float32", "int8"):
        card = export_encoder(ExportRequest("elemnet", tmp_path / "run", "two", tmp_path / precision, precision, data))
        assert card.layer("prediction").dim == 2
        assert {f"test_mae_{column}" for column in columns} <= set(card.metrics)
        assert not [check for check in verify_encoder(tmp_path / precision) if not check.passed]


def test_smaller_precisions_are_smaller(exported) -> None:
    size = {precision: (folder / MODEL_FILE).stat().st_size for precision, folder in exported.items()}
    assert size["float16"] < 0.51 * size["float32"]
    assert size["int8"] < 0.29 * size["float32"]


def test_the_card_tells_data_errors_and_licence(exported) -> None:
    card = read_card(exported["int8"])
    assert card.licence == "CC BY 4.0"
    assert any("OQMD" in paper for paper in card.citation)
    assert card.target == Target("formation_energy_eV_per_atom", "eV/atom")
    assert card.training.table.read == 200
    assert set(card.metrics) == {
        f"{part}_mae{of}_eV_per_atom" for part in ("val", "test") for of in ("", "_of_float32_network")
    }
    assert card.default_layer == "1"
    assert read_card(exported["float16"]).precision == "float16-stored"


def test_the_same_run_gives_the_same_file(exported, run_folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(packaging, "elemnet_model", elemnet_model)
    card = export_encoder(ExportRequest("elemnet", run_folder, "again", tmp_path, "int8"))
    assert card.sha256 == read_card(exported["int8"]).sha256


def test_an_encoder_is_replaced_only_on_request(run_folder, tmp_path) -> None:
    request = ExportRequest("elemnet", run_folder, "oxides", tmp_path / "oxides")
    assert export_encoder(request).version == 1
    with pytest.raises(EncoderError, match="holds an encoder already"):
        export_encoder(request)
    assert export_encoder(replace(request, replace=True)).version == 2


def test_no_card_is_written_where_parity_fails(run_folder, tmp_path, monkeypatch) -> None:
    def wrong(model) -> onnx.ModelProto:
        bias = next(t for t in model.graph.initializer if t.name == "hidden.5.bias")
        bias.CopyFrom(onnx.numpy_helper.from_array(np.full(512, 0.1, dtype=np.float32), bias.name))
        return model

    monkeypatch.setitem(packaging.PRECISIONS, "float32", wrong)
    with pytest.raises(EncoderError, match="the exported file is not the network"):
        export_encoder(ExportRequest("elemnet", run_folder, "wrong", tmp_path / "wrong"))
    assert not (tmp_path / "wrong").exists()


def test_a_parity_that_is_not_a_number_fails() -> None:
    with pytest.raises(EncoderError, match="1 of 2 layers"):
        check_parity({"1": 0.0, "2": float("nan")}, "float32")


def test_other_data_than_the_runs_is_refused(run_folder, write_table, recipe, tmp_path) -> None:
    other = write_table(**{"formula": ["TiO2"], recipe.target_columns[0]: [-3.0]})
    with pytest.raises(TrainingError, match="is not the table that the run was trained on"):
        export_encoder(
            ExportRequest("elemnet", run_folder, "other", tmp_path / "other", data=TrainingTable.from_file(other))
        )


def test_an_unexpected_operator_is_refused(exported) -> None:
    model = onnx.load(exported["float32"] / MODEL_FILE)
    model.graph.node[1].op_type = "Sigmoid"
    with pytest.raises(EncoderError, match="unexpected operators: Sigmoid"):
        check_operators(model, ALLOWED_OPERATORS["float32"])


def test_int8_products_never_overflow_sixteen_bits(exported) -> None:
    model = compute_in_int8(onnx.load(exported["float32"] / MODEL_FILE))
    weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".int8")]
    assert len(weights) == 10
    assert all(2 * 255 * np.abs(w.astype(int)).max() < 2**15 for w in weights)
