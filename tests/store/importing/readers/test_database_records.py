"""Records of JARVIS, OPTIMADE, the Materials Project, Alexandria and OQMD: structures, ids, properties."""

import json
from pathlib import Path
from typing import Any

import pytest
from opened_sources import jarvis_atoms, lattice, optimade_entry, pymatgen_structure, read, species, written

from matlake.errors import SourceError
from matlake.materials.crystal import Crystal
from matlake.materials.disorder import DisorderedError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "f.json"


@pytest.mark.parametrize("cartesian", [False, True])
def test_jarvis_states_whether_coordinates_are_fractional(file: Path, cartesian: bool) -> None:
    written(file, [{"jid": "JVASP-1", "atoms": jarvis_atoms(cartesian=cartesian), "gap": 4.0, "mbj_gap": "na"}])
    found = read(file)
    assert found.rows == [{"jid": "JVASP-1", "gap": 4.0, "mbj_gap": None}]
    (crystal,) = found.crystals
    assert isinstance(crystal, Crystal)
    assert crystal.positions[1].tolist() == pytest.approx([0.5] * 3)


def test_a_number_that_is_na_in_some_records_is_missing(file: Path) -> None:
    records = [{"jid": str(n), "atoms": jarvis_atoms(), "K": value} for n, value in enumerate((150.0, "na", 90))]
    found = read(written(file, records))
    assert [row["K"] for row in found.rows] == [150.0, None, 90.0]
    assert found.unread == []


def test_a_record_without_atoms_is_a_failure(file: Path) -> None:
    found = read(written(file, [{"jid": "a", "atoms": "na"}, {"jid": "b", "atoms": jarvis_atoms()}]))
    assert found.rows == [{"jid": "a"}, {"jid": "b"}]
    assert found.formulas == ["no structure", "MgO"]


def test_a_number_of_atoms_is_a_property(file: Path) -> None:
    assert read(written(file, [{"formula": "MgO", "atoms": 2}])).rows == [{"formula": "MgO", "atoms": 2}]


def test_a_page_of_optimade_gives_its_entries(file: Path) -> None:
    written(file, {"links": {"next": None}, "meta": {"id": "m"}, "data": [optimade_entry(), optimade_entry("Ca")]})
    found = read(file)
    assert found.formulas == ["MgO", "CaO"]
    assert found.rows[0] == {
        "id": "x-Mg",
        "immutable_id": "i-Mg",
        "chemical_formula_reduced": "MgO",
        "_x_band_gap": 4.0,
    }
    assert found.notes == []


def test_a_dump_of_optimade_has_other_entries_beside_structures(tmp_path: Path) -> None:
    lines = [
        {"x-optimade": {"api_version": "1.2.0"}},
        {"type": "info", "id": "structures", "properties": {}},
        {"type": "references", "id": "r", "attributes": {"title": "T"}},
        optimade_entry(),
        optimade_entry("Ni"),
    ]
    path = tmp_path / "dump.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    found = read(path)
    assert found.formulas == ["MgO", "NiO"]
    assert found.notes == ["entries that are not structures left out: 1 info, 1 references"]


MIXED = [species("M", "Mg", "Ca", shares=(0.75, 0.25)), species("O")]
VACANT = [species("M", "Mg", "vacancy", shares=(0.9, 0.1)), species("O")]


@pytest.mark.parametrize(
    ("changes", "formula", "reason"),
    [
        ({"species": MIXED, "species_at_sites": ["M", "O"]}, "Ca1Mg3O4", "a site holds Mg 0.75, Ca 0.25"),
        ({"species": VACANT, "species_at_sites": ["M", "O"]}, "Mg9O10", "a site holds Mg 0.9 beside vacancies"),
        ({"species": [species("Mg"), species("O", "vacancy")]}, "Mg1", "a site holds nothing"),
    ],
)
def test_disorder_in_optimade_has_a_composition(file: Path, changes: dict[str, Any], formula: str, reason: str) -> None:
    (found,) = read(written(file, {"data": [optimade_entry(**changes)]})).crystals
    assert isinstance(found, DisorderedError)
    assert str(found) == f"disordered: {reason}"
    assert sorted(found.composition.elements) == sorted(one for one in ("Ca", "Mg", "O") if one in formula)
    assert "".join(f"{one}" for one in sorted(_amounts(found))) == formula


def _amounts(found: DisorderedError) -> list[str]:
    from matlake.materials.periodic_table import SYMBOLS

    return [f"{SYMBOLS[z - 1]}{amount}" for z, amount in found.composition.amounts]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"species": [species("Mg", "X"), species("O")]}, "unknown species 'X'"),
        ({"species": [species("Mg", "Mg", attached=["H"], nattached=[2]), species("O")]}, "attached"),
        ({"species": [species("Mg", "Mg", "Ca", shares=(0.9, 0.9)), species("O")]}, "more than one atom"),
        ({"species": [species("Mg")]}, "a damaged OPTIMADE structure: no 'O'"),
        ({"dimension_types": [1, 1, 0]}, "not periodic"),
        ({"dimension_types": None, "nperiodic_dimensions": 2}, "not periodic"),
        ({"lattice_vectors": None}, "lattice_vectors is null"),
        ({"cartesian_site_positions": [[0.0, 0.0, 0.0], [None] * 3]}, r"without a position \(null\)"),
        ({"structure_features": ["implicit_atoms"]}, "no site lists"),
        ({"assemblies": [{"sites_in_groups": [[0], [1]]}]}, "exclude each other"),
        ({"species_at_sites": ["Mg"] * 3}, "3 species but 2 positions"),
    ],
)
def test_what_is_not_a_whole_crystal_in_optimade_is_refused(file: Path, changes: dict[str, Any], reason: str) -> None:
    import re

    (found,) = read(written(file, {"data": [optimade_entry(**changes)]})).crystals
    assert not isinstance(found, Crystal | DisorderedError)
    assert re.search(reason, str(found))


