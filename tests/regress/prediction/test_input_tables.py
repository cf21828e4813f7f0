"""Tables to predict: formulas are taken as written, and what else is in the table comes out again."""

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.regress.prediction.predict_table import predict_table, predict_to_file

pytestmark = pytest.mark.usefixtures("trained")


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_formulas_that_look_like_nothing_are_predicted(embedded: matlake.Lake, tmp_path: Path, ending: str) -> None:
    formulas = ["NaN", "NO", "N2O", "Y2O3", "TiO2"]
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"formula": formulas, "gap": [1] * 5}), path)
    else:
        lines = ["formula,gap", *(f"{one},1" for one in formulas)]
        path.write_text("\n".join(lines).replace(",", "\t" if ending == "tsv" else ","))
    answer = predict_table(embedded, "gap", path)
    assert [one.input for one in answer.predictions] == formulas
    assert not answer.failed


def test_a_column_of_formulas_by_another_name_is_taken_as_written(embedded: matlake.Lake, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("compound,formula_units\nNaN,1\nTiO2,2\n")
    answer = predict_table(embedded, "gap", tmp_path / "t.csv", formula_column="compound")
    assert [one.input for one in answer.predictions] == ["NaN", "TiO2"]


def test_no_cell_of_the_table_is_lost(embedded: matlake.Lake, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,formula,measured,n\n012,TiO2,3.2,1\n12,ZnO,>3,\n1e1,GaN,3.4,3\n")
    predict_to_file(embedded, "gap", tmp_path / "t.csv", tmp_path / "out.csv")
    written = pacsv.read_csv(tmp_path / "out.csv")
    assert b'"012"' in (tmp_path / "out.csv").read_bytes()
    assert written["measured"].to_pylist() == ["3.2", ">3", "3.4"]
    assert written["n"].to_pylist() == [1, None, 3]
