"""Tests of several files as one table, and of names that carry units."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from matlake.errors import SourceError
from matlake.store.importing.readers import BadLine, Batch, Source, UnreadCell
from matlake.store.sources.columns import chained, with_units


def source(columns: dict[str, list[Any]], unread: tuple[UnreadCell, ...] = (), **settings: Any) -> Source:
    rows = pa.RecordBatch.from_pydict(columns)

    def batches() -> Iterator[Batch]:
        yield Batch(rows, None, unread)

    return Source("file", rows.schema, rows.num_rows, batches, **{"has_structures": False, **settings})


def rows(found: Source) -> list[dict[str, Any]]:
    return [row for batch in found.batches() for row in batch.columns.to_pylist()]


def test_columns_get_their_units_and_so_do_cells_that_were_not_read() -> None:
    cell = UnreadCell(0, "gap", "> 8")
    found = with_units(source({"formula": ["MgO"], "gap": [None]}, (cell,)), {"gap": "gap_eV", "other": "other_K"})
    [batch] = found.batches()
    assert found.schema.names == batch.columns.schema.names == ["formula", "gap_eV"]
    assert [cell.column for cell in batch.unread] == ["gap_eV"]
    assert found.notes == ["columns renamed to carry their units: gap → gap_eV"]


def test_a_column_that_is_there_under_both_names_is_left_alone() -> None:
    found = with_units(source({"gap": [1.0], "gap_eV": [2.0]}), {"gap": "gap_eV"})
    assert rows(found) == [{"gap": 1.0, "gap_eV": 2.0}]
    assert not found.notes


def test_files_of_different_columns_and_types_are_one_table() -> None:
    first = source({"id": ["a"], "n": [1], "flag": [True]}, notes=["the same"])
    second = source({"id": ["b"], "n": [2.5], "name": ["B"], "flag": ["no"]}, notes=["the same"])
    found = chained("both", [first, second])
    assert rows(found) == [
        {"id": "a", "n": 1.0, "flag": "true", "name": None},
        {"id": "b", "n": 2.5, "flag": "no", "name": "B"},
    ]
    assert (found.name, found.rows, found.notes, found.has_structures) == ("both", 2, ["the same"], False)


def test_lines_that_are_no_rows_come_from_all_files() -> None:
    files = [source({"id": ["a"]}, bad_lines=[BadLine(number, "not JSON")]) for number in (3, 7)]
    found = chained("both", files)
    rows(found)
    assert [line.line for line in found.bad_lines] == [3, 7]


def test_files_with_and_without_structures_are_not_one_table() -> None:
    with pytest.raises(SourceError, match="holds no structures"):
        chained("both", [source({"id": ["a"]}), source({"id": ["b"]}, has_structures=True)])
