"""Formulas and ids are taken as written, whatever else the text could stand for."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from structures import pymatgen_dict

from matlake import Lake, import_table, open_lake

CASES = Path(__file__).parents[4] / "shared" / "cases" / "reading"
FORMULAS = ["NaN", "NO", "N", "Y", "InF", "CO", "No", "Si"]


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def rows(lake: Lake, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in lake.query(statement).to_pylist()]


@pytest.mark.parametrize("column", ["formula", "Composition", "compound"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_formulas_that_look_like_nothing_are_formulas(empty: Lake, tmp_path: Path, ending: str, column: str) -> None:
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({column: FORMULAS, "x": range(len(FORMULAS))}), path)
    else:
        delimiter = "\t" if ending == "tsv" else ","
        path.write_text(
            "\n".join(f"{a}{delimiter}{b}" for a, b in [(column, "x"), *zip(FORMULAS, FORMULAS, strict=True)])
        )
    report = import_table(empty, path, "d", formula_column=column)
    assert (report.rows, report.failed) == (len(FORMULAS), 0)
    assert rows(empty, 'SELECT formula FROM internal."rows of d" ORDER BY source_row') == [(one,) for one in FORMULAS]


def test_a_second_column_of_formulas_is_taken_as_written_too(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("formula,reduced_formula,formula_units,note\nNaN,NaN,4,NaN\nNa2N2,NaN,2,x\n")
    import_table(empty, tmp_path / "t.csv", "d")
    assert rows(empty, "SELECT reduced_formula, formula_units, note FROM d ORDER BY material_id") == [
        ("NaN", 4, None),
        ("NaN", 2, "x"),
    ]


def test_text_for_a_missing_value_is_not_a_formula(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("formula,x\nSi,1\nNA,2\nNone,3\nnan,4\nNULL,5\n-,6\n,7\nTrue,8\n")
    report = import_table(empty, tmp_path / "t.csv", "d")
    assert (report.rows, report.failed) == (1, 7)


def test_ids_are_taken_as_written(empty: Lake, tmp_path: Path) -> None:
    given = ["0012", "12", "1e1", "10", "12.0", "9007199254740993", "NA", "None", "nan", "TRUE"]
    for name in ("material_id", "ID", "code"):
        lines = "".join(f"{one},Si\n" for one in given)
        (tmp_path / "t.csv").write_text(f"{name},formula\n{lines}")
        report = import_table(empty, tmp_path / "t.csv", "d", id_column=name)
        assert (report.rows, report.failed) == (len(given), 0)
        assert rows(empty, 'SELECT material_id FROM internal."rows of d" ORDER BY source_row') == [
            (one,) for one in given
        ]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([12.0, 10.0, None]), ["12", "10", None]),
        (pa.array([2**53 + 1, 2**63 - 1, 7]), ["9007199254740993", "9223372036854775807", "7"]),
        (pa.array([2**64 - 1, 2**63, 1], pa.uint64()), ["18446744073709551615", "9223372036854775808", "1"]),
        (pa.array(["0012", "12", "NaN"]).dictionary_encode(), ["0012", "12", "NaN"]),
        (pa.array([True, False, None]), ["true", "false", None]),
    ],
)
def test_ids_of_any_type_are_text(empty: Lake, tmp_path: Path, ids: pa.Array, expected: list[str | None]) -> None:
    pq.write_table(pa.table({"id": ids, "formula": ["Si", "Ge", "C"]}), tmp_path / "t.parquet")
    report = import_table(empty, tmp_path / "t.parquet", "d")
    assert report.failed == expected.count(None)
    assert rows(empty, 'SELECT material_id FROM internal."rows of d" ORDER BY source_row') == [
        (one,) for one in expected
    ]


def test_ids_of_json_are_text(empty: Lake, tmp_path: Path) -> None:
    given = [7, 12.0, "0012", 2**70, "NaN"]
    lines = [json.dumps({"structure": pymatgen_dict(), "id": one, "x": n}) for n, one in enumerate(given)]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    assert import_table(empty, tmp_path / "t.jsonl", "d").failed == 0
    found = rows(empty, 'SELECT material_id FROM internal."rows of d" ORDER BY source_row')
    assert found == [("7",), ("12",), ("0012",), (str(2**70),), ("NaN",)]


def test_values_of_json_have_one_type_too(empty: Lake, tmp_path: Path) -> None:
    values = [1.5, 2, "3.5", ">8", "N/A", None, float("inf"), float("nan"), True, 10**400]
    texts = ["1", "2", "0012", "x", "y", "z", "a", "b", "c", "d"]
    lines = [
        json.dumps({"structure": pymatgen_dict(), "gap_eV": v, "t": t}) for v, t in zip(values, texts, strict=True)
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    report = import_table(empty, tmp_path / "t.jsonl", "d")
    assert rows(empty, "SELECT gap_eV, t FROM d ORDER BY material_id") == [
        *zip([1.5, 2.0, 3.5, None, None, None, None, None, None, None], texts, strict=True)
    ]
    assert report.unread_cells == 4
    assert rows(empty, "SELECT source_row, left(text, 4) FROM unread_cells ORDER BY 1") == [
        (3, ">8"),
        (6, "inf"),
        (8, "True"),
        (9, "1000"),
    ]


def test_an_index_of_pandas_in_parquet_is_left_out(empty: Lake, tmp_path: Path) -> None:
    table = pa.table({"formula": ["Si", "Ge"], "__index_level_0__": [5, 7]})
    pq.write_table(table, tmp_path / "t.parquet")
    report = import_table(empty, tmp_path / "t.parquet", "d")
    assert "__index_level_0__" not in empty.query("SELECT * FROM d").column_names
    assert any("index of a pandas table" in note for note in report.notes)


def test_a_failed_row_takes_no_id(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,formula\na,Xx\na,Si\na,Ge\n")
    report = import_table(empty, tmp_path / "t.csv", "d")
    assert (report.rows, report.failed) == (1, 2)
    assert rows(empty, "SELECT material_id, formula FROM d") == [("a", "Si")]
    assert rows(empty, "SELECT source_row, reason FROM failures ORDER BY 1") == [
        (0, "unknown element 'Xx' in formula 'Xx'"),
        (2, "id 'a' is there more than once; the first row with it was imported"),
    ]


def test_blocks_of_one_name_get_ids_of_their_own(empty: Lake, tmp_path: Path) -> None:
    block = (
        "data_global\n_cell_length_a 3.3\n_cell_length_b 3.3\n_cell_length_c 3.3\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\nloop_\n_atom_site_label\n_atom_site_fract_x\n"
        "_atom_site_fract_y\n_atom_site_fract_z\n{} 0 0 0\n"
    )
    other = block.replace("data_global", "data_global-1")
    texts = [block.format("Po"), block.format("Xx"), other.format("Po"), block.format("Po")]
    (tmp_path / "t.cif").write_text("\n".join(texts))
    report = import_table(empty, tmp_path / "t.cif", "d")
    assert (report.rows, report.failed) == (3, 1)
    assert rows(empty, 'SELECT material_id FROM internal."rows of d" ORDER BY source_row') == [
        ("t-global-2",),
        ("t-global-3",),
        ("t-global-1",),
        ("t-global-4",),
    ]


@pytest.mark.parametrize(
    ("name", "ids", "gaps"),
    [
        ("sodium_nitride.csv", ["d-0", "d-1", "d-2"], [8.5, 0.0, 1.1]),
        ("ids_with_zeros.csv", ["0012", "12", "1e1", "10"], [3.2, 3.3, 3.4, 2.2]),
        ("pandas_index.csv", ["d-0", "d-1"], [3.2, 3.3]),
        ("blanks.csv", ["d-0", "d-1"], [3.2, 3.3]),
    ],
)
def test_tables_that_were_misread(empty: Lake, name: str, ids: list[str], gaps: list[float]) -> None:
    if not CASES.is_dir():
        pytest.skip(f"needs {CASES}")
    report = import_table(empty, CASES / name, "d")
    assert (report.rows, report.failed) == (len(ids), 0)
    gap = "gap_eV" if name == "ids_with_zeros.csv" else "band_gap_eV"
    found = rows(empty, f'SELECT material_id, {gap} FROM internal."rows of d" ORDER BY source_row')
    assert found == list(zip(ids, gaps, strict=True))
    assert len(empty.query("SELECT * FROM d").column_names) == 7
