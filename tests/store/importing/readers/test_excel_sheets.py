"""Sheets of Excel and OpenDocument."""

import zipfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from opened_sources import read
from spreadsheets import write_ods, write_xlsx

from matlake.errors import SourceError

TABLE = [
    ["id", "formula", "gap_eV", "space group", "measured", "stable", None],
    ["0012", "MgO", 7.8, 225, date(2020, 5, 17), True],
    [13, "CaO", 7.0, 225.0, date(2021, 1, 1), False],
    [None, None],
    ["x", "NiO", None, 225, None, True],
]


def test_a_sheet_is_a_table(tmp_path: Path) -> None:
    found = read(write_xlsx(tmp_path / "t.xlsx", {"Data": TABLE}))
    assert found.source.schema.field("measured").type == pa.timestamp("us")
    assert [row | {"measured": row["measured"] and str(row["measured"])} for row in found.rows] == [
        {
            "id": "0012",
            "formula": "MgO",
            "gap_eV": 7.8,
            "space group": 225,
            "measured": "2020-05-17 00:00:00",
            "stable": True,
        },
        {
            "id": "13",
            "formula": "CaO",
            "gap_eV": 7.0,
            "space group": 225,
            "measured": "2021-01-01 00:00:00",
            "stable": False,
        },
        {"id": "x", "formula": "NiO", "gap_eV": None, "space group": 225, "measured": None, "stable": True},
    ]
    assert found.notes == []


def test_numbers_stored_as_text_are_numbers_where_all_are(tmp_path: Path) -> None:
    rows = [["formula", "gap_eV", "K_GPa", "code"], ["MgO", "7.8", ">150", "007"], ["CaO", "7", 110, "008"]]
    rows += [["NiO", "na", "190", "009"]]
    found = read(write_xlsx(tmp_path / "t.xlsx", {"Data": rows}))
    assert [row["gap_eV"] for row in found.rows] == [7.8, 7.0, None]
    assert [row["K_GPa"] for row in found.rows] == [None, 110.0, 190.0]
    assert [row["code"] for row in found.rows] == ["007", "008", "009"]
    assert found.unread == ["K_GPa: >150"]


def test_dates_beside_text_are_text(tmp_path: Path) -> None:
    rows = [["formula", "when"], ["MgO", date(2020, 5, 17)], ["CaO", "unknown"]]
    found = read(write_xlsx(tmp_path / "t.xlsx", {"Data": rows}))
    assert [row["when"] for row in found.rows] == ["2020-05-17 00:00:00", "unknown"]


def test_the_first_of_several_sheets_is_read_unless_another_is_named(tmp_path: Path) -> None:
    other = [["formula"], ["CaO"]]
    path = write_xlsx(tmp_path / "t.xlsx", {"Data": TABLE, "More": other})
    assert read(path).notes == ["sheet Data was read, not More; t.xlsx::More names another"]
    assert [row["formula"] for row in read(f"{path}::More").rows] == ["CaO"]
    with pytest.raises(SourceError, match="has no sheet 'None'"):
        read(f"{path}::None")


def test_a_hidden_sheet_is_not_the_first(tmp_path: Path) -> None:
    path = write_xlsx(
        tmp_path / "t.xlsx", {"Lists": [["choices"], ["a"]], "Data": TABLE, "More": TABLE}, hidden="Lists"
    )
    found = read(path)
    assert found.rows == read(f"{path}::Data").rows
    assert found.notes[0] == "sheet Data was read, not Lists, More; t.xlsx::Lists names another"


def test_formulas_without_results_are_noted(tmp_path: Path) -> None:
    found = read(write_xlsx(tmp_path / "t.xlsx", {"Data": [["formula", "E"], ["MgO", "=1+1"], ["CaO", 2]]}))
    assert [row["E"] for row in found.rows] == [None, 2]
    assert "never calculated" in found.notes[0]


def test_dates_among_formulas_and_ids_are_text(tmp_path: Path) -> None:
    rows = [["id", "formula"], [date(2026, 3, 1), "MgO"], [12, date(2026, 3, 1)]]
    found = read(write_xlsx(tmp_path / "t.xlsx", {"Data": rows}))
    assert found.rows == [
        {"id": "2026-03-01 00:00:00", "formula": "MgO"},
        {"id": "12", "formula": "2026-03-01 00:00:00"},
    ]


def test_opendocument_is_read(tmp_path: Path) -> None:
    found = read(write_ods(tmp_path / "t.ods", [["formula", "gap_eV"], ["MgO", 7.8], ["CaO", 7]]))
    assert found.rows == [{"formula": "MgO", "gap_eV": 7.8}, {"formula": "CaO", "gap_eV": 7.0}]


@pytest.mark.parametrize(
    ("rows", "merged", "reason"),
    [
        ([["Oxides", None], ["formula", "gap_eV"], ["MgO", 7.8]], "A1:B1", "has merged cells"),
        ([["formula", None], ["MgO", 7.8]], "", "column 2 of sheet 'Data' of .* has no name"),
        ([["formula", "gap_eV"]], "", "has a header but no rows"),
        ([[None]], "", "has no rows"),
        ([["formula", "id", "Formula"], ["MgO", 1, "MgO"]], "", "two columns named 'Formula'"),
    ],
)
def test_what_is_not_a_table_is_refused(tmp_path: Path, rows: list[list[object]], merged: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read(write_xlsx(tmp_path / "t.xlsx", {"Data": rows}, merged=merged))


def test_files_that_are_damaged_or_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_xlsx(tmp_path / "t.xlsx", {"Data": TABLE})
    (tmp_path / "d.xlsx").write_bytes(path.read_bytes()[:300])
    with pytest.raises(SourceError, match="cannot read"):
        read(tmp_path / "d.xlsx")
    far = tmp_path / "far.xlsx"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(far, "w", zipfile.ZIP_DEFLATED) as changed:
        for name in archive.namelist():
            changed.writestr(name, archive.read(name).replace(b'r="D4"', b'r="XFD1048576"'))
    with zipfile.ZipFile(far, "a") as changed:
        changed.writestr("xl/worksheets/sheet9.xml", b'<c r="XFD1048576"><v>1</v></c>')
    with pytest.raises(SourceError, match="1,048,576 rows and 16,384 columns"):
        read(far)
    monkeypatch.setattr("matlake.store.importing.readers.streams._ALWAYS_ALLOWED", 1000)
    monkeypatch.setattr("matlake.store.importing.readers.streams.LARGEST_RATIO", 1)
    with pytest.raises(SourceError, match="decompression bomb"):
        read(path)
