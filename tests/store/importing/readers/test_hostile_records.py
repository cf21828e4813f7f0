"""Records as they come in the field: pages, errors of servers, odd encodings, names that clash, na beside lists."""

import json
from pathlib import Path
from typing import Any

import pytest
from opened_sources import jarvis_atoms, optimade_entry, pymatgen_structure, read, species, written

import matlake
from matlake.errors import SourceError
from matlake.materials.crystal import Crystal
from matlake.store.importing.importer import import_table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.json"


def page(*metals: str) -> dict[str, Any]:
    return {"data": [optimade_entry(metal) for metal in metals], "meta": {}, "links": {"next": None}, "included": []}


def test_pages_in_lines_or_in_a_list_give_their_records(tmp_path: Path) -> None:
    pages = [page("Mg", "Ca"), page("Ni"), page()]
    (tmp_path / "pages.jsonl").write_text("\n".join(map(json.dumps, pages)))
    written(tmp_path / "pages.json", pages)
    for name in ("pages.jsonl", "pages.json"):
        assert read(tmp_path / name).formulas == ["MgO", "CaO", "NiO"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"errors": [{"status": "400", "title": "Bad Request", "detail": "no such field"}], "meta": {}},
            "no such field",
        ),
        ({"detail": "Invalid authentication credentials"}, "Invalid authentication"),
        ({"status": 401, "message": "No API key found", "data": None}, "No API key"),
    ],
)
def test_the_error_of_a_server_is_said_to_be_one(file: Path, answer: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceError, match=f"an error that a server answered: .*{said}"):
        read(written(file, answer))
    material = {"formula": "MgO", "message": "not converged"}
    assert read(written(file, [material])).rows == [material]


def test_a_species_of_no_share_is_not_there(file: Path) -> None:
    mixed = [species("Mg", "Mg", "Ca", shares=(1.0, 0.0)), species("O")]
    (found,) = read(written(file, {"data": [optimade_entry(species=mixed)]})).crystals
    assert isinstance(found, Crystal)
    assert found.composition.reduced_formula == "MgO"


def test_species_of_optimade_have_different_names(file: Path) -> None:
    twice = [species("Mg", "Mg"), species("Mg", "Ca"), species("O")]
    assert "two different species" in read(written(file, {"data": [optimade_entry(species=twice)]})).formulas[0]
    same = [species("Mg"), species("Mg"), species("O")]
    assert read(written(file, {"data": [optimade_entry(species=same)]})).formulas == ["MgO"]


def test_unknown_directions_of_optimade_are_not_known(file: Path) -> None:
    entries = [optimade_entry(dimension_types=[None] * 3, nperiodic_dimensions=n) for n in (None, 3, 2)]
    assert [one[:12] for one in read(written(file, {"data": entries})).formulas] == ["MgO", "MgO", "not periodic"]


def test_na_beside_lists_and_in_place_of_atoms_makes_no_column(file: Path) -> None:
    records = [
        {"jid": "a", "atoms": jarvis_atoms(), "tensor": [[1, 2], [3, 4]], "gap": 1.0},
        {"jid": "b", "atoms": "na", "tensor": "na", "gap": "na"},
    ]
    found = read(written(file, records))
    assert found.rows == [{"jid": "a", "gap": 1.0}, {"jid": "b", "gap": None}]
    assert isinstance(found.crystals[0], Crystal)
    assert not isinstance(found.crystals[1], Crystal)


def test_an_id_that_stands_in_its_record_is_not_there_twice(file: Path) -> None:
    records = {name: {"jid": name, "atoms": jarvis_atoms()} for name in ("JVASP-1", "JVASP-2")}
    assert read(written(file, records)).rows == [{"jid": "JVASP-1"}, {"jid": "JVASP-2"}]


def test_a_formula_as_chemists_write_it_goes_before_amounts(file: Path) -> None:
    document = {"material_id": "mp-1", "composition": {"Mg": 1.0, "O": 1.0}, "formula_pretty": "MgO", "structure": None}
    found = read(written(file, {"data": [document]}))
    assert not found.source.has_structures
    assert found.rows == [{"material_id": "mp-1", "formula_pretty": "MgO"}]


def test_an_object_called_crystal_beside_a_formula_is_a_property(file: Path) -> None:
    record = {"formula": "MgO", "crystal": {"system": "cubic"}}
    assert read(written(file, [record])).rows == [{"formula": "MgO", "crystal_system": "cubic"}]
    broken = {"formula": "MgO", "crystal": {"sites": [], "charge": 0}}
    assert "molecule" in read(written(file, [broken])).formulas[0]


def test_records_without_formulas_are_refused_with_their_fields(tmp_path: Path, file: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    with pytest.raises(SourceError, match="no column of formulas by a usual name; its columns: name, delta_e"):
        import_table(lake, written(file, {"data": [{"name": "MgO", "delta_e": -3.0}]}), "d")
    assert import_table(lake, file, "d", formula_column="name").rows == 1


def test_lines_that_are_not_json_keep_their_reason_among_formulas(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    path = tmp_path / "f.jsonl"
    path.write_bytes('\ufeff{"formula": "MgO"}\r\n\r\n{"formula": "CaO"},\r\n5\r\n{"formula": "é"}'.encode())
    report = import_table(lake, path, "d")
    assert report.rows == 1
    reasons = [reason for _, reason in report.examples]
    assert "line 3: not JSON" in reasons[0]
    assert "no record: '5'" in reasons[1]
    assert len(reasons) == 3


def test_json_in_latin_1_is_refused_and_in_utf_16_read(file: Path) -> None:
    text = '[{"formula": "MgO", "author": "Hückel"}]'
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match="not UTF-8: it holds the byte 0xFC"):
        read(file)
    file.write_bytes(text.encode("utf-16"))
    assert read(file).rows == [{"formula": "MgO", "author": "Hückel"}]


def test_names_that_clash_get_distinct_ones(file: Path) -> None:
    record = {"formula": "MgO", "a.b": 1, "a_b": 2, "A_B": 3, "a": {"b": 4}, "": 5}
    found = read(written(file, [record]))
    assert found.rows == [{"formula": "MgO", "a.b": 1, "a_b": 2, "A_B_2": 3, "unnamed": 5, "a_b_3": 4}]
    assert len(found.notes) == 2


def test_sites_of_oqmd_have_three_coordinates(file: Path) -> None:
    entry = {"name": "MgO", "entry_id": 1, "unit_cell": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "sites": ["Mg @ 0 0"]}
    assert "not 'element @ x y z': 'Mg @ 0 0'" in read(written(file, {"data": [entry]})).formulas[0]


def test_a_structure_that_is_null_leaves_the_formula(file: Path) -> None:
    records = [{"id": "a", "structure": pymatgen_structure()}, {"id": "b", "formula": "CaO", "structure": None}]
    assert read(written(file, records)).formulas == ["MgO", "no structure"]
