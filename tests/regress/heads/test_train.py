import json

import numpy as np
import pytest

import matlake
from matlake import extras
from matlake.errors import EncoderError, HeadError, MissingExtraError, TrainingError
from matlake.metrics import measure
from matlake.progress import Progress
from matlake.regress.heads.card import Budget
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.regress.regressors import AUTO_MODELS, elemnet
from matlake.text_tables import plain_lines

ENCODER = "elemnet-oqmd-formation-energy"
FEATURE = f"{ENCODER}@13"


def test_the_answer_holds_what_the_contract_promises(trained: TrainResult) -> None:
    answer = json.loads(json.dumps(trained.document(), allow_nan=False))
    assert answer["head"] == "gap"
    assert (answer["target"], answer["unit"]) == ("band_gap_eV", "eV")
    assert answer["n_train"] + answer["n_test"] == 307
    kinds = ("metrics", "baseline", "fractions_baseline", "nearest_baseline")
    assert all(set(answer[kind]) == {"mae", "rmse", "r2", "q95", "spearman"} for kind in kinds)
    low, high = answer["metric_intervals"]["mae"]
    assert low < answer["metrics"]["mae"] < high
    assert answer["random_split"] is None
    assert answer["interval"]["level"] == pytest.approx(0.9)
    assert 0.7 < answer["interval"]["coverage"] <= 1.0
    assert [point["rows"] for point in answer["learning_curve"]] == sorted(p["rows"] for p in answer["learning_curve"])
    assert answer["learning_curve"][-1] == {"rows": answer["n_train"], "mae": answer["metrics"]["mae"]}
    assert answer["cv"]["folds"] == 3
    assert answer["left_out"] == 0


def test_the_metrics_are_those_of_the_saved_head(embedded: matlake.Lake, trained: TrainResult) -> None:
    held = trained.test
    answer = predict(embedded, "gap", held.formula.tolist())
    again = np.array([prediction.value for prediction in answer.predictions])
    assert again == pytest.approx(held.predicted, abs=1e-4)
    assert measure(held.y, again).mae == pytest.approx(trained.metrics.mae, abs=1e-5)


def test_people_see_the_unit_and_both_baselines(trained: TrainResult) -> None:
    text = "\n".join(plain_lines(trained.lines()))
    assert "band_gap_eV in eV" in text
    assert "mean of the training rows" in text
    assert "ridge on element fractions" in text
    assert "nearest training material" in text
    assert "90% intervals hold" in text
    header = next(line for line in plain_lines(trained.lines()) if "R²" in line)
    rows = [line for line in plain_lines(trained.lines()) if line.startswith(("ridge on", "mean of", "nearest"))]
    assert len(rows) == 4
    assert {len(line) for line in rows} == {header.index("Spearman") + len("Spearman")}


