"""Crystal networks that are fine-tuned into heads: carried, predicted in every way alike, calibrated, and refused."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card
from quick_training import outlined
from running_server import Running, serving
from samples import CRYSTAL_ENCODER, ELASTIC, Cli

import matlake
from matlake.encoders.card import LICENCE_FILE, read_card
from matlake.encoders.leakage import LABELS, expose
from matlake.encoders.registry import find_encoder
from matlake.encoders.writing import write_encoder
from matlake.errors import EncoderError, HeadError, MatlakeError, TrainingError
from matlake.regress.heads.past import find_past
from matlake.regress.heads.recalibrate_head import recalibrate_head
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import delete_head, load_head
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict, predict_structures
from matlake.regress.prediction.predict_table import predict_table

torch = pytest.importorskip("torch", reason="needs the extra 'train'")
from graph_networks import randomised  # noqa: E402 - after the skip

from matlake.networks import training  # noqa: E402
from matlake.networks.architectures import ARCHITECTURES  # noqa: E402
from matlake.networks.writing import graph_model  # noqa: E402

TARGET = "bulk_modulus_VRH_GPa"
MODEL = "fine-tune:tiny-cgcnn"
CARRIED = "tiny-cgcnn-fine-tuned"
ROWS = 110
DEFAULT = find_encoder(CRYSTAL_ENCODER).card.default_layer


def _tiny_encoder(lake: matlake.Lake, targets: int = 1, name: str = "tiny-cgcnn") -> None:
    """Write a CGCNN of sixteen numbers an atom, with random weights, into a lake."""
    like = find_encoder(CRYSTAL_ENCODER).card
    sizes = {**(like.training.sizes or {}), "atom_width": 16, "convolutions": 2, "hidden_width": 16}
    assert like.input_parameters.graph is not None
    recipe = replace(like.input_parameters.graph, blocks=2)
    torch.manual_seed(0)
    architecture = ARCHITECTURES["cgcnn"]
    model, layers = graph_model(
        architecture, randomised(architecture.network(**sizes, targets=targets)).float(), recipe
    )
    draft = replace(
        like,
        name=name,
        layers=layers,
        training=replace(like.training, sizes=sizes),
        input_parameters=replace(like.input_parameters, graph=recipe),
        parity_tolerance=1e-4,
        metrics={},
        target=None,
    )
    write_encoder(draft, model.SerializeToString(), lake.encoders_folder / name, lambda _: {})


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(ELASTIC).slice(0, ROWS)


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        _train_with(patch, epochs=4)
        patch.setattr("matlake.regress.finetuning.graph_head.draw_plots", outlined)
        yield


def _train_with(patch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Fine-tune CGCNN with other settings than those that were measured."""
    cgcnn = ARCHITECTURES["cgcnn"]
    assert cgcnn.fine_tuning is not None
    patch.setitem(ARCHITECTURES, "cgcnn", replace(cgcnn, fine_tuning=replace(cgcnn.fine_tuning, **settings)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> tuple[matlake.Lake, TrainResult]:
    """110 real crystals and two formulas, a tiny encoder, and a head fine-tuned from it."""
    folder = tmp_path_factory.mktemp("graph-heads")
    columns = {name: table[name].to_pylist() for name in ("material_id", "formula", "poscar", TARGET)}
    pq.write_table(pa.table({**columns, "is_hard": [y > 100 for y in columns[TARGET]]}), folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    bare = {"material_id": ["f-1", "f-2"], "formula": ["GaN", "NaCl"], TARGET: [200.0, 25.0]}
    lake.add(pa.table(bare), dataset="bare", progress=False)
    _tiny_encoder(lake)
    (lake.encoders_folder / "tiny-cgcnn" / LICENCE_FILE).write_text("Use it well.")
    return lake, train(lake, TrainRequest(TARGET, model=MODEL, name="k"))


@pytest.fixture(scope="module")
def lake(trained: tuple[matlake.Lake, TrainResult]) -> matlake.Lake:
    return trained[0]


def test_the_head_carries_its_network_and_its_card_tells_of_it(lake: matlake.Lake) -> None:
    card = load_head(lake, "k").card
    compared, prediction = card.features
    assert (compared.feature, prediction.feature) == (f"{CARRIED}@{DEFAULT}", f"{CARRIED}@prediction")
    assert {compared.carried_by, prediction.carried_by} == {"k"}
    place = lake.heads_folder / "k" / "encoders" / CARRIED
    carried = json.loads((place / "card.json").read_text())
    assert carried["sha256"] == compared.sha256 != lake.find_encoder("tiny-cgcnn").card.sha256
    assert "fine-tuned from tiny-cgcnn" in carried["training"]["notes"][-1]
    learned = read_card(place)  # who makes it an encoder of its own is told that it knows these labels
    assert learned.trained_on == (*lake.find_encoder("tiny-cgcnn").card.trained_on, TARGET)
    assert expose(learned, TARGET, ["one"], None, None)[0].refusal(LABELS)
    assert max(carried["parity"].values()) <= 1e-4
    assert (place / LICENCE_FILE).read_text() == "Use it well."
    assert card.model.kind == MODEL
    assert card.model.parameters["encoder_sha256"] == lake.find_encoder("tiny-cgcnn").card.sha256
    fitted, calibrating = (card.model.parameters[name] for name in ("fitted_rows", "calibration_rows"))
    assert fitted + calibrating == card.evaluation.n_train
    assert card.interval is not None
    assert card.interval.calibration_rows == calibrating
    assert CARRIED not in [one.card.name for one in lake.list_encoders()]
    assert {"kernel-ridge on tiny-cgcnn as it was", "random forest on magpie"} <= {
        one.name for one in card.more_baselines
    }


def test_rows_without_a_crystal_are_left_out_and_said(trained: tuple[matlake.Lake, TrainResult]) -> None:
    _, result = trained
    assert {(row.material_id, row.reason) for row in result.missing} == {
        ("f-1", "no crystal structure"),
        ("f-2", "no crystal structure"),
    }
    assert "fine-tune:tiny-cgcnn" in "\n".join(map(str, result.lines()))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> list[Path]:
    folder = tmp_path_factory.mktemp("poscars")
    paths = []
    for row in range(5):
        paths.append(folder / f"{table['material_id'][row].as_py()}.vasp")
        paths[-1].write_text(table["poscar"][row].as_py())
    return paths


def _numbers(found: Any) -> np.ndarray:
    return np.array([[one.value, one.lower, one.upper, one.ood_score] for one in found])


def test_structures_a_dataset_a_table_and_the_server_give_the_same(
    lake: matlake.Lake, files: list[Path], tmp_path: Path, table: pa.Table
) -> None:
    expected = _numbers(predict_structures(lake, "k", files).predictions)
    assert np.isfinite(expected).all()
    assert (expected[:, 1] <= expected[:, 0]).all()
    assert (expected[:, 0] <= expected[:, 2]).all()
    assert np.ptp(expected[:, 0]) > 0.0
    assert (expected[:, 3] >= 0.0).all()

    whole = matlake.predict_dataset(lake, "k")
    by_id = {one.input: one for one in whole.predictions}
    assert len(by_id) == ROWS
    assert [(one.input, one.reason) for one in whole.failed] == [
        ("f-1", "no crystal structure"),
        ("f-2", "no crystal structure"),
    ]
    np.testing.assert_allclose(_numbers(by_id[path.stem] for path in files), expected, rtol=1e-4, atol=1e-4)

    pq.write_table(table.slice(0, 5).select(["material_id", "poscar"]), tmp_path / "new.parquet")
    rows = predict_table(lake, "k", tmp_path / "new.parquet").predictions
    np.testing.assert_allclose(_numbers(rows), expected, rtol=1e-4, atol=1e-4)

    with serving(lake, "k") as (running, _):
        answered = _served(running, [path.read_text() for path in files])
    np.testing.assert_allclose(answered, expected, rtol=1e-4, atol=1e-4)


def _served(running: Running, structures: list[str]) -> np.ndarray:
    answer = running.post("/v1/predict", {"head": "k", "structures": structures})
    assert answer.status == 200
    # of the network that the head carries the lake has no vectors: the encoder that it was stands in
    embedded = running.post("/v1/embed", {"structures": structures[:1]}).document
    assert (embedded["encoder"], embedded["dim"]) == ("tiny-cgcnn", 16)
    names = ("value", "lower", "upper", "ood_score")
    return np.array([[one[name] for name in names] for one in answer.document["predictions"]])


def test_the_command_line_trains_lists_saves_and_exports_it(lake: matlake.Lake, tmp_path: Path) -> None:
    cli = Cli(lake.path)
    assert "k" in [head["name"] for head in cli.json("heads", "list")["heads"]]  # type: ignore[attr-defined]
    assert MODEL in cli("heads", "show", "k")
    saved = cli.json("predict", "k", "--dataset", "elastic", "--save")
    assert saved["saved"] == ROWS
    cli("heads", "export", "k", "--output", str(tmp_path / "k"))
    assert (tmp_path / "k" / "encoders" / CARRIED / "encoder.onnx").exists()
    cli("heads", "report", "k", "--output", str(tmp_path / "k.md"))
    report = (tmp_path / "k.md").read_text()
    assert "--model fine-tune:tiny-cgcnn" in report
    assert "## Learning curve" not in report  # of one point
    error = cli.stderr("predict", "k", "--formula", "GaN", code=1)
    assert "needs crystal structures, not formulas" in error
    error = cli.stderr("train", "--target", TARGET, "--model", MODEL, "--features", "magpie", code=1)
    assert "leave --features out" in error
    error = cli.stderr("train", "--target", TARGET, "--model", "ridge", code=2)
    assert "Missing option '--features'" in error


def test_under_another_name_in_another_lake_it_predicts_the_same(
    lake: matlake.Lake, files: list[Path], tmp_path: Path
) -> None:
    other = matlake.open_lake(tmp_path / "other", create=True)
    lake.heads["k"].export(other.heads_folder / "moved")
    copy = other.heads["moved"]
    assert (copy.card.name, {one.carried_by for one in copy.card.features}) == ("moved", {"moved"})
    expected = _numbers(predict_structures(lake, "k", files).predictions)
    np.testing.assert_array_equal(_numbers(predict_structures(other, "moved", files).predictions), expected)
    assert [*other.heads] == ["moved"]
    assert "no encoder" in find_past(other, copy.card).lost or "bulk_modulus" in find_past(other, copy.card).lost


def test_its_rows_are_found_again_and_its_intervals_recalibrated(lake: matlake.Lake) -> None:
    card = load_head(lake, "k").card
    past = find_past(lake, card)
    assert past.rows is not None
    assert len(past.rows.held_out.train) == card.evaluation.n_train
    shutil.copytree(lake.heads_folder / "k", lake.path / "kept")
    done = recalibrate_head(lake, "k", "true")
    assert done.card.recalibration is not None
    assert done.card.recalibration.rows == card.evaluation.n_test
    shutil.rmtree(lake.heads_folder / "k")
    (lake.path / "kept").rename(lake.heads_folder / "k")


def test_a_lost_or_changed_network_is_named(lake: matlake.Lake, files: list[Path]) -> None:
    place = lake.heads_folder / "k" / "encoders" / CARRIED
    model = place / "encoder.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + b"x")
    with pytest.raises(MatlakeError, match=r"does not match|digest|sha256"):
        predict_structures(lake, "k", files)
    assert [problem.path for problem in matlake.check(lake).damaged] == [model]
    model.write_bytes(content)
    card = place / "card.json"
    written = card.read_text()
    card.write_text(written.replace('"version": 1', '"version": 2'))
    assert [problem.path for problem in matlake.check(lake).damaged] == [card]
    card.write_text(written)
    assert not matlake.check(lake).damaged
    place.rename(place.with_name("gone"))
    with pytest.raises(EncoderError, match="head k should carry encoder tiny-cgcnn-fine-tuned"):
        predict_structures(lake, "k", files)
    place.with_name("gone").rename(place)


def test_a_head_of_the_format_before_opens(lake: matlake.Lake) -> None:
    train(lake, TrainRequest(TARGET, ["magpie"], "ridge", name="old"))
    path = lake.heads_folder / "old" / "card.json"

    def older(card: dict[str, Any]) -> None:
        card["format_version"] = 7
        for feature in card["features"]:
            del feature["carried_by"]

    edit_card(path, older)
    assert predict(lake, "old", ["GaN"]).predictions[0].value > 0.0
    delete_head(lake, "old")


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (
            {"where": f"{TARGET} > 180"},
            TrainingError,
            r"only \d+ crystals have .*; fine-tune:tiny-cgcnn needs 50",
        ),
        ({"target": "(bulk_modulus_VRH_GPa * 0 + 2)"}, TrainingError, "nothing to learn"),
        ({"target": "is_hard"}, TrainingError, "is_hard is yes or no"),
        ({"target": f"{TARGET},is_hard"}, TrainingError, "learns one property, and 2 are named"),
        ({"features": ["magpie"]}, TrainingError, "takes the crystals themselves"),
        ({"adversarial": "cal"}, TrainingError, "only an IR-net"),
        ({"weights": TARGET}, TrainingError, "takes no weights"),
        ({"model": "fine-tune:tiny-cgcnn@pooled"}, EncoderError, "all weights of a crystal network"),
        ({"model": "freezing:tiny-cgcnn"}, EncoderError, "write fine-tune:tiny-cgcnn"),
        ({"model": "fine-tune:geometry"}, EncoderError, "no crystal graph network can start from it"),
        ({"model": "fine-tune:nothing"}, EncoderError, "no encoder named"),
        ({"name": "a/b"}, HeadError, "not a valid head name"),
        ({"dataset": "bare"}, TrainingError, "only 2 rows have"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    lake: matlake.Lake, request_: dict[str, Any], error: type[MatlakeError], message: str
) -> None:
    about = {"target": TARGET, "model": MODEL, "name": "refused", **request_}
    with pytest.raises(error, match=message):
        train(lake, TrainRequest(**about))
    assert "refused" not in lake.head_names()


def test_formulas_alone_are_refused(lake: matlake.Lake) -> None:
    formulas = [f"{a}{b}" for a in ("Li", "Na", "K", "Rb") for b in ("F", "Cl", "Br", "I")]
    lake.add({"formula": formulas, "melting_point_K": [float(place) for place in range(16)]}, dataset="formulas")
    with pytest.raises(TrainingError, match="none of the 16 rows has a crystal structure"):
        lake.train("melting_point_K", model=MODEL, progress=False)


def test_a_training_that_diverges_or_is_interrupted_saves_nothing(
    lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path.name for path in lake.heads_folder.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(training, "mean_absolute_errors", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(lake, TrainRequest(TARGET, model=MODEL, name="new"))
    with monkeypatch.context() as patch:
        _train_with(patch, learning_rate=1e12)
        with pytest.raises(MatlakeError, match="is not finite"):
            train(lake, TrainRequest(TARGET, model=MODEL, name="new"))
    assert sorted(path.name for path in lake.heads_folder.rglob("*")) == before
