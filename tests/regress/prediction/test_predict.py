import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card
from samples import ENCODER

import matlake
from matlake.errors import EncoderError, HeadError, MatlakeError, SourceError
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction import opened_head
from matlake.regress.prediction.predict import predict
from matlake.regress.prediction.predict_table import predict_table, predict_to_file
from matlake.text_tables import plain_lines

pytestmark = pytest.mark.usefixtures("trained")


def test_what_is_no_formula_is_explained_and_stops_nothing(embedded: matlake.Lake) -> None:
    answer = predict(embedded, "gap", ["TiO2", "Ti4O8", "Xx2", "", "He", "GaN"])
    assert [p.input for p in answer.predictions] == ["TiO2", "Ti4O8", "GaN"]
    assert answer.predictions[0].value == pytest.approx(answer.predictions[1].value)
    assert [(f.row, f.input) for f in answer.failed] == [(2, "Xx2"), (3, ""), (4, "He")]
    document = json.loads(json.dumps(answer.document(), allow_nan=False))
    assert (document["head"], document["unit"]) == ("gap", "eV")
    contract = {"input", "value", "lower", "upper", "ood_score", "novelties", "doubts", "warnings", "nearest"}
    assert set(document["predictions"][0]) == contract | {"expected_error"}
    assert all(one["warnings"] == one["doubts"] for one in document["predictions"])
    assert set(document["predictions"][0]["nearest"][0]) == {"dataset", "material_id", "formula", "value", "distance"}
    assert any("GaN" in line and " eV  [" in line for line in plain_lines(answer.lines()))


def test_text_is_one_formula(embedded: matlake.Lake) -> None:
    assert predict(embedded, "gap", "GaN") == predict(embedded, "gap", ["GaN"])
    assert predict(embedded, "gap", np.str_("GaN")).predictions == predict(embedded, "gap", ["GaN"]).predictions


@pytest.mark.parametrize(
    "formulas",
    [
        ("GaN", "ZnO"),
        iter(["GaN", "ZnO"]),
        np.array(["GaN", "ZnO"]),
        pd.Series(["GaN", "ZnO"]),
        pa.array(["GaN", "ZnO"]),
    ],
    ids=["tuple", "iterator", "array", "Series", "Arrow"],
)
def test_formulas_come_as_a_notebook_holds_them(embedded: matlake.Lake, formulas: Any) -> None:
    assert [p.input for p in predict(embedded, "gap", formulas).predictions] == ["GaN", "ZnO"]


def test_what_is_not_text_is_a_failed_row(embedded: matlake.Lake) -> None:
    kinds = ((4, "PosixPath"), (5, "int"), (6, "NAType"))
    answer = predict(embedded, "gap", ["GaN", None, math.nan, b"GaN", Path("GaN"), 12, pd.NA, "NaN"])
    assert [p.input for p in answer.predictions] == ["GaN", "NaN"]
    assert [(f.row, f.reason) for f in answer.failed] == [
        (1, "empty formula"),
        (2, "empty formula"),
        (3, "a formula should be text, not bytes; give text such as 'TiO2'"),
        *((row, f"a formula should be text, not {kind}; give text such as 'TiO2'") for row, kind in kinds),
    ]
    json.dumps(answer.document(), allow_nan=False)
    assert predict(embedded, "gap", []).predictions == []


@pytest.mark.parametrize("given", [{"GaN": 1}, pd.DataFrame({"formula": ["GaN"]}), 12, None, np.array([["GaN"]])])
def test_what_is_not_a_list_of_formulas_is_refused(embedded: matlake.Lake, given: Any) -> None:
    with pytest.raises(MatlakeError, match="where a list should be"):
        predict(embedded, "gap", given)


def test_a_formula_with_two_readings_is_explained(embedded: matlake.Lake, write_table: Callable[..., Path]) -> None:
    reason = "'YBCO' is the short name of a material, not a formula; write the formula, such as YBa2Cu3O7"
    answer = predict(embedded, "gap", ["CuSO4.5H2O", "CuSO4·5H2O", "YBCO"])
    assert answer.predictions[0].value == answer.predictions[1].value
    assert [f.reason for f in answer.failed] == [reason]
    table = predict_table(embedded, "gap", write_table(formula=["GaN", "YBCO"]))
    assert [f.reason for f in table.failed] == [reason]


def test_nothing_but_bad_formulas_is_an_answer_too(embedded: matlake.Lake) -> None:
    answer = predict(embedded, "gap", ["Xx"])
    assert not answer.predictions
    assert len(answer.failed) == 1


