"""Heads of yes/no properties: probabilities that are calibrated, labels, sets of labels, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.errors import HeadError, TrainingError
from matlake.plots.style import new_figure
from matlake.regress.finetuning.source_head import read_saved_network
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.listing import card_lines, head_table
from matlake.regress.heads.plots import kinds_of, plot_head
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import find_head, load_head
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.heads.verdict import ranking_text
from matlake.text_tables import plain_lines

FEATURE = "magpie"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, gaps: Path) -> matlake.Lake:
    """The gaps as a property that is true or false, as 0 and 1, and with few and no metals."""
    folder = tmp_path_factory.mktemp("metals")
    table = pq.read_table(gaps)
    metal = pc.equal(table["band_gap_eV"], 0.0)
    rare = np.zeros(len(table), dtype=bool)
    rare[:3] = True
    for name, column in {
        "metal": metal,
        "flag": pc.cast(metal, pa.int64()),
        "rare": pa.array(rare),
        "never": pa.array(np.zeros(len(table), dtype=bool)),
    }.items():
        table = table.append_column(name, column)
    pq.write_table(table, folder / "metals.parquet")
    opened = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(opened, folder / "metals.parquet", "metals")
    return opened


@pytest.fixture(scope="module")
def trained(lake: matlake.Lake) -> TrainResult:
    return train(lake, TrainRequest("metal", [FEATURE], "ridge", name="metal"))


def test_a_head_gives_probabilities_and_says_what_they_are_worth(trained: TrainResult) -> None:
    document = json.loads(json.dumps(trained.document(), allow_nan=False))
    metrics, baseline = document["metrics"], document["baseline"]
    assert document["kind"] == "yes/no"
    assert {"mae", "rmse", "r2", "roc_auc", "log_loss", "brier", "balanced_accuracy"} <= metrics.keys()
    assert metrics["rmse"] ** 2 == pytest.approx(metrics["brier"])
    assert metrics["roc_auc"] > 0.8
    assert metrics["brier"] < 0.8 * baseline["brier"]
    assert baseline["roc_auc"] == pytest.approx(0.5)
    low, high = document["metric_intervals"]["roc_auc"]
    assert low < metrics["roc_auc"] < high
    assert {found["baseline"] for found in document["baselines"]} >= {"nearest training material"}
    assert all("brier" in found and "mae" not in found for found in document["baselines"])
    assert document["interval"] is None
    y, predicted = trained.test.y, trained.test.predicted
    assert metrics["brier"] == pytest.approx(np.mean((y - predicted) ** 2))
    assert (predicted > 0.0).all()
    assert (predicted < 1.0).all()


def test_text_says_probability_and_brier_score(trained: TrainResult) -> None:
    text = "\n".join(plain_lines(trained.lines()))
    assert "probability that metal is yes (yes in " in text
    assert "cross-validated log loss" in text
    assert "ROC-AUC" in text
    assert "label sets hold yes for" in text
    assert "MAE" not in text
    assert "interval" not in ranking_text(trained.card)


def test_the_saved_card_reads_back_and_is_shown(trained: TrainResult, lake: matlake.Lake) -> None:
    folder = find_head(lake, "metal")
    card = read_card(folder / CARD_FILE)
    assert card == trained.card
    assert card.classes is not None
    assert card.space.link == card.classes.link
    lines = "\n".join(card_lines(card, folder))
    assert "test ROC-AUC" in lines
    assert "reliability.png" in lines
    assert "Brier score" in "\n".join(plain_lines([head_table([card])]))


def test_the_file_gives_the_probabilities_of_the_fit(trained: TrainResult, lake: matlake.Lake) -> None:
    assert trained.card.model.parity is not None
    assert trained.card.model.parity <= 1e-9
    assert load_head(lake, "metal").card.kind == "yes/no"


def test_predictions_have_labels_and_no_interval(trained: TrainResult, lake: matlake.Lake) -> None:
    answer = matlake.predict(lake, trained.card.name, ["CuZn", "NaCl", "not a formula"])
    document = answer.document()
    assert (document["kind"], document["level"]) == ("yes/no", 0.9)
    for one in document["predictions"]:
        assert one["label"] == ("yes" if one["value"] >= 0.5 else "no")
        assert one["label"] in one["label_set"].split(" or ")
        assert (one["lower"], one["upper"]) == (None, None)
        assert one["ood_score"] > 0.0
    assert len(document["failed"]) == 1
    text = "\n".join(plain_lines(answer.lines()))
    assert "probability of yes, with 90% sets of labels" in text
    assert f"{answer.predictions[0].label}, {answer.predictions[0].value:.2f}" in text


def test_tables_have_columns_of_labels(trained: TrainResult, lake: matlake.Lake, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("formula\nCuZn\nnot a formula\nNaCl\n")
    matlake.predict_to_file(lake, trained.card.name, tmp_path / "in.csv", tmp_path / "out.csv")
    rows = pacsv.read_csv(tmp_path / "out.csv").to_pylist()
    assert [row["label_metal"] for row in rows][1] in (None, "")
    assert {rows[0]["label_metal"], rows[2]["label_metal"]} <= {"yes", "no"}
    assert rows[0]["label_set_metal"]
    assert rows[0]["lower_metal"] is None


def test_a_column_of_0_and_1_is_taken_as_yes_or_no_and_the_report_says_so(
    lake: matlake.Lake, trained: TrainResult
) -> None:
    result = train(lake, TrainRequest("flag", [FEATURE], "ridge"))
    assert "the column holds 0 and 1 only" in plain_lines(result.lines())[0]
    assert "the column holds 0 and 1 only" not in plain_lines(trained.lines())[0]
    assert result.test.predicted.tolist() == trained.test.predicted.tolist()


def test_a_condition_in_sql_is_yes_or_no(lake: matlake.Lake, trained: TrainResult) -> None:
    result = train(lake, TrainRequest("band_gap_eV = 0", [FEATURE], "ridge", name="condition"))
    assert result.card.kind == "yes/no"
    assert result.card.unit == ""
    assert result.test.predicted.tolist() == trained.test.predicted.tolist()


def test_a_reliability_diagram_takes_the_place_of_parity(trained: TrainResult, lake: matlake.Lake) -> None:
    kinds = kinds_of(trained.card, trained.test)
    assert kinds == ["reliability", "error_by_distance", "learning_curve"]
    with new_figure(3.3, 3.3) as figure:
        axes = plot_head(lake, trained.card.name, ax=figure.add_subplot())
        distance = plot_head(lake, trained.card.name, "error_by_distance", ax=figure.add_subplot())
    assert axes.get_ylabel() == "Observed frequency of metal"
    assert f"Brier score {trained.metrics.brier:#.3g}" in axes.get_legend().get_title().get_text()
    assert " ".join(distance.get_ylabel().split()) == "Absolute error of the probability of metal"


def test_the_server_answers_with_labels(trained: TrainResult, lake: matlake.Lake) -> None:
    schema = pytest.importorskip("matlake.serving.schema", reason="needs the extra 'serve'")
    document = json.loads(json.dumps(matlake.predict(lake, trained.card.name, ["CuZn"]).document()))
    answer = schema.PredictResponse.model_validate(document)
    assert answer.kind == "yes/no"
    assert answer.predictions[0].label == document["predictions"][0]["label"]
    assert answer.predictions[0].label_set == document["predictions"][0]["label_set"]


def test_both_classes_are_tested_in_their_shares(trained: TrainResult) -> None:
    assert trained.card.classes is not None
    assert trained.test.y.mean() == pytest.approx(trained.card.classes.yes_share, abs=0.03)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TrainRequest("never", [FEATURE]), r"never is no in all 3\d\d rows: nothing to learn"),
        (TrainRequest("rare", [FEATURE]), r"rare is yes in only 3 of 3\d\d rows; at least 10 of each class are needed"),
        (
            TrainRequest("metal", [FEATURE], split="value:high"),
            "is 0 in all|is yes in only|at least 10 of each class",
        ),
        (TrainRequest("metal", [FEATURE], minimum=0.0), "metal is yes or no: it has no minimum and no maximum"),
    ],
    ids=["one class", "three rows", "split", "bounds"],
)
def test_what_cannot_be_learned_is_refused_in_one_line(
    lake: matlake.Lake, request_: TrainRequest, message: str
) -> None:
    with pytest.raises(TrainingError, match=message) as found:
        train(lake, request_)
    assert "\n" not in str(found.value)
    assert found.value.hint


def test_a_head_of_yes_or_no_cannot_be_fine_tuned(lake: matlake.Lake, trained: TrainResult) -> None:
    with pytest.raises(HeadError, match="head metal predicts yes or no, and only heads of numbers can be fine-tuned"):
        read_saved_network(lake, trained.card.name)
