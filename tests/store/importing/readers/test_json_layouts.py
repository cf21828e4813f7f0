"""Whatever stands around the records in a JSON file: envelopes, ids, the layouts of pandas, formulas alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from opened_sources import Read, pymatgen_structure, read, written

FORMULAS = [{"formula": "MgO", "gap": 7.8}, {"formula": "CaO", "gap": 7.0}]
LAYOUTS: dict[str, Any] = {
    "records": FORMULAS,
    "split": {"columns": ["formula", "gap"], "index": [0, 1], "data": [["MgO", 7.8], ["CaO", 7.0]]},
    "split, columns last": {"index": [0, 1], "data": [["MgO", 7.8], ["CaO", 7.0]], "columns": ["formula", "gap"]},
    "columns": {"formula": {"0": "MgO", "1": "CaO"}, "gap": {"0": 7.8, "1": 7.0}},
    "columns, gap first": {"gap": {"0": 7.8, "1": 7.0}, "formula": {"0": "MgO", "1": "CaO"}},
    "table": {
        "schema": {"fields": [], "primaryKey": ["index"], "pandas_version": "1.4.0"},
        "data": [{"index": n, **record} for n, record in enumerate(FORMULAS)],
    },
    "data": {"meta": {"id": "m"}, "data": FORMULAS, "links": {"next": None}},
    "results": {"count": 2, "next": None, "results": FORMULAS},
    "entries": {"entries": FORMULAS},
    "response": {"response": {"docs": FORMULAS, "numFound": 2}, "responseHeader": {"status": 0}},
}
BY_ID: dict[str, Any] = {
    "index": {"a": FORMULAS[0], "b": FORMULAS[1]},
    "columns": {"formula": {"a": "MgO", "b": "CaO"}, "gap": {"a": 7.8, "b": 7.0}},
    "data by id": {"data": {"a": FORMULAS[0], "b": FORMULAS[1]}, "meta": {}},
}


def plain(found: Read) -> list[tuple[str, float]]:
    return [(row["formula"], row["gap"]) for row in found.rows]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_its_records(tmp_path: Path, name: str) -> None:
    found = read(written(tmp_path / "f.json", LAYOUTS[name]))
    assert plain(found) == [("MgO", 7.8), ("CaO", 7.0)]
    assert found.source.schema.names in (["formula", "gap"], ["gap", "formula"])
    assert not found.source.has_structures


@pytest.mark.parametrize("name", BY_ID)
def test_labels_that_are_not_row_numbers_are_ids(tmp_path: Path, name: str) -> None:
    found = read(written(tmp_path / "f.json", BY_ID[name]))
    assert plain(found) == [("MgO", 7.8), ("CaO", 7.0)]
    assert [row["material_id"] for row in found.rows] == ["a", "b"]


@pytest.mark.parametrize(
    "document", [["MgO", "CaO"], {"data": ["MgO", "CaO"]}, {"a": "MgO", "b": "CaO"}, {"0": "MgO", "1": "CaO"}]
)
def test_formulas_alone_are_materials(tmp_path: Path, document: Any) -> None:
    found = read(written(tmp_path / "f.json", document))
    assert [row["formula"] for row in found.rows] == ["MgO", "CaO"]
    if isinstance(document, dict) and "data" not in document:
        assert [row["material_id"] for row in found.rows] == list(document)


def test_lines_of_formulas_are_materials(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('"MgO"\n"CaO"\n')
    assert [row["formula"] for row in read(path).rows] == ["MgO", "CaO"]


def test_one_record_is_one_material_whatever_fields_it_has(tmp_path: Path) -> None:
    record = {"symmetry": {"number": 225}, "structure": pymatgen_structure(), "entries": [{"a": 1}], "data": {"x": 1}}
    found = read(written(tmp_path / "f.json", record))
    assert found.rows == [{"symmetry_number": 225, "data_x": 1}]
    assert found.formulas == ["MgO"]


def test_structures_in_columns_of_pandas_are_read(tmp_path: Path) -> None:
    document = {"structure": {"0": pymatgen_structure(), "1": pymatgen_structure("Ca")}, "gap": {"0": 7.8, "1": 7.0}}
    found = read(written(tmp_path / "f.json", document))
    assert found.formulas == ["MgO", "CaO"]
    assert found.rows == [{"gap": 7.8}, {"gap": 7.0}]


def test_values_without_names_are_no_records(tmp_path: Path) -> None:
    found = read(written(tmp_path / "f.json", [["MgO", 7.8], ["CaO", 7.0]]))
    assert all("no record" in reason for reason in found.formulas)


def test_lines_in_a_file_called_json_are_read(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text("\n".join(map(json.dumps, FORMULAS)))
    assert plain(read(path)) == [("MgO", 7.8), ("CaO", 7.0)]
