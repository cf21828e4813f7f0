"""Import: every row of the source is a material or an explained failure."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from matlake import Lake, import_table, open_lake
from matlake.errors import LakeError, SourceError


def csv(tmp_path: Path, text: str, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


def rows(lake: Lake, statement: str) -> list[dict[str, object]]:
    return lake.query(statement).to_pylist()


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "empty", create=True)


def test_csv_keeps_properties_with_their_types(empty: Lake, tmp_path: Path) -> None:
    path = csv(tmp_path, "Formula,band_gap_eV,count,phase\nTiO2,3.2,4,rutile\nSi,NaN,8,\n")
    report = import_table(empty, path, "oxides")
    assert (report.rows, report.failed, report.replaced) == (2, 0, False)
    assert rows(empty, "SELECT * FROM oxides ORDER BY material_id") == [
        {
            "dataset": "oxides",
            "material_id": "oxides-0",
            "formula": "TiO2",
            "elements": ["O", "Ti"],
            "nelements": 2,
            "nsites": None,
            "band_gap_eV": 3.2,
            "count": 4,
            "phase": "rutile",
        },
        {
            "dataset": "oxides",
            "material_id": "oxides-1",
            "formula": "Si",
            "elements": ["Si"],
            "nelements": 1,
            "nsites": None,
            "band_gap_eV": None,
            "count": 8,
            "phase": None,
        },
    ]


def test_bad_rows_become_failures_and_the_rest_goes_on(empty: Lake, tmp_path: Path) -> None:
    path = csv(tmp_path, 'id,formula,x\na,TiO2,1\nb,"Na+",2\na,Si,3\n,Ge,4\nc,Xx,5\nd\ne,"",6\nf,GaAs,7\n')
    report = import_table(empty, path, "mixed")
    assert (report.rows, report.failed) == (2, 6)
    assert [r["material_id"] for r in rows(empty, "SELECT material_id FROM mixed ORDER BY 1")] == ["a", "f"]
    failures = rows(empty, "SELECT source_row, material_id, stage, reason FROM failures ORDER BY source_row")
    assert [(f["source_row"], f["material_id"]) for f in failures] == [
        (1, "b"),
        (2, "a"),
        (3, None),
        (4, "c"),
        (5, "e"),
        (7, None),
    ]
    reasons = [str(f["reason"]) for f in failures]
    assert "charge" in reasons[0]
    assert "more than once" in reasons[1]
    assert reasons[2] == "no id"
    assert "unknown element 'Xx'" in reasons[3]
    assert "empty" in reasons[4]
    assert "1 fields, expected 3" in reasons[5] or "expected 3" in reasons[5]


def test_importing_again_replaces_rows_and_failures(empty: Lake, tmp_path: Path) -> None:
    import_table(empty, csv(tmp_path, "formula\nTiO2\nXx\nSi\n"), "d")
    report = import_table(empty, csv(tmp_path, "formula,gap_eV\nGe,0.7\n"), "d")
    assert report.replaced
    assert rows(empty, "SELECT formula, gap_eV FROM d") == [{"formula": "Ge", "gap_eV": 0.7}]
    assert rows(empty, "SELECT * FROM failures") == []


def test_parquet_and_gzipped_semicolon_csv_are_read(
    empty: Lake, tmp_path: Path, write_table: Callable[..., Path]
) -> None:
    import_table(empty, write_table(composition=["TiO2", "Si"], x=[1.0, float("nan")], flags=[[1], [2]]), "p")
    assert rows(empty, "SELECT formula, x FROM p ORDER BY material_id") == [
        {"formula": "TiO2", "x": 1.0},
        {"formula": "Si", "x": None},
    ]
    path = tmp_path / "g.csv.gz"
    path.write_bytes(gzip.compress("\ufeffformula;gap_eV\nTiO2;3.2\n".encode()))
    import_table(empty, path, "g")
    assert rows(empty, "SELECT formula, gap_eV FROM g") == [{"formula": "TiO2", "gap_eV": 3.2}]


def test_text_in_a_numeric_column_is_kept_and_said(empty: Lake, tmp_path: Path) -> None:
    report = import_table(empty, csv(tmp_path, "formula,gap_eV\nSi,1.1\nGe,about 0.7\n"), "d")
    assert any("gap_eV" in note and "about 0.7" in note for note in report.notes)
    assert rows(empty, "SELECT gap_eV FROM d WHERE formula = 'Si'") == [{"gap_eV": "1.1"}]


def test_columns_that_the_lake_owns_are_renamed_and_said(empty: Lake, tmp_path: Path) -> None:
    report = import_table(empty, csv(tmp_path, "formula,nsites,Dataset\nSi,2,mp\n"), "d")
    assert len(report.notes) == 2
    assert rows(empty, "SELECT nsites_source, Dataset_source FROM d") == [{"nsites_source": 2, "Dataset_source": "mp"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("formula\n", "no rows"),
        ("a,b\n1,2\n", "no column of formulas"),
        ("formula,Formula\nSi,Ge\n", "two columns"),
        ("formula\nXx\nYy\n", "none of the 2 rows"),
        ("formula,\nSi,1\n", "no name"),
        ("formula\n1.5\n2\n", "no formulas"),
    ],
)
def test_useless_tables_are_one_clear_error(empty: Lake, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        import_table(empty, csv(tmp_path, text), "d")
    assert empty.dataset_names() == []


@pytest.mark.parametrize("name", ["missing.csv", "notes.docx", "wrong.parquet", "latin1.csv"])
def test_unreadable_sources_are_one_clear_error(empty: Lake, tmp_path: Path, name: str) -> None:
    if name != "missing.csv":
        (tmp_path / name).write_bytes("formula,name\nSi,caf\xe9\n".encode("latin-1"))
    with pytest.raises(SourceError, match=name):
        import_table(empty, tmp_path / name, "d")


@pytest.mark.parametrize("name", ["materials", "embed", "../up", "a b", "1st", 'x"; DROP', ""])
def test_names_that_cannot_be_views_are_refused(empty: Lake, band_gaps: Path, name: str) -> None:
    with pytest.raises(LakeError, match="cannot name a dataset"):
        import_table(empty, band_gaps, name)


def test_a_folder_that_is_no_lake_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(LakeError, match="no lake"):
        open_lake(tmp_path, create=True)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(LakeError, match="there is no lake"):
        open_lake(tmp_path / "typo")


def test_a_lake_of_a_newer_format_is_refused(empty: Lake) -> None:
    (empty.path / "lake.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(LakeError, match="newer"):
        open_lake(empty.path)
