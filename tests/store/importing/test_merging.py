"""Rows merged into a dataset by id: types, columns, places, parts that stay."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from structures import ids, rows

from matlake import Lake, open_lake
from matlake.errors import LakeError
from matlake.store.importing.importer import ImportReport, import_source
from matlake.store.importing.joining import join_table
from matlake.store.importing.merging import Update
from matlake.store.importing.readers import open_source


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def bring(lake: Lake, update: bool = True, **columns: list[Any]) -> ImportReport:
    path = lake.path.parent / "table.parquet"
    pq.write_table(pa.table(columns), path)
    own = {"Gap", "x", "old"} if update else None
    return import_source(lake, open_source(path), "d", update=own)


def first(lake: Lake, **columns: list[Any]) -> ImportReport:
    return bring(lake, update=False, **columns)


def by_id(lake: Lake, column: str) -> dict[str, Any]:
    return {row["material_id"]: row[column] for row in rows(lake, f"SELECT material_id, {column} FROM d")}


@pytest.mark.parametrize(
    ("before", "after", "merged"),
    [
        ([1, 2], [2.5], {"a": 1.0, "b": 2.5}),
        ([1.5, 2.5], [3], {"a": 1.5, "b": 3.0}),
        ([1, 2], ["high"], {"a": "1", "b": "high"}),
        ([True, False], [2.5], {"a": "true", "b": "2.5"}),
        ([None, None], [2.5], {"a": None, "b": 2.5}),
        ([1.5, 2.5], [None], {"a": 1.5, "b": None}),
    ],
)
def test_a_column_has_one_type_after_a_merge(
    empty: Lake, before: list[Any], after: list[Any], merged: dict[str, Any]
) -> None:
    first(
        empty, id=["a", "b"], formula=["MgO", "CaO"], x=pa.array(before) if any(before) else pa.array(before, "string")
    )
    report = bring(empty, id=["b"], formula=["CaO"], x=after if after[0] is not None else pa.array(after, "string"))
    assert report.update == Update(0, 1, 0, 1)
    assert by_id(empty, "x") == merged
    assert {str(part.schema.field("x").type) for part in parts(empty)} == {str(parts(empty)[0].schema.field("x").type)}


def column(values: list[Any]) -> pa.Array:
    """Return values as a reader would: what has none is text."""
    return pa.array(values) if any(value is not None for value in values) else pa.array(values, pa.string())


def parts(lake: Lake) -> list[pa.Table]:
    from matlake.store.tables import delta

    table = delta.open_table(lake.dataset("d"))
    assert table is not None
    return [pq.read_table(file, partitioning=None) for file in delta.live_files(table)]


def test_columns_are_united(empty: Lake) -> None:
    first(empty, id=["a", "b"], formula=["MgO", "CaO"], Gap=[1.0, 2.0], old=["p", "q"])
    report = bring(empty, id=["b", "c"], formula=["CaO", "NiO"], gap=[2.5, 3.5], new=[True, False])
    assert report.update == Update(1, 1, 0, 1)
    assert by_id(empty, "Gap") == {"a": 1.0, "b": 2.5, "c": 3.5}
    assert by_id(empty, "old") == {"a": "p", "b": None, "c": None}
    assert by_id(empty, "new") == {"a": None, "b": True, "c": False}


def test_what_was_joined_from_elsewhere_stays_with_its_material(empty: Lake) -> None:
    first(empty, id=["a", "b", "c"], formula=["MgO", "CaO", "NiO"], x=[1.0, 2.0, 3.0], old=["p", "q", "r"])
    table = pa.table({"id": ["a", "b", "c"], "measured_K": ["4", "5", "6"], "note": ["u", "v", None]})
    pq.write_table(table, empty.path.parent / "joined.parquet")
    join_table(empty, empty.path.parent / "joined.parquet", "d")
    report = bring(empty, id=["b", "a", "n"], formula=["CaO", "MgO", "SrO"], x=[2.5, 1.0, 9.0])
    assert report.update == Update(1, 2, 0, 1)
    assert by_id(empty, "x") == {"a": 1.0, "b": 2.5, "c": 3.0, "n": 9.0}
    assert by_id(empty, "note") == {"a": "u", "b": "v", "c": None, "n": None}
    assert by_id(empty, "old") == {"a": None, "b": None, "c": "r", "n": None}
    again = bring(empty, id=["b", "a", "n"], formula=["CaO", "MgO", "SrO"], x=[2.5, 1.0, 9.0])
    assert again.update == Update(0, 0, 3, 1)


def test_what_is_unchanged_keeps_its_part_and_nothing_is_written_for_it(empty: Lake) -> None:
    first(empty, id=["a", "b"], formula=["MgO", "CaO"], x=[1.0, 2.0])
    sizes = sorted(path.stat().st_ino for path in empty.dataset("d").glob("*.parquet"))
    report = bring(empty, id=["b", "a"], formula=["CaO", "MgO"], x=[2.0, 1.0])
    assert report.update == Update(0, 0, 2, 0)
    assert {path.stat().st_ino for path in empty.dataset("d").glob("*.parquet")} == set(sizes)


def test_a_row_keeps_its_place_and_new_ones_come_last(empty: Lake) -> None:
    first(empty, id=["a", "b", "c"], formula=["MgO", "CaO", "NiO"], x=[1, 2, 3])
    bring(empty, id=["z", "b"], formula=["SrO", "CaO"], x=[9, 20])
    places = empty.read_dataset("d")[1]
    assert places["material_id"].to_pylist() == ["a", "b", "c", "z"]
    assert places["source_row"].to_pylist() == [0, 1, 2, 3]


def test_failures_are_rows_like_others(empty: Lake) -> None:
    first(empty, id=["a", "b", "b", None], formula=["MgO", "Xx", "CaO", "NiO"], x=[1, 2, 3, 4])
    assert ids(empty) == ["a", "b"]
    report = bring(empty, id=["a", "b", "b", None], formula=["oops", "Xx", "CaO", "NiO"], x=[1, 2, 3, 4])
    assert report.update == Update(0, 1, 3, 0)
    assert ids(empty) == ["b"]
    assert rows(empty, "SELECT count(*) AS n FROM failures") == [{"n": 3}]


def test_a_dataset_that_cannot_be_read_whole_is_left_as_it_is(empty: Lake) -> None:
    first(empty, id=["a"], formula=["MgO"], x=[1])
    (part,) = empty.dataset("d").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(LakeError, match="cannot be read whole"):
        bring(empty, id=["b"], formula=["CaO"], x=[2])
    assert list(empty.dataset("d").glob("*.parquet")) == [part]


def test_a_dataset_that_was_deleted_meanwhile_is_not_made_again(empty: Lake) -> None:
    with pytest.raises(LakeError, match="there is no dataset 'd' any more"):
        bring(empty, id=["b"], formula=["CaO"], x=[2])
    assert not list(empty.dataset("d").glob("*.parquet"))
