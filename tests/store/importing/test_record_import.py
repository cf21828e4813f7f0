"""JSON, extended XYZ and ASE databases: records of a structure and its properties."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from structures import CSCL, ids, pymatgen_dict, reasons, rows

from matlake import Lake, import_table, open_lake
from matlake.errors import SourceError


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", create=True)


def layouts() -> dict[str, tuple[str, list[str]]]:
    structure = pymatgen_dict()
    record = {"material_id": "m", "gap_eV": 8.3, "structure": structure}
    return {
        "structure.json": (json.dumps(structure), ["d-0"]),
        "list.json": (json.dumps([structure, structure], indent=1), ["d-0", "d-1"]),
        "records.json": (json.dumps([record, {**record, "material_id": "n"}]), ["m", "n"]),
        "record.json": (json.dumps(record), ["m"]),
        "by_id.json": (json.dumps({"p": structure, "q": {"structure": structure, "gap_eV": 8.3}}), ["p", "q"]),
        "entry.json": (json.dumps({"@class": "ComputedStructureEntry", "energy": -2.0, **record}), ["m"]),
        "split.json": (
            json.dumps({"index": [0, 1], "columns": ["structure", "gap_eV"], "data": [[structure, 1.0]] * 2}),
            ["d-0", "d-1"],
        ),
        "lines.jsonl": ("\n".join(json.dumps(record | {"material_id": f"l{n}"}) for n in range(3)), ["l0", "l1", "l2"]),
        "lines.json": (json.dumps(record) + "\n" + json.dumps({**record, "material_id": "n"}), ["m", "n"]),
        "text.jsonl": (json.dumps({"id": "t", "cif": CSCL}), ["t"]),
    }


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", layouts())
def test_layouts_of_json(empty: Lake, tmp_path: Path, name: str, compressed: bool) -> None:
    text, expected = layouts()[name]
    path = tmp_path / (name + ".gz" * compressed)
    path.write_bytes(gzip.compress(text.encode()) if compressed else text.encode())
    report = import_table(empty, path, "d")
    assert report.failed == 0
    assert ids(empty) == expected
    assert {row["nsites"] for row in rows(empty, "SELECT nsites FROM d")} == {2}


def test_json_is_read_piece_by_piece(empty: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.store.importing.readers.json_pieces.CHUNK", 7)
    for name, (text, expected) in layouts().items():
        if name.endswith(".json"):
            (tmp_path / name).write_text(text)
            import_table(empty, tmp_path / name, "d")
            assert ids(empty) == expected


def test_properties_of_records_keep_the_narrowest_type(empty: Lake, tmp_path: Path) -> None:
    structure = pymatgen_dict()
    values = [
        {"whole": 1, "number": 1, "text": 1, "truth": True, "list": [1], "@version": "1"},
        {"whole": 2, "number": 2.5, "text": "two", "truth": None, "other": "late", "number2": float("nan")},
    ]
    lines = [json.dumps({"structure": structure, **properties}) for properties in values]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    report = import_table(empty, tmp_path / "r.jsonl", "d")
    found = rows(empty, "SELECT * EXCLUDE (site_atomic_numbers, lattice_A, fractional_positions) FROM d ORDER BY whole")
    keep = ("whole", "number", "text", "truth", "other", "number2")
    assert [[row[name] for name in keep] for row in found] == [
        [1, 1.0, "1", True, None, None],
        [2, 2.5, "two", None, "late", None],
    ]
    assert report.notes == ["properties left out because they are not single values: list"]


def test_bad_records_are_failures(empty: Lake, tmp_path: Path) -> None:
    good = json.dumps({"structure": pymatgen_dict()})
    unknown = good.replace('"element": "Cs"', '"element": "X"')
    lines = [good, "{", unknown, '{"structure": null}', "7", "", good]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    report = import_table(empty, tmp_path / "r.jsonl", "d")
    assert (report.rows, report.failed) == (2, 4)
    found = [row["reason"] for row in rows(empty, "SELECT reason FROM failures ORDER BY source_row")]
    assert found[0].startswith("line 2: not JSON")
    assert [reason.split(":")[0] for reason in found[1:]] == ["unknown species 'X'", "no structure", "no record"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("   ", "holds no structures"),
        ("[]", "holds no structures"),
        ("[" * 100_000, "nested too deeply"),
        ("[1, 2", "is not JSON"),
        ("hello", "is not JSON"),
        ('{"a" 1}', "is not JSON"),
        ('{"structure": 7}', "none of the 1 rows"),
        (json.dumps([{f"p{n}": n for n in range(2000)}]), "more than 1,000 different properties"),
        (json.dumps([{"a": 1, "A": 2}]), "no column of formulas"),
    ],
)
def test_useless_json_is_one_clear_error(empty: Lake, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(SourceError, match=reason):
        import_table(empty, tmp_path / "r.json", "d")


def test_matbench_is_imported(empty: Lake, development_data: Callable[[str], Path]) -> None:
    report = import_table(empty, development_data("matbench_phonons.parquet"), "phonons")
    assert (report.rows, report.failed) == (1265, 0)


FRAME = (
    '2\nLattice="4.123 0 0 0 4.123 0 0 0 4.123" energy=-7.25 tag={} pbc="T T T"\nCs 0 0 0\nCl 2.0615 2.0615 2.0615\n'
)


def test_frames_of_xyz_are_crystals_with_properties(empty: Lake, tmp_path: Path) -> None:
    frames = [FRAME.format("a"), FRAME.format("b").replace("T T T", "T T F"), "\n", FRAME.format("c")]
    frames += ["99999999\nLattice\n", "\n"]
    (tmp_path / "t.extxyz").write_text("".join(frames))
    report = import_table(empty, tmp_path / "t.extxyz", "d", id_column="tag")
    assert rows(empty, "SELECT material_id, formula, nsites, energy FROM d ORDER BY 1") == [
        {"material_id": name, "formula": "CsCl", "nsites": 2, "energy": -7.25} for name in ("a", "c")
    ]
    assert report.failed == 2
    found = [row["reason"] for row in rows(empty, "SELECT reason FROM failures ORDER BY source_row")]
    assert found == ["not periodic in all three directions", "the file ends after 1 of 99,999,999 atoms"]


def test_a_frame_too_large_is_skipped_and_a_broken_count_ends_the_file(empty: Lake, tmp_path: Path) -> None:
    large = '3\nLattice="9 0 0 0 9 0 0 0 9" tag=l\nH 0 0 0\nH 3 3 3\nH 6 6 6\n'
    (tmp_path / "t.xyz").write_text(large + FRAME.format("a") + "many\n" + FRAME.format("b"))
    report = import_table(empty, tmp_path / "t.xyz", "d", max_atoms=2)
    assert (report.rows, report.failed) == (1, 2)
    found = [row["reason"] for row in rows(empty, "SELECT reason FROM failures ORDER BY source_row")]
    assert found[0] == "3 atoms, more than 2"
    assert found[1] == "line 10 should hold a number of atoms: 'many'; nothing after it can be read"


@pytest.fixture
def ase_database(tmp_path: Path) -> Path:
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.db import connect

    path = tmp_path / "t.db"
    atoms = Atoms("CsCl", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[4.123] * 3, pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-7.25)
    with connect(path) as database:
        database.write(atoms, gap_eV=8.3, name="cscl", data={"anything": [1, 2]})
        database.write(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]), name="molecule")
        database.write(atoms, name="again")
    return path


def test_an_ase_database_is_read_without_ase(empty: Lake, ase_database: Path) -> None:
    before = ase_database.read_bytes()
    report = import_table(empty, ase_database, "d")
    assert rows(empty, "SELECT material_id, formula, nsites, gap_eV, name, energy_eV FROM d ORDER BY 1") == [
        {"material_id": "1", "formula": "CsCl", "nsites": 2, "gap_eV": 8.3, "name": "cscl", "energy_eV": -7.25},
        {"material_id": "3", "formula": "CsCl", "nsites": 2, "gap_eV": None, "name": "again", "energy_eV": -7.25},
    ]
    assert report.failed == 1
    assert reasons(empty) == {"2": "not periodic in all three directions"}
    assert ase_database.read_bytes() == before
    assert sorted(p.name for p in ase_database.parent.iterdir()) == ["lake", "t.db"]


def test_other_databases_are_one_clear_error(empty: Lake, tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "t.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE VIEW systems AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n"
        )
    connection.close()
    with pytest.raises(SourceError, match="SQLite database without a table"):
        import_table(empty, path, "d")
    path.write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(SourceError, match="damaged"):
        import_table(empty, path, "d")
