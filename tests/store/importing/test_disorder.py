"""Disordered structures: materials with a composition, which encoders of crystals do not take."""

from pathlib import Path

import pytest
from opened_sources import pymatgen_structure, written
from structures import CSCL, DISORDERED, reasons, rows

from matlake import Lake, embed, import_table, open_lake

CRYSTALS = "cgcnn-mp-formation-energy"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake with an ordered crystal, two disordered ones and a broken one."""
    folder = tmp_path_factory.mktemp("disorder")
    lake = open_lake(folder / "lake", create=True)
    records = [
        {"id": "ordered", "structure": pymatgen_structure()},
        {"id": "mixed", "formula": "Mg0.5O", "structure": pymatgen_structure(occupancy=0.5)},
        {"id": "cif", "structure": DISORDERED},
        {"id": "broken", "structure": CSCL.replace("Cs", "X")},
    ]
    report = import_table(lake, written(folder / "d.json", records), "d")
    assert (report.rows, report.failed) == (3, 1)
    (note,) = report.notes
    assert note.startswith("2 materials are disordered: they have a composition, without vacancies, and no crystal")
    assert note.endswith("such as mixed: disordered: a site holds Mg 0.5 beside vacancies")
    return lake


def test_a_disordered_structure_is_a_material_without_a_crystal(lake: Lake) -> None:
    found = rows(lake, "SELECT material_id, formula, nelements, nsites, lattice_A FROM d ORDER BY material_id")
    assert [(row["material_id"], row["formula"], row["nelements"], row["nsites"]) for row in found] == [
        ("cif", "Na9Cl10", 2, None),
        ("mixed", "Mg0.5O", 2, None),
        ("ordered", "MgO", 2, 2),
    ]
    assert [row["lattice_A"] is None for row in found] == [True, True, False]
    (dataset,) = lake.list_datasets()
    assert (dataset.materials, dataset.crystals, dataset.failures) == (3, 1, 1)
    assert dataset.properties == []


def test_encoders_of_compositions_take_it_and_those_of_crystals_say_why_not(lake: Lake) -> None:
    assert embed(lake, "elemnet-oqmd-formation-energy@16").embedded == 3
    report = embed(lake, CRYSTALS)
    assert (report.embedded, report.failed) == (1, 2)
    found = reasons(lake)
    assert found["mixed"] == "disordered: a site holds Mg 0.5 beside vacancies"
    assert found["cif"] == "disordered: a site holds Na 0.9 beside vacancies"
    assert embed(lake, CRYSTALS).embedded == 0


def test_disorder_is_not_a_column_of_the_dataset(lake: Lake) -> None:
    assert "crystal_error" not in lake.query("SELECT * FROM d LIMIT 0").column_names
    assert "crystal_error" not in lake.query("SELECT * FROM materials LIMIT 0").column_names


def test_a_dataset_can_be_disordered_altogether(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    (tmp_path / "a.cif").write_text(DISORDERED)
    assert import_table(lake, tmp_path / "a.cif", "d").rows == 1
    assert rows(lake, "SELECT formula FROM d") == [{"formula": "Na9Cl10"}]
