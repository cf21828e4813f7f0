"""Tables of structures: geometry in columns, one failure for every bad structure."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED
from structures import AWKWARD, BROKEN, CSCL, HALITE, POSCAR, ids, pymatgen_dict, rows

from matlake import Lake, embed, import_table, open_lake
from matlake.errors import SourceError
from matlake.materials.crystal import CrystalColumns
from matlake.store.status import status


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.mark.parametrize("column", ["cif", "structure", "POSCAR"])
def test_a_table_of_texts_becomes_columns_of_geometry(
    empty: Lake, write_table: Callable[..., Path], column: str
) -> None:
    text = {"cif": CSCL, "structure": json.dumps(pymatgen_dict()), "POSCAR": POSCAR}[column]
    report = import_table(empty, write_table(**{"material_id": ["a"], column: [text], "gap_eV": [8.3]}), "d")
    assert (report.rows, report.failed, report.notes) == (1, 0, [])
    table = empty.query("SELECT * FROM d")
    assert table.column_names == [
        "dataset",
        "material_id",
        "formula",
        "elements",
        "nelements",
        "nsites",
        "site_atomic_numbers",
        "lattice_A",
        "fractional_positions",
        "gap_eV",
    ]
    assert (table["formula"][0].as_py(), table["nsites"][0].as_py()) == ("CsCl", 2)
    crystal = CrystalColumns.from_arrow(table)[0]
    assert crystal.numbers.tolist() == [55, 17]
    assert crystal.volume == pytest.approx(4.123**3)
    assert crystal.positions.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5]]
    (stored,) = pq.read_table(next((empty.datasets_folder / "d").glob("*.parquet")))["crystal_hash"].to_pylist()
    assert stored == crystal.content_hash


def test_geometry_is_no_property_and_not_in_materials(empty: Lake, write_table: Callable[..., Path]) -> None:
    import_table(empty, write_table("c.parquet", cif=[CSCL], gap_eV=[8.3]), "crystals")
    import_table(empty, write_table("f.parquet", formula=["Si"], gap_eV=[1.1]), "formulas")
    assert empty.query("SELECT * FROM materials").column_names == [
        "dataset",
        "material_id",
        "formula",
        "elements",
        "nelements",
        "nsites",
        "gap_eV",
    ]
    assert rows(empty, "SELECT dataset, nsites, gap_eV FROM materials ORDER BY 1") == [
        {"dataset": "crystals", "nsites": 2, "gap_eV": 8.3},
        {"dataset": "formulas", "nsites": None, "gap_eV": 1.1},
    ]
    assert "lattice_A" not in empty.query("SELECT * FROM formulas").column_names
    assert [dataset["properties"] for dataset in status(empty).datasets] == [["gap_eV"], ["gap_eV"]]
    found = rows(empty, "SELECT dataset, crystal_hash IS NOT NULL AS crystal FROM internal.compositions ORDER BY 1")
    assert [row["crystal"] for row in found] == [True, False]


def test_a_dataset_of_crystals_can_be_embedded_by_composition(empty: Lake, write_table: Callable[..., Path]) -> None:
    import_table(empty, write_table(cif=[CSCL, HALITE, BROKEN]), "d")
    report = embed(empty, ["elemnet-oqmd-formation-energy@16"])
    assert (report.embedded, report.failed) == (2, 0)


def test_bad_structures_become_failures_and_the_rest_goes_on(empty: Lake, write_table: Callable[..., Path]) -> None:
    on_top = (AWKWARD / "atoms_on_top.cif").read_text()
    several = (AWKWARD / "several_blocks.cif").read_text()
    texts = [CSCL, BROKEN, None, "", "rocksalt", on_top, several, HALITE, CSCL]
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "a"]
    report = import_table(empty, write_table(id=names, cif=texts), "d")
    assert (report.rows, report.failed) == (2, 7)
    assert ids(empty) == ["a", "h"]
    found = rows(empty, "SELECT source_row, material_id, reason FROM failures ORDER BY 1")
    assert [row["source_row"] for row in found] == [1, 2, 3, 4, 5, 6, 8]
    assert [row["reason"].split(":")[0] for row in found] == [
        "unknown species 'X'",
        "no structure",
        "no structure",
        "neither CIF nor POSCAR nor JSON of a structure",
        "atoms on top of each other",
        "2 data blocks with atoms",
        "id 'a' is there more than once; the first row with it was imported",
    ]


def test_the_structure_is_right_about_the_formula(empty: Lake, write_table: Callable[..., Path]) -> None:
    table = write_table(id=["a", "b", "c", "d"], cif=[CSCL] * 4, formula=["Cs2Cl2", "NaCl", "Cs+", None])
    report = import_table(empty, table, "d")
    assert rows(empty, "SELECT formula FROM d ORDER BY material_id") == [
        {"formula": formula} for formula in ("Cs2Cl2", "CsCl", "CsCl", "CsCl")
    ]
    (note,) = report.notes
    assert note.startswith("2 rows have a formula that is not their structure's")
    assert "b has 'NaCl', its structure CsCl" in note


def test_a_column_is_taken_for_structures_by_what_it_holds(empty: Lake, write_table: Callable[..., Path]) -> None:
    import_table(empty, write_table(formula=["NaCl"], structure=["rocksalt"]), "prototypes")
    assert rows(empty, "SELECT formula, structure, nsites FROM prototypes") == [
        {"formula": "NaCl", "structure": "rocksalt", "nsites": None}
    ]
    table = write_table("other.parquet", relaxed=[CSCL], formula=["CsCl"])
    import_table(empty, table, "named", structure_column="relaxed")
    assert rows(empty, "SELECT nsites FROM named") == [{"nsites": 2}]
    with pytest.raises(SourceError, match="holds neither CIF nor POSCAR"):
        import_table(empty, table, "wrong", structure_column="formula")
    with pytest.raises(SourceError, match="no column 'lost'"):
        import_table(empty, table, "wrong", structure_column="lost")


def test_a_csv_may_hold_structures(empty: Lake, tmp_path: Path) -> None:
    import pyarrow.csv as pacsv

    pacsv.write_csv(pa.table({"material_id": ["a", "b"], "cif": [CSCL, HALITE], "x": [1.5, 2.5]}), tmp_path / "t.csv")
    import_table(empty, tmp_path / "t.csv", "d")
    assert rows(empty, "SELECT formula, nsites, x FROM d ORDER BY x") == [
        {"formula": "CsCl", "nsites": 2, "x": 1.5},
        {"formula": "NaCl", "nsites": 8, "x": 2.5},
    ]


def test_names_of_geometry_belong_to_the_lake(empty: Lake, write_table: Callable[..., Path]) -> None:
    report = import_table(empty, write_table(cif=[CSCL], lattice_A=[4.123], crystal_hash=["mine"]), "d")
    assert len(report.notes) == 2
    assert rows(empty, "SELECT lattice_A_source, crystal_hash_source FROM d") == [
        {"lattice_A_source": 4.123, "crystal_hash_source": "mine"}
    ]


def test_max_atoms_is_an_option(empty: Lake, write_table: Callable[..., Path]) -> None:
    report = import_table(empty, write_table(cif=[CSCL, HALITE]), "d", max_atoms=4)
    assert (report.rows, report.failed) == (1, 1)
    assert "more than 4 atoms" in report.examples[0][1]


def test_the_bundled_crystals_are_imported(empty: Lake) -> None:
    report = import_table(empty, BUNDLED / "mp_elasticity.parquet", "elasticity")
    assert (report.rows, report.failed, report.notes) == (1181, 0, [])
    (counts,) = rows(empty, "SELECT count(*) AS n, sum(len(site_atomic_numbers)) = sum(nsites) AS fits FROM elasticity")
    assert counts == {"n": 1181, "fits": True}


def test_a_dataset_from_before_structures_still_opens(empty: Lake, write_table: Callable[..., Path]) -> None:
    import_table(empty, write_table("f.parquet", formula=["Si"]), "old")
    (part,) = (empty.datasets_folder / "old").glob("*.parquet")
    assert "crystal_hash" not in pq.read_schema(part).names
    import_table(empty, write_table("c.parquet", cif=[CSCL]), "new")
    assert len(empty.query("SELECT * FROM materials")) == 2
