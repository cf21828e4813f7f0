"""The files of a VASP run are one material: the structure that the run has come to."""

import gzip
from pathlib import Path

import pytest
from structures import POSCAR, ids, reasons, rows, vasprun

from matlake import Lake, import_table, open_lake

RELAXED = POSCAR.replace("4.123", "4.1")
DAMAGED = POSCAR.replace("0 4.123 0", "0 4.123")
FINISHED, UNFINISHED = vasprun(edge=4.05), vasprun(finished=False)


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


@pytest.mark.parametrize(
    ("files", "edge"),
    [
        ({"POSCAR": POSCAR}, 4.123),
        ({"POSCAR": POSCAR, "CONTCAR": RELAXED}, 4.1),
        ({"POSCAR": POSCAR, "CONTCAR": ""}, 4.123),
        ({"POSCAR": POSCAR, "CONTCAR": " \n"}, 4.123),
        ({"vasprun.xml": FINISHED}, 4.05),
        ({"POSCAR": POSCAR, "CONTCAR": RELAXED, "vasprun.xml": FINISHED, "OUTCAR": "x", "INCAR": "x"}, 4.05),
        ({"POSCAR": POSCAR, "CONTCAR": RELAXED, "vasprun.xml": UNFINISHED}, 4.1),
        ({"POSCAR": POSCAR, "CONTCAR": "", "vasprun.xml": UNFINISHED}, 4.123),
        ({"POSCAR": POSCAR, "CONTCAR": RELAXED, "vasprun.xml": ""}, 4.1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gz"])
def test_the_last_structure_of_a_run_is_the_material(
    empty: Lake, tmp_path: Path, files: dict[str, str], edge: float, zipped: bool
) -> None:
    for run in ("one", "two"):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        for name, text in files.items():
            content = gzip.compress(text.encode()) if zipped else text.encode()
            (folder / (f"{name}.gz" if zipped else name)).write_bytes(content)
    report = import_table(empty, tmp_path / "runs", "d")
    assert (report.rows, report.failed) == (2, 0)
    assert ids(empty) == ["one", "two"]
    assert [row["lattice_A"][0] for row in rows(empty, "SELECT lattice_A FROM d")] == pytest.approx([edge, edge])
    assert any(note.startswith("2 VASP runs with several") for note in report.notes) == (len(files) > 1)


def test_a_folder_of_one_run_has_its_name(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "NaCl").mkdir()
    (tmp_path / "NaCl/POSCAR").write_text(POSCAR)
    (tmp_path / "NaCl/CONTCAR").write_text(RELAXED)
    import_table(empty, tmp_path / "NaCl", "d")
    assert ids(empty) == ["NaCl"]


def test_a_damaged_contcar_is_a_failure_and_not_the_start_of_the_run(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "r/x").mkdir(parents=True)
    (tmp_path / "r/x/POSCAR").write_text(POSCAR)
    (tmp_path / "r/x/CONTCAR").write_text(DAMAGED)
    (tmp_path / "r/y.vasp").write_text(POSCAR)
    assert import_table(empty, tmp_path / "r", "d").failed == 1
    assert "line 4 should hold three numbers" in reasons(empty)["x"]


def test_runs_of_other_labels_are_other_materials(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    for name in ("POSCAR.relax1", "CONTCAR.relax1", "POSCAR.relax2", "CONTCAR.relax2", "POSCAR_a", "POSCAR_b"):
        (tmp_path / "r" / name).write_text(POSCAR)
    (tmp_path / "r/vasprun.relax2.xml").write_text(FINISHED)
    (tmp_path / "r/empty.vasp").write_text("")
    assert import_table(empty, tmp_path / "r", "d").rows == 4
    assert ids(empty) == ["POSCAR.relax1", "POSCAR.relax2", "POSCAR_a", "POSCAR_b"]
    assert reasons(empty) == {"empty": "an empty file"}


def test_one_vasprun_is_a_source(empty: Lake, tmp_path: Path) -> None:
    (tmp_path / "vasprun.xml").write_text(FINISHED)
    assert import_table(empty, tmp_path / "vasprun.xml", "d").rows == 1
