"""Tables: one type for each column, whichever row a cell is in, and nothing read in one of two possible ways."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matlake import Lake, import_table, open_lake
from matlake.errors import SourceError
from matlake.store.importing.readers.cells import Tally, read_cells
from matlake.store.status import status

ELEMENTS = "Si C Ge Sn Pb Li Na K Rb Cs Be Mg Ca Sr Ba Al Ga In Tl B N P As Sb Bi O S Se Te F Cl Br I Fe Co Ni".split()


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.fixture
def column(empty: Lake, tmp_path: Path) -> Callable[..., list[Any]]:
    """Import a column of quoted cells and return its values."""

    def read(cells: list[str], delimiter: str = ",") -> list[Any]:
        lines = [f'{element}{delimiter}"{cell}"' for element, cell in zip(ELEMENTS, cells, strict=False)]
        path = tmp_path / "t.csv"
        path.write_text("\n".join([f"formula{delimiter}gap_eV", *lines]))
        import_table(empty, path, "d")
        found = empty.query('SELECT gap_eV FROM internal."rows of d" ORDER BY source_row').to_pylist()
        return [row["gap_eV"] for row in found]

    return read


def rows(lake: Lake, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in lake.query(statement).to_pylist()]


NOT_NUMBERS = (
    *(">8", "<0.1", "3.2(1)", "3.2 eV", "3.2 ± 0.1", "3.2±0.1", "1-2", "1,234.5", "1 234", "1,2", "3.2*", "~3", "*"),
    *("unknown", "inf", "-inf", "Infinity", "1e999", "0x1F", "1_000", "3d2", "1.2.3", "?", "1/3", "True", "5e"),
)


@pytest.mark.parametrize("text", NOT_NUMBERS)
def test_a_cell_that_is_not_one_number_is_null_and_on_record(
    empty: Lake, column: Callable[..., list[Any]], text: str
) -> None:
    assert column(["1.5", text, "2"]) == [1.5, None, 2.0]
    assert rows(empty, "SELECT dataset, material_id, source_row, property, text FROM unread_cells") == [
        ("d", "d-1", 1, "gap_eV", text)
    ]
    assert rows(empty, "SELECT * FROM failures") == []


NUMBERS = {
    **{text: float(text) for text in ("1e-3", "1.2E+03", "-3", "+3", ".5", "5.", "007.5", " 3.5 ", "1e5")},
    "−3": -3.0,
    "\u00a03.5": 3.5,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_is_read_however_it_is_written(empty: Lake, column: Callable[..., list[Any]], text: str) -> None:
    assert column(["1.5", text, "2"]) == [1.5, NUMBERS[text], 2.0]
    assert rows(empty, "SELECT * FROM unread_cells") == []


@pytest.mark.parametrize(
    "text", ["", "  ", "NA", "n/a", "N/A", "NaN", "nan", "-", "--", "None", "none", "null", "#N/A"]
)
def test_a_missing_value_is_null_without_a_word(empty: Lake, column: Callable[..., list[Any]], text: str) -> None:
    assert column(["1", text, "2"]) == [1, None, 2]
    assert column(["True", text, "false"]) == [True, None, False]
    assert rows(empty, "SELECT * FROM unread_cells") == []


def test_the_report_counts_what_was_not_read(empty: Lake, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("formula,gap_eV,nsites\nSi,1.1,2\nC,>8,2\nGe,0.7,two\n")
    report = import_table(empty, path, "d")
    assert (report.rows, report.failed, report.unread_cells, report.document()["unread_cells"]) == (3, 0, 2, 2)
    assert [note.partition("; ")[0] for note in report.notes[1:]] == [
        "cells of gap_eV that hold another kind of value and read as missing: 1, such as '>8' in row 1",
        "cells of nsites_source that hold another kind of value and read as missing: 1, such as 'two' in row 2",
    ]
    assert status(empty).datasets == [{"name": "d", "materials": 3, "properties": ["gap_eV", "nsites_source"]}]
    assert status(empty).unread_cells == [
        {"dataset": "d", "property": "gap_eV", "cells": 1},
        {"dataset": "d", "property": "nsites_source", "cells": 1},
    ]
    assert rows(empty, "SELECT max(gap_eV) FROM materials") == [(1.1,)]


@pytest.mark.parametrize("place", [0, 150_000, 299_999])
def test_a_cell_in_the_last_row_weighs_as_much_as_one_in_the_first(tmp_path: Path, place: int) -> None:
    from matlake.store.importing.readers import open_table

    cells = ["1"] * 300_000
    cells[place] = "about 8"
    (tmp_path / "t.csv").write_text("formula,n\n" + "".join(f"Si,{cell}\n" for cell in cells))
    source = open_table(tmp_path / "t.csv")
    assert source.schema.field("n").type == pa.int64()
    batches = list(source.batches())
    values = pa.concat_arrays([batch.columns.column("n") for batch in batches])
    assert (values.null_count, values[place].as_py()) == (1, None)
    assert [cell.text for batch in batches for cell in batch.unread] == ["about 8"]


def test_text_in_half_of_the_cells_makes_a_column_of_text(column: Callable[..., list[Any]]) -> None:
    assert column(["1.5", "high", "2", "low"]) == ["1.5", "high", "2", "low"]
    assert column(["1.5", "high", "2"]) == [1.5, None, 2.0]


def test_truth_values_are_booleans(column: Callable[..., list[Any]]) -> None:
    assert column(["True", "FALSE", "true", "", " False "]) == [True, False, True, None, False]
    assert column(["True", "1.0", "False", "True"]) == [True, None, False, True]
    assert column(["yes", "no", "yes"]) == ["yes", "no", "yes"]


def test_codes_keep_their_zeros(column: Callable[..., list[Any]]) -> None:
    assert column(["0012", "0013", "14"]) == ["0012", "0013", "14"]
    assert column([*("12345" * 20), "03"])[:20] == [*map(int, "12345" * 4)]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_read(column: Callable[..., list[Any]], delimiter: str) -> None:
    assert column(["3,2", "1,15", "4", ",5", "-1,5e-3", ""], delimiter) == [3.2, 1.15, 4.0, 0.5, -0.0015, None]


def test_the_rarer_decimal_sign_of_a_file_is_not_read(column: Callable[..., list[Any]]) -> None:
    assert column(["1,5", "2,5", "3.5"], ";") == [1.5, 2.5, None]
    assert column(["1,234", "2", "3.5", "4.5"], ";") == [None, 2.0, 3.5, 4.5]
    assert column(["1,234", "5,678"], "\t") == ["1,234", "5,678"]  # thousands in one country, decimals in another
    assert column(["1,234", "5,678"], ";") == [1.234, 5.678]
    assert column(["3,2", "1,1"], ",") == ["3,2", "1,1"]


def test_whole_numbers_beyond_64_bits_make_a_column_of_floats(column: Callable[..., list[Any]]) -> None:
    assert column(["1", "99999999999999999999"]) == [1.0, 1e20]


def test_blanks_around_names_and_values_are_nothing(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("formula, band_gap_eV , phase\nTiO2, 3.2 , rutile\n ZnO, 3.3,  \n")
    import_table(empty, tmp_path / "t.csv", "d")
    assert rows(empty, "SELECT formula, band_gap_eV, phase FROM d ORDER BY 1") == [
        ("TiO2", 3.2, "rutile"),
        ("ZnO", 3.3, None),
    ]


def test_parquet_keeps_its_types_and_infinity_is_no_value(empty: Lake, tmp_path: Path) -> None:
    infinity, nan = float("inf"), float("nan")
    table = pa.table(
        {
            "formula": pa.array(["Si", "Ge", "NaN"]).dictionary_encode(),
            "x": [1.0, -infinity, nan],
            "half": pa.array(np.array([1.5, infinity, 2.5], np.float16)),
            "decimal": pa.array([Decimal("1.5"), None, Decimal("2.5")]),
            "flag": [True, None, False],
            "text": ["1.5", "inf", "2.5"],
            "nothing": pa.nulls(3),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    report = import_table(empty, tmp_path / "t.parquet", "d")
    assert report.unread_cells == 2
    assert any("text is text and stays text" in note for note in report.notes)
    assert rows(empty, "SELECT formula, x, half, decimal, flag, text, nothing FROM d ORDER BY material_id") == [
        ("Si", 1.0, 1.5, 1.5, True, "1.5", None),
        ("Ge", None, None, None, None, "inf", None),
        ("NaN", None, 2.5, 2.5, False, "2.5", None),
    ]
    assert rows(empty, "SELECT source_row, property, text FROM unread_cells ORDER BY property") == [
        (1, "half", "inf"),
        (1, "x", "-inf"),
    ]


TEXTS = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from([*NOT_NUMBERS, *NUMBERS, "", "NaN", "true", "False", "1,5", "0012"]),
    st.text(max_size=6),
)


@settings(max_examples=200, deadline=None)
@example(cells=["1e999"], comma=False, split=0)
@example(cells=["1000000000000000000"], comma=True, split=0)
@given(cells=st.lists(TEXTS, min_size=1, max_size=12), comma=st.booleans(), split=st.integers(0, 12))
def test_every_cell_is_a_value_or_missing_or_on_record(cells: list[str], comma: bool, split: int) -> None:
    whole, parts = Tally(), Tally()
    texts = pa.array([cell or None for cell in cells], pa.string())
    whole.add(texts)
    for part in (texts.slice(0, split), texts.slice(split)):
        parts.add(part)
    kind = whole.kind(decimal_comma=comma)
    assert parts.kind(decimal_comma=comma) == kind  # blocks do not matter
    values, unread = read_cells(texts, kind, decimal_comma=comma)
    places = set(unread.to_pylist()) if unread is not None else set()
    for place, cell in enumerate(cells):
        if place in places:
            assert values[place].as_py() is None
        elif kind == pa.float64() and values[place].is_valid:
            plain = cell.strip().replace("−", "-")
            assert values[place].as_py() == float(plain.replace(",", ".") if comma else plain)
    if kind != pa.string():
        beyond_floats = {place for place in places if re.search(r"[eE]\+?\d{3}", cells[place])}
        assert 2 * len(places - beyond_floats) < whole.cells
        assert values.null_count == len(texts) - whole.cells + len(places)


def test_a_table_of_100_000_columns_is_refused_in_a_line(empty: Lake, tmp_path: Path) -> None:
    names = ",".join(f"f{n}" for n in range(99_999))
    (tmp_path / "t.csv").write_text(f"formula,{names}\nSi{',1' * 99_999}\n")
    with pytest.raises(SourceError, match=r"has 100,000 columns, more than 5,000"):
        import_table(empty, tmp_path / "t.csv", "d")
    pq.write_table(pa.table({"formula": ["Si"]} | {f"f{n}": [1] for n in range(5000)}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"has 5,001 columns, more than 5,000"):
        import_table(empty, tmp_path / "t.parquet", "d")