def test_a_prediction_does_not_depend_on_the_company(
    embedded: matlake.Lake, gaps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    formulas = pq.read_table(gaps)["formula"].to_pylist()[:50]
    whole = predict(embedded, "gap", formulas)
    monkeypatch.setattr(opened_head, "CHUNK_ROWS", 7)
    pieces = predict(embedded, "gap", formulas)
    assert [p.value for p in pieces.predictions] == pytest.approx([p.value for p in whole.predictions], abs=1e-4)


def test_a_head_refuses_another_encoder(embedded: matlake.Lake, tmp_path: Path) -> None:
    copy = matlake.Lake(shutil.copytree(embedded.path, tmp_path / "copy"))
    edit_card(copy.encoders_folder / ENCODER / "card.json", lambda card: card.update(sha256="0" * 64))
    with pytest.raises(HeadError, match="but the encoder of that name here has sha256 0000"):
        predict(copy, "gap", ["TiO2"])


def test_a_head_without_its_encoder_says_which_one_it_needs(embedded: matlake.Lake, tmp_path: Path) -> None:
    copy = matlake.Lake(shutil.copytree(embedded.path, tmp_path / "copy"))
    card_file = copy.path / "heads" / "gap" / "card.json"
    edit_card(card_file, lambda card: card["features"][0].update(encoder="mine", feature="mine@2"))
    with pytest.raises(EncoderError, match="head gap needs encoder mine: no encoder named 'mine'"):
        predict(copy, "gap", ["TiO2"])


def test_a_table_and_its_formulas_agree(embedded: matlake.Lake, write_table: Callable[..., Path]) -> None:
    path = write_table(pretty_formula=["TiO2", None, "GaN"])
    answer = predict_table(embedded, "gap", path)
    assert answer.predictions == predict(embedded, "gap", ["TiO2", "GaN"]).predictions
    assert [(f.row, f.input) for f in answer.failed] == [(1, None)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_written_table_explains_every_row(embedded: matlake.Lake, tmp_path: Path, ending: str) -> None:
    source, output = tmp_path / "in.csv", tmp_path / f"out.{ending}"
    source.write_text("id,what\n1,TiO2\n2,Xx\n3,GaN\n4,a,b,c\n")
    report = predict_to_file(embedded, "gap", source, output, formula_column="what")
    table = pacsv.read_csv(output) if ending == "csv" else pq.read_table(output)
    own = ["predicted_band_gap_eV", "prediction_failure", "lower_band_gap_eV", "upper_band_gap_eV", "expected_error"]
    assert table.column_names == [
        "id",
        "what",
        *own,
        "ood_score",
        "novel_elements",
        "doubts",
        "warnings",
        "nearest_training_materials",
    ]
    assert table["id"].to_pylist() == [1, 2, 3]
    values = table["predicted_band_gap_eV"].to_pylist()
    assert [value is None for value in values] == [False, True, False]
    assert "Xx" in table["prediction_failure"].to_pylist()[1]
    few = predict(embedded, "gap", ["TiO2", "GaN"]).predictions
    lower = table["lower_band_gap_eV"].to_pylist()
    assert [lower[0], lower[2]] == pytest.approx([one.lower for one in few], abs=1e-4)
    near = json.loads(table["nearest_training_materials"].to_pylist()[0])
    assert [one["formula"] for one in near] == [one.formula for one in few[0].nearest]
    assert (report.rows, report.n_failed) == (2, 2)
    assert [f.row for f in report.failed] == [1, 3]
    assert not list(tmp_path.glob(".*"))


def test_tables_that_cannot_be_read_or_written_are_refused(
    embedded: matlake.Lake, write_table: Callable[..., Path], tmp_path: Path
) -> None:
    plain = write_table("plain.parquet", what=["TiO2"], number=[1.0])
    taken = write_table("taken.parquet", formula=["TiO2"], predicted_band_gap_eV=[1.0])
    for path, column, output, message in (
        (plain, None, "x.csv", "no column of formulas"),
        (plain, "formula", "x.csv", "no column 'formula'"),
        (plain, "number", "x.csv", "no formulas"),
        (plain, "what", "x.txt", "cannot write"),
        (taken, None, "x.csv", "has a column predicted_band_gap_eV already"),
    ):
        with pytest.raises(SourceError, match=message):
            predict_to_file(embedded, "gap", path, tmp_path / output, formula_column=column)
    assert not list(tmp_path.glob("*x.*"))


def test_prediction_needs_neither_scikit_learn_nor_torch(embedded: matlake.Lake, trained: TrainResult) -> None:
    code = (
        "import sys; from pathlib import Path; import matlake; from matlake.regress.prediction.predict import predict; "
        f"predict(matlake.open_lake(Path({str(embedded.path)!r})), {trained.card.name!r}, ['TiO2']); "
        "print({'sklearn', 'skl2onnx', 'spox', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