@pytest.mark.usefixtures("rendered_plots")
def test_plots_are_kept_with_the_head(embedded: matlake.Lake) -> None:
    result = train(embedded, TrainRequest("band_gap_eV", [FEATURE], "ridge", name="drawn"))
    plots = embedded.heads_folder / result.card.name / "plots"
    names = ("coverage", "error_by_distance", "learning_curve", "parity")
    expected = [*(f"{name}.{ending}" for name in names for ending in ("png", "svg")), "test_rows.parquet"]
    assert sorted(path.name for path in plots.iterdir()) == expected
    assert all((plots / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in names)
    assert "Absolute error of band gap (eV)" in (plots / "error_by_distance.svg").read_text()
    assert "MAE of band gap (eV)" in (plots / "learning_curve.svg").read_text()


def test_the_same_seed_makes_the_same_head(embedded: matlake.Lake) -> None:
    rows = {"where": "band_gap_eV > 1", "budget": Budget(3)}
    request = TrainRequest("band_gap_eV", [FEATURE], "extra-trees", name="twice", seed=5, **rows)
    first, again = train(embedded, request), train(embedded, request)
    assert first.card.sha256 == again.card.sha256
    assert first.metrics == again.metrics


def test_auto_names_the_model_it_chose(embedded: matlake.Lake) -> None:
    steps: list[str] = []
    request = TrainRequest("band_gap_eV", [FEATURE], where="band_gap_eV > 0", budget=Budget(3 * len(AUTO_MODELS)))
    result = train(embedded, request, Progress(steps.append))
    assert result.card.name == "band_gap_eV-auto"
    assert f"model {result.card.model.kind}" in plain_lines(result.lines())[3]
    assert result.metrics.mae < result.baseline.mae
    assert any("cross-validating svr" in step for step in steps)
    assert '"band_gap_eV" IS NOT NULL AND (band_gap_eV > 0' in result.card.training.sql


def test_what_cannot_be_trained_is_said_before_the_work(embedded: matlake.Lake) -> None:
    for request, error, message in (
        (TrainRequest("band_gap_eV", [FEATURE], "oracle"), TrainingError, "unknown model"),
        (TrainRequest("band_gap_eV", [FEATURE], "ridge", split="halves"), TrainingError, "unknown split"),
        (TrainRequest("band_gap_eV", [FEATURE], "ridge", name="a/b"), HeadError, "not a valid head name"),
        (TrainRequest("density", [FEATURE], "ridge"), TrainingError, "no column 'density'"),
    ):
        with pytest.raises(error, match=message):
            train(embedded, request)


def test_a_fine_tuned_encoder_becomes_a_head_like_any_other(
    embedded: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    monkeypatch.setitem(elemnet.TUNED, "epochs", 3)
    monkeypatch.setattr(elemnet, "HIDDEN_WIDTHS", (64, 32))
    result = train(embedded, TrainRequest("band_gap_eV", ["fractions"], f"fine-tune:{ENCODER}"))
    card = result.card
    assert card.name == f"band_gap_eV-fine-tune-{ENCODER}"
    assert card.model.kind == f"fine-tune:{ENCODER}"
    assert card.model.parameters["source"] == ENCODER
    assert card.model.parameters["source_sha256"] == embedded.find_encoder(ENCODER).card.sha256
    assert result.metrics.mae < result.baseline.mae
    assert card.model.parity is not None
    assert card.model.parity < 1e-5
    assert any(line.startswith("elemnet on element fractions") for line in plain_lines(result.lines()))
    held = result.test
    again = [prediction.value for prediction in predict(embedded, card.name, held.formula.tolist()).predictions]
    assert again == pytest.approx(held.predicted, abs=1e-4)


def test_a_network_of_an_encoders_weights_is_refused_before_the_work(
    embedded: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for features, model, error, message in (
        ([FEATURE], f"fine-tune:{ENCODER}", TrainingError, "takes element fractions"),
        (["fractions", "magpie"], f"freezing:{ENCODER}", TrainingError, "takes element fractions"),
        (["fractions"], "fine-tune:resnet", EncoderError, "no encoder named 'resnet'"),
        (["fractions"], "fine-tune:", EncoderError, "is not NAME"),
        (["fractions"], f"fine-tune:{FEATURE}", EncoderError, "names a layer"),
        (["fractions"], "mod-fine-tune:magpie", EncoderError, "not a plain chain"),
        (["fractions"], f"fine-tune:{ENCODER}-int8", EncoderError, "quantised to int8"),
        (["fractions"], f"distil:{ENCODER}", TrainingError, "unknown model"),
    ):
        with pytest.raises(error, match=message):
            train(embedded, TrainRequest("band_gap_eV", features, model))
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    for model in ("elemnet", f"fine-tune:{ENCODER}"):
        with pytest.raises(MissingExtraError, match="needs torch"):
            train(embedded, TrainRequest("band_gap_eV", ["fractions"], model))


def test_training_without_scikit_learn_says_what_to_install(
    embedded: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda name: name != "sklearn")
    with pytest.raises(MissingExtraError, match="training a head needs sklearn") as caught:
        train(embedded, TrainRequest("band_gap_eV", ["fractions"], "ridge"))
    assert caught.value.hint == "pip install 'matlake[heads]'"


def test_training_without_matplotlib_leaves_the_plots_out_and_says_so(
    embedded: matlake.Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlake.regress.heads.plots.is_installed", lambda name: name != "matplotlib")
    notes: list[str] = []
    result = train(
        embedded, TrainRequest("band_gap_eV", ["fractions"], "ridge", name="plain"), Progress(note=notes.append)
    )
    assert [note for note in notes if "matlake[plots]" in note] == [
        "plots are left out: they need pip install 'matlake[plots]'"
    ]
    assert not list((embedded.path / "heads" / result.card.name).rglob("*.png"))
