"""Rows of a dataset by conditions: what they stand for in SQL, and that nothing else gets into it."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from structures import POSCAR

import matlake
from matlake.errors import LakeError, QueryError
from matlake.materials.structure_files.sniff import parse_structure
from matlake.store.browsing.browse import (
    QueryLimits,
    browse_columns,
    browse_material,
    browse_rows,
    dataset_kinds,
    plain_rows,
)
from matlake.store.browsing.conditions import OPERATORS, Condition, Kind, Order, RowQuery
from matlake.store.limits import spill_root

LIMITS = QueryLimits(memory=256 << 20, seconds=20.0)
NASTY = "x\" OR 1=1; DROP TABLE materials --'"
ROWS = [
    {"id": "a", "formula": "GaN", "gap_eV": 3.4, "phase": "wurtzite", "metal": False},
    {"id": "b", "formula": "ZnO", "gap_eV": 3.3, "phase": "Wurtzite", "metal": False},
    {"id": "c", "formula": "Co", "gap_eV": 0.0, "phase": "hcp", "metal": True},
    {"id": "d", "formula": "CO2", "gap_eV": math.nan, "phase": None, "metal": None},
    {"id": "e'", "formula": "InN", "gap_eV": 0.7, "phase": NASTY, "metal": False},
]


@pytest.fixture(scope="module")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    folder = tmp_path_factory.mktemp("browsed")
    lake = matlake.open_lake(folder / "lake", create=True)
    pq.write_table(
        pa.Table.from_pylist(
            [row | {NASTY: 1.0, "made": np.datetime64(f"2026-01-{day:02}", "us")} for day, row in enumerate(ROWS, 1)]
        ),
        folder / "few.parquet",
    )
    matlake.import_table(lake, folder / "few.parquet", "few")
    (folder / "cesium.csv").write_text(f'id,structure,energy_eV\ncs-1,"{POSCAR}",-3.5\n')
    matlake.import_table(lake, folder / "cesium.csv", "cesium")
    return lake


def ids(lake: matlake.Lake, *where: Condition, order: Sequence[Order] = ()) -> str:
    """Return the ids of the rows, after comparing the SQL that was run with the SQL that is shown."""
    found = browse_rows(lake, "few", LIMITS, columns=["material_id"], where=where, order=order)
    assert lake.query(found.sql).to_pylist() == [{"material_id": row[0]} for row in found.rows]
    assert found.total == len(found.rows)
    return "".join(row[0] for row in found.rows)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("gap_eV", ">=", 3.3), "ab"),
        (Condition("gap_eV", "=", 0), "c"),
        (Condition("gap_eV", "is missing"), "d"),
        (Condition("metal", "=", True), "c"),
        (Condition("metal", "is present"), "abce'"),
        (Condition("phase", "contains", "WURTZ"), "ab"),
        (Condition("phase", "=", "wurtzite"), "a"),
        (Condition("phase", "=", NASTY), "e'"),
        (Condition("phase", "starts with", NASTY[:6]), "e'"),
        (Condition("formula", "contains", "CO"), "d"),  # carbon monoxide is not cobalt
        (Condition("elements", "has all", ["N", "Ga"]), "a"),
        (Condition("elements", "has any", ["N", "O"]), "abde'"),
        (Condition("elements", "has none", ["N"]), "bcd"),
        (Condition("elements", "has only", ["Co", "Zn", "O"]), "bc"),
        (Condition("elements", "has all", [NASTY]), ""),
        (Condition("nelements", "<", 2), "c"),
        (Condition(NASTY, "=", 1.0), "abcde'"),
        (Condition("made", ">=", "2026-01-04"), "de'"),
        (Condition("made", "<", "2026-01-02T00:00:01"), "ab"),
    ],
)
def test_a_condition_selects_what_it_says(browsed: matlake.Lake, condition: Condition, expected: str) -> None:
    assert ids(browsed, condition) == expected


def test_conditions_hold_together_and_rows_are_sorted_with_missing_values_last(browsed: matlake.Lake) -> None:
    assert ids(browsed, Condition("gap_eV", ">", 0), Condition("elements", "has any", ["N"])) == "ae'"
    assert ids(browsed, order=[Order("gap_eV", descending=True)])[-1] == "d"
    assert ids(browsed, order=[Order("gap_eV")]) == "ce'bad"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Condition("price", "=", 1), "there is no column 'price'"),
        (Condition("formula; DROP", "=", "x"), "there is no column"),
        (Condition("atomic_numbers", "is present"), "there is no column"),
        (Condition("gap_eV", "contains", "3"), "does not fit gap_eV, which holds number"),
        (Condition("gap_eV", "OR 1=1 --", 3), "does not fit"),
        (Condition("gap_eV", "<", "3"), "needs a number"),
        (Condition("gap_eV", "<", True), "needs a number"),
        (Condition("gap_eV", "<", math.inf), "needs a number"),
        (Condition("gap_eV", "<"), "needs a number"),
        (Condition("metal", "=", 1), "needs true or false"),
        (Condition("phase", "=", 1), "needs text"),
        (Condition("made", "<", "tomorrow"), "needs a time, not 'tomorrow'"),
        (Condition("made", "<", 2026), "needs a time"),
        (Condition("elements", "has all", []), "needs 1 to 120 words"),
        (Condition("elements", "has all", 3.0), "needs 1 to 120 words"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(browsed: matlake.Lake, condition: Condition, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        browse_rows(browsed, "few", LIMITS, where=[condition])


def test_a_column_is_named_once(browsed: matlake.Lake) -> None:
    with pytest.raises(QueryError, match="a column is named twice"):
        browse_rows(browsed, "few", LIMITS, columns=["formula", "formula"])


def test_values_are_parameters_and_names_are_quoted() -> None:
    query = RowQuery('v"w', {"formula": Kind.TEXT}, ["formula"], [Condition("formula", "=", NASTY)], limit=7, offset=3)
    text, values = query.statement()
    assert values == [NASTY]
    assert "DROP" not in text
    assert '"v""w"' in text
    assert "$1" in text
    assert query.text().count("''") == 1  # the quote of the value, doubled
    assert set(OPERATORS) == set(Kind)


def test_pages_follow_each_other_and_are_counted_once(browsed: matlake.Lake) -> None:
    pages = [browse_rows(browsed, "few", LIMITS, columns=["material_id"], limit=2, offset=at) for at in (0, 2, 4, 6)]
    assert [row[0] for page in pages for row in page.rows] == ["a", "b", "c", "d", "e'"]
    assert [page.total for page in pages] == [5, 5, 5, 5]
    assert browse_rows(browsed, "few", LIMITS, limit=1, count=False).total is None


def test_columns_have_kinds_units_and_ranges(browsed: matlake.Lake) -> None:
    columns = {column.name: column for column in browse_columns(browsed, "few", LIMITS)}
    gap = columns["gap_eV"]
    assert (gap.kind, gap.quantity, gap.unit, gap.missing) == (Kind.NUMBER, "gap", "eV", 1)
    assert (gap.minimum, gap.maximum) == (0.0, 3.4)
    kinds = {name: columns[name].kind for name in ("phase", "metal", "elements", "material_id")}
    assert list(kinds.values()) == [Kind.TEXT, Kind.TRUTH, Kind.WORDS, Kind.TEXT]
    assert "atomic_numbers" not in columns
    unmeasured = browse_columns(browsed, "few", QueryLimits(memory=256 << 20, seconds=0.0))
    assert [column.name for column in unmeasured] == list(columns)
    assert {column.missing for column in unmeasured} == {None}


def test_a_material_has_its_properties_and_its_crystal(browsed: matlake.Lake) -> None:
    found = browse_material(browsed, "cesium", "cs-1", LIMITS)
    assert (found.formula, found.values["energy_eV"], found.values["nsites"]) == ("CsCl", -3.5, 2)
    assert found.structure is not None
    assert parse_structure(found.structure).composition.reduced_formula == "CsCl"
    (energy,) = [one for one in found.document()["values"] if one["name"] == "energy_eV"]
    assert (energy["quantity"], energy["unit"]) == ("energy", "eV")
    composition = browse_material(browsed, "few", "e'", LIMITS)
    assert (composition.structure, composition.values["phase"]) == (None, NASTY)
    with pytest.raises(LakeError, match="there is no material 'cs-2'"):
        browse_material(browsed, "cesium", "cs-2", LIMITS)
    with pytest.raises(LakeError, match="there is no dataset 'none'"):
        dataset_kinds(browsed, "none")


def test_rows_are_plain_json_and_no_larger_than_allowed() -> None:
    table = pa.table(
        {
            "x": [1.0, math.inf, None],
            "v": [[0.5] * 300, [1.0, math.nan], None],
            "s": [{"a": math.nan}, None, {"a": 1.0}],
        }
    )
    found = plain_rows(table, "SELECT", most_rows=2, most_bytes=1000)
    assert found.rows == [[1.0, "[0.5, 0.5, 0.5, 0.5, … 300 in all]", {"a": None}], [None, [1.0, None], None]]
    assert found.truncated
    odd = pa.table(
        {
            "n": [2**53, 2**53 + 1],
            "m": pa.array([[(1, "<b>")], []], pa.map_(pa.int8(), pa.string())),
            "b": [b"\xff", None],
        }
    )
    assert plain_rows(odd, "SELECT", most_rows=2, most_bytes=1000).rows == [
        [2**53, [[1, "<b>"]], "ff"],
        [str(2**53 + 1), [], None],
    ]
    small = plain_rows(pa.table({"text": ["a" * 100] * 5}), "SELECT", most_rows=5, most_bytes=250)
    assert (len(small.rows), small.truncated) == (2, True)


def test_the_folder_is_not_needed_to_be_writable(browsed: matlake.Lake) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(str(browsed.path)).rglob("*")}
    ids(browsed, Condition("gap_eV", ">", 0))
    assert {path: path.stat().st_mtime_ns for path in Path(str(browsed.path)).rglob("*")} == before


def test_a_folder_of_temporary_files_that_was_cleaned_up_is_made_again(browsed: matlake.Lake) -> None:
    """Systems remove what lies about in /tmp; a server that has run for weeks still answers."""
    root = spill_root()
    assert root is not None
    shutil.rmtree(root)
    assert ids(browsed, Condition("gap_eV", ">", 3.35)) == "a"
    made = spill_root()
    assert made is not None
    assert made.is_dir()
