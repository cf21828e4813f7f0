"""Properties joined to a dataset by id."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from opened_sources import optimade_entry, pymatgen_structure, written
from structures import reasons, rows

import matlake
from matlake import Lake, embed, import_table, open_lake
from matlake.errors import LakeError, SourceError
from matlake.store.importing.joining import join_table

FEATURE = "elemnet-oqmd-formation-energy@16"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake with the crystals a, b and c, which have a gap."""
    folder = tmp_path_factory.mktemp("joining")
    made = open_lake(folder / "lake", create=True)
    records = [
        {"material_id": name, "gap_eV": gap, "structure": pymatgen_structure(metal)}
        for name, gap, metal in (("a", 7.8, "Mg"), ("b", 7.0, "Ca"), ("c", 4.0, "Ni"))
    ]
    import_table(made, written(folder / "d.json", records), "d")
    return made.path


@pytest.fixture
def lake(prepared: Path, tmp_path: Path) -> Lake:
    shutil.copytree(prepared, tmp_path / "lake")
    return open_lake(tmp_path / "lake")


def csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_properties_are_added_to_the_materials_of_their_ids(lake: Lake, tmp_path: Path) -> None:
    embed(lake, FEATURE)
    report = join_table(lake, csv(tmp_path / "p.csv", "material_id,K_GPa,phase\nb,110,rs\na,155.5,rs\n"), "d")
    assert (report.rows, report.failed, report.materials) == (2, 0, 3)
    assert (report.added, report.replaced, report.notes) == (["K_GPa", "phase"], [], [])
    assert rows(lake, "SELECT material_id, gap_eV, K_GPa, phase, nsites FROM d ORDER BY 1") == [
        {"material_id": "a", "gap_eV": 7.8, "K_GPa": 155.5, "phase": "rs", "nsites": 2},
        {"material_id": "b", "gap_eV": 7.0, "K_GPa": 110.0, "phase": "rs", "nsites": 2},
        {"material_id": "c", "gap_eV": 4.0, "K_GPa": None, "phase": None, "nsites": 2},
    ]
    assert embed(lake, FEATURE).embedded == 0
    assert lake.list_datasets()[0].source.endswith("d.json")


def test_rows_that_fit_no_material_are_failures(lake: Lake, tmp_path: Path) -> None:
    path = csv(tmp_path / "p.csv", "id,K_GPa\na,1\nx,2\na,3\n,4\nb,5,6\n")
    report = join_table(lake, path, "d")
    assert (report.rows, report.failed) == (1, 4)
    reason = f" of {path} was not joined: "
    found = {row["reason"] for row in rows(lake, "SELECT reason FROM failures")}
    assert found == {
        f"row 1{reason}the dataset has no id 'x'",
        f"row 2{reason}id 'a' is there more than once; the first row with it was joined",
        f"row 3{reason}it has no id",
        f"line 6{reason}3 fields, expected 2",
    }
    assert report.lines()[-4:] == [f"  {line}" for line in report.examples]


def test_joining_again_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    path = csv(tmp_path / "p.csv", "id,K_GPa\na,1\nb,>2\nc,3\nx,2\n")
    everything = "SELECT * FROM d ORDER BY material_id"
    join_table(lake, path, "d")
    before = rows(lake, everything), reasons(lake), rows(lake, "SELECT * FROM unread_cells")
    report = join_table(lake, path, "d")
    assert (rows(lake, everything), reasons(lake), rows(lake, "SELECT * FROM unread_cells")) == before
    assert before[2] == [{"dataset": "d", "material_id": "b", "source_row": 1, "property": "K_GPa", "text": ">2"}]
    assert (report.added, report.replaced, report.unread_cells) == ([], ["K_GPa"], 1)


def test_a_column_that_exists_is_replaced_as_a_whole(lake: Lake, tmp_path: Path) -> None:
    report = join_table(lake, csv(tmp_path / "p.csv", "id,GAP_eV,formula,nsites\na,wide,MgO,8\n"), "d")
    assert report.replaced == ["gap_eV"]
    assert report.notes == [
        "column formula left out: the formula is that of the dataset",
        "column nsites renamed to nsites_source: the name belongs to the lake",
        "column gap_eV holds string now, double before",
    ]
    found = rows(lake, "SELECT formula, gap_eV, nsites, nsites_source FROM d ORDER BY material_id")
    assert found[0] == {"formula": "MgO", "gap_eV": "wide", "nsites": 2, "nsites_source": 8}
    assert [row["gap_eV"] for row in found] == ["wide", None, None]


def test_ids_are_text_as_written(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    import_table(lake, csv(tmp_path / "d.csv", "id,formula\n0012,MgO\n12,CaO\n"), "d")
    join_table(lake, csv(tmp_path / "p.csv", "id,K_GPa\n12,1\n"), "d")
    assert rows(lake, "SELECT formula FROM d WHERE K_GPa IS NOT NULL") == [{"formula": "CaO"}]


@pytest.mark.parametrize(
    ("text", "options", "error", "reason"),
    [
        ("id,K\nx,1\ny,2\n", {}, SourceError, "has the id of a material of dataset 'd': the dataset has no id 'x'"),
        ("name,K\na,1\n", {}, SourceError, "no column of ids by a usual name"),
        ("id,K\na,1\n", {"id_column": "mp"}, SourceError, "no column 'mp'"),
        ("id,formula\na,MgO\n", {}, SourceError, "no properties beside id, formula"),
    ],
)
def test_what_cannot_be_joined_leaves_the_dataset_as_it_was(
    lake: Lake, tmp_path: Path, text: str, options: dict[str, str], error: type[Exception], reason: str
) -> None:
    before = sorted(lake.dataset("d").iterdir())
    with pytest.raises(error, match=reason):
        join_table(lake, csv(tmp_path / "p.csv", text), "d", **options)
    assert sorted(lake.dataset("d").iterdir()) == before


def test_python_joins_tables_of_a_notebook(lake: Lake) -> None:
    opened = matlake.open_lake(str(lake.path))
    report = opened.add(pa.table({"code": ["a", "c"], "K_GPa": [1.0, 3.0]}), join="d", id="code", progress=False)
    assert (report.rows, report.added) == (2, ["K_GPa"])
    with pytest.raises(LakeError, match="no dataset 'e'"):
        opened.add(pa.table({"id": ["a"], "K_GPa": [1.0]}), join="e", progress=False)
    with pytest.raises(LakeError, match="name a dataset to add, or with join"):
        opened.add(pa.table({"id": ["a"], "K_GPa": [1.0]}), progress=False)  # type: ignore[call-overload]


def test_disordered_materials_take_properties_too(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake", create=True)
    entries = [optimade_entry(), optimade_entry("Ca", species_at_sites=["O", "O"])]
    import_table(lake, written(tmp_path / "d.json", {"data": entries}), "d")
    join_table(lake, csv(tmp_path / "p.csv", "id,K_GPa\nx-Ca,1\n"), "d")
    assert rows(lake, "SELECT K_GPa FROM d WHERE material_id = 'x-Ca'") == [{"K_GPa": 1}]