def test_entries_without_structures_are_formulas(file: Path) -> None:
    entry = {"type": "structures", "id": "a", "attributes": {"chemical_formula_reduced": "MgO", "_x_gap": 4}}
    found = read(written(file, {"data": [entry]}))
    assert not found.source.has_structures
    assert found.rows == [{"id": "a", "chemical_formula_reduced": "MgO", "_x_gap": 4}]


def test_a_document_of_the_materials_project_is_flattened_by_one_level(file: Path) -> None:
    document = {
        "material_id": "mp-1",
        "structure": pymatgen_structure(),
        "symmetry": {"number": 225, "version": {"major": 1}},
        "symmetry_number": 7,
        "builder_meta": {"license": "BY-NC", "build_date": {"$date": "2026-01-01"}},
        "last_updated": {"$date": "2026-02-02"},
        "composition": {"Mg": 1.0, "O": 1.0},
        "composition_reduced": {"Mg": 1.0, "O": 1.0},
        "warnings": ["W"],
        "band_gap": 4.0,
    }
    found = read(written(file, {"data": [document], "meta": {"total_doc": 1}}))
    assert found.rows == [
        {
            "material_id": "mp-1",
            "symmetry_number": 7,
            "symmetry_number_2": 225,
            "builder_meta_license": "BY-NC",
            "last_updated": "2026-02-02",
            "band_gap": 4.0,
        }
    ]
    left_out = "symmetry_version, builder_meta_build_date, composition_reduced, warnings"
    assert found.notes == [
        "field number of symmetry renamed to symmetry_number_2: there is another symmetry_number",
        f"properties left out because they are not single values: {left_out}",
    ]


def test_an_object_with_other_fields_in_each_record_is_left_out(file: Path) -> None:
    records = [{"id": str(n), "formula": "MgO", "task": {f"t{n}": 1.0}} for n in range(150)]
    found = read(written(file, records))
    assert found.source.schema.names == ["id", "formula"]
    assert found.notes == ["properties left out because they are not single values: task"]


def test_the_data_of_a_computed_entry_are_its_properties(file: Path) -> None:
    entry = {
        "@class": "ComputedStructureEntry",
        "entry_id": None,
        "energy": -12.0,
        "composition": {"Mg": 1.0, "O": 1.0},
        "parameters": {},
        "data": {"mat_id": "agm1", "e_form": -2.5, "energy": -11.0},
        "structure": pymatgen_structure(),
    }
    found = read(written(file, {"entries": [entry]}))
    assert found.rows == [{"energy": -12.0, "mat_id": "agm1", "e_form": -2.5, "data_energy": -11.0}]
    assert found.formulas == ["MgO"]


def test_an_entry_without_a_structure_is_its_composition(file: Path) -> None:
    amounts = {"Fe3+": 2.0, "O2-": 3.0}
    entry = {"@class": "ComputedEntry", "entry_id": "mp-1", "composition": amounts, "energy": -8.0}
    found = read(written(file, {"entries": [entry]}))
    assert found.rows == [{"entry_id": "mp-1", "composition": "Fe2O3", "energy": -8.0}]


def test_oqmd_states_fractional_sites(file: Path) -> None:
    entry = {
        "name": "MgO",
        "entry_id": 7,
        "composition": "Mg1 O1",
        "unit_cell": lattice(),
        "sites": ["Mg @ 0 0 0", "O @ 0.5 0.5 0.5"],
        "delta_e": -3.0,
    }
    bad = entry | {"entry_id": 8, "sites": ["Mg 0 0 0"]}
    found = read(written(file, {"links": {}, "resource": {}, "data": [entry, bad], "meta": {}}))
    assert found.rows[0] == {"formula": "MgO", "entry_id": "7", "composition": "Mg1 O1", "delta_e": -3.0}
    assert found.formulas == ["MgO", "a site that is not 'element @ x y z': 'Mg 0 0 0'"]


def test_a_pymatgen_structure_of_partial_occupancy_has_a_composition(file: Path) -> None:
    (found,) = read(written(file, [{"structure": pymatgen_structure(occupancy=0.5)}])).crystals
    assert isinstance(found, DisorderedError)
    assert found.composition.amounts == ((8, 2), (12, 1))


def test_larger_sources_are_read_twice_with_the_same_result(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(file, {"data": [optimade_entry(), optimade_entry("Ca")]})
    once = read(file)
    monkeypatch.setattr("matlake.store.importing.readers.records._MOST_HELD", 1)
    twice = read(file)
    assert (twice.rows, twice.formulas, twice.notes) == (once.rows, once.formulas, once.notes)


def test_a_file_that_holds_nothing_is_refused(file: Path) -> None:
    with pytest.raises(SourceError, match="holds no structures"):
        read(written(file, {"data": [], "meta": {"total": 0}}))
