"""Tables: encodings, delimiters, headers and lines that are no rows."""

from pathlib import Path
from typing import Any

import pytest

from matlake import Lake, import_table, open_lake
from matlake.errors import SourceError
from matlake.store.importing.importer import ImportReport


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def imported(lake: Lake, text: str | bytes, name: str = "t.csv") -> tuple[ImportReport, list[tuple[Any, ...]]]:
    """Import a table; return the report and the rows without what the lake adds."""
    path = lake.path.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = import_table(lake, path, "d")
    found = lake.query("SELECT * EXCLUDE (dataset, material_id, elements, nelements, nsites) FROM d ORDER BY formula")
    return report, [tuple(found.column_names), *(tuple(row.values()) for row in found.to_pylist())]


TABLE = [("formula", "gap"), ("Ge", 0.7), ("Si", 1.1)]

LAYOUTS = {
    "tab": "formula\tgap\nSi\t1.1\nGe\t0.7\n",
    "semicolon": "formula;gap\nSi;1.1\nGe;0.7\n",
    "decimal comma": "formula;gap\nSi;1,1\nGe;0,7\n",
    "bar": "formula|gap\nSi|1.1\nGe|0.7\n",
    "Excel's line": "sep=;\nformula;gap\nSi;1,1\nGe;0,7\n",
    "comments": "# measured\n#\n\nformula,gap\nSi,1.1\nGe,0.7\n",
    "header as a comment": "# measured\n# formula,gap\nSi,1.1\nGe,0.7\n",
    "CR": "formula,gap\rSi,1.1\rGe,0.7\r",
    "CRLF": "formula,gap\r\nSi,1.1\r\nGe,0.7",
    "BOM": "\ufeffformula,gap\nSi,1.1\nGe,0.7\n",
    "UTF-16": b"\xff\xfe" + "formula\tgap\nSi\t1.1\nGe\t0.7\n".encode("utf-16-le"),
    "UTF-16 big end first": b"\xfe\xff" + "formula,gap\r\nSi,1.1\r\nGe,0.7\r\n".encode("utf-16-be"),
    "delimiter at the end": "formula,gap,\nSi,1.1,\nGe,0.7,\n",
    "index of pandas": ",formula,gap\n0,Si,1.1\n1,Ge,0.7\n",
    "index of pandas, filtered": ",formula,gap\n7,Si,1.1\n3,Ge,0.7\n",
    "index of pandas, read again": "Unnamed: 0,formula,gap\n0,Si,1.1\n1,Ge,0.7\n",
    "two of them": "Unnamed: 0.1,Unnamed: 0,formula,gap\n0,4,Si,1.1\n1,2,Ge,0.7\n",
    "index named #": "#,formula,gap\n0,Si,1.1\n1,Ge,0.7\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_a_table(empty: Lake, layout: str) -> None:
    report, found = imported(empty, LAYOUTS[layout])
    assert (report.rows, report.failed, report.unread_cells) == (2, 0, 0)
    assert found == TABLE
    assert len(report.notes) == (2 if layout == "two of them" else "index" in layout or "end" in layout.split()[-1:])


@pytest.mark.parametrize("name", ["POSCAR_list.tsv", "CONTCAR_energies.csv", "poscar.table.csv", "POSCAR_list.txt"])
def test_a_table_is_a_table_whatever_stands_before_its_ending(empty: Lake, name: str) -> None:
    assert imported(empty, "formula\tgap\nSi\t1.1\nGe\t0.7\n", name)[1] == TABLE


def test_a_poscar_may_end_in_txt(empty: Lake) -> None:
    path = empty.path.parent / "POSCAR_1.txt"
    path.write_text("Po\n1.0\n3.3 0 0\n0 3.3 0\n0 0 3.3\nPo\n1\nDirect\n0 0 0\n")
    assert import_table(empty, path, "d").rows == 1


def test_a_list_of_files_beside_them_is_not_a_structure(empty: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "POSCAR_1").write_text("Po\n1.0\n3.3 0 0\n0 3.3 0\n0 0 3.3\nPo\n1\nDirect\n0 0 0\n")
    (folder / "POSCAR_list.tsv").write_text("formula\nPo\n")
    report = import_table(empty, folder, "d")
    assert (report.rows, report.failed) == (1, 0)
    assert report.notes == ["1 files that are neither CIF nor POSCAR left out: 1 .tsv"]


def test_names_that_a_delimiter_or_a_line_end_is_in(empty: Lake) -> None:
    assert imported(empty, "formula;E, eV, relaxed;n\nSi;1,1;2\nGe;0,7;3\n")[1] == [
        ("formula", "E, eV, relaxed", "n"),
        ("Ge", 0.7, 3),
        ("Si", 1.1, 2),
    ]
    assert imported(empty, 'formula,"gap\nin eV"\nSi,1\n')[1] == [("formula", "gap\nin eV"), ("Si", 1)]


def test_columns_that_sql_cannot_tell_apart_get_names_of_their_own(empty: Lake) -> None:
    report, found = imported(empty, "formula,gap,Gap,gap_2,gap\nSi,1,2,3,4\n")
    assert found == [("formula", "gap", "Gap_3", "gap_2", "gap_4"), ("Si", 1, 2, 3, 4)]
    assert len(report.notes) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("formula,\u00c5\nSi,1\n".encode("cp1252"), "not UTF-8: line 1 holds the byte 0xC5"),
        (b"formula,name\n" + b"Si,x\n" * 3_000_000 + b"Ge,\xe9\n", "not UTF-8"),
        ("formula,gap\nSi,1\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("\ufeffformula,gap\nSi,1\n".encode("utf-32"), "UTF-32"),
        ("Si,1.1\nGe,0.7\n", "the first line .* is not a header: Si, 1.1"),
        ("Si\nGe\n", "the first line .* is not a header"),
        ("formula,gap\nSi,1,\nGe,2,\n", "no line .* fits its header of 2 fields; line 2: 3 fields"),
        (",formula\nfirst,Si\nsecond,Ge\n", "column 1 .* has no name"),
        ("formula,,gap\nSi,a,1\n", "column 2 .* has no name"),
        ('formula,text\nSi,"a\nGe,b\nC,c\n', "a quote .* is never closed"),
        ("formula,id,Id\nSi,1,2\n", "two columns named 'Id'"),
    ],
)
def test_a_table_that_cannot_be_read_rightly_is_one_clear_error(empty: Lake, text: str | bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        imported(empty, text)
    assert empty.dataset_names() == []


def test_lines_that_are_no_rows_are_counted_and_listed(empty: Lake) -> None:
    report, found = imported(empty, 'formula,text\nSi,"a\nb"\nGe\nC,x,y\nSn,z\n')
    assert found == [("formula", "text"), ("Si", "a\nb"), ("Sn", "z")]
    assert report.failed == 2
    reasons = [row["reason"] for row in empty.query("SELECT reason FROM failures ORDER BY source_row").to_pylist()]
    assert reasons == ["line 3: 1 fields, expected 2", "line 4: 3 fields, expected 2"]


def test_a_zero_byte_costs_its_own_cell(empty: Lake) -> None:
    lines = [b"id,formula,gap"] + [b"%d,Si,1" % n for n in range(50)] + [b"a,G\0e,2", b"b,Ge,3\0", b"c\0,C,4"]
    report, _ = imported(empty, b"\n".join(lines))
    assert (report.rows, report.failed, report.unread_cells) == (51, 2, 1)
