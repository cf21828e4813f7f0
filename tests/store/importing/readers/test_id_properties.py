"""``id_prop.csv`` beside CIF files."""

import zipfile
from pathlib import Path

import pytest
from opened_sources import Read, read
from structures import CSCL, HALITE

from matlake.errors import SourceError


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a.cif").write_text(CSCL)
    (path / "b.cif").write_text(HALITE)
    (path / "id_prop.csv").write_text(text)
    return path


def bad(found: Read) -> list[str]:
    return [f"{one.line}: {one.reason}" for one in found.source.bad_lines]


def test_values_belong_to_the_files_of_their_ids(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "a,1.5\nb,na\n"))
    assert found.rows == [{"material_id": "a", "id_prop": 1.5}, {"material_id": "b", "id_prop": None}]
    assert found.notes == ["values of id_prop.csv are in id_prop"]
    assert bad(found) == []


def test_values_without_a_file_and_bad_lines_are_failures(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "a,1.5\nc,2\na,3\nd\n"))
    assert [row["id_prop"] for row in found.rows] == [1.5, None]
    assert bad(found) == [
        "3: of id_prop.csv: the id 'a' is there more than once",
        "4: of id_prop.csv: 1 fields, expected 2",
        "2: no file for the id 'c'",
    ]


def test_a_header_names_the_values(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "id,gap_eV,K_GPa\na,1.5,20\nb,2,30\n"))
    assert found.rows == [
        {"material_id": "a", "gap_eV": 1.5, "K_GPa": 20.0},
        {"material_id": "b", "gap_eV": 2.0, "K_GPa": 30.0},
    ]
    assert found.source.schema.names == ["material_id", "gap_eV", "K_GPa"]


def test_a_header_may_name_values_that_are_text(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "cif_id,class,gap_eV\na,metal,0\nb,oxide,3\n"))
    assert found.rows[1] == {"material_id": "b", "class": "oxide", "gap_eV": 3.0}


def test_a_line_may_name_its_file_with_the_ending(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "a.cif,1.5\nb,2\nc.cif,3\nb.cif,4\n"))
    assert [row["id_prop"] for row in found.rows] == [1.5, 2.0]
    assert bad(found) == ["3: no file for the id 'c.cif'", "4: no file for the id 'b.cif'"]


def test_several_values_are_numbered(tmp_path: Path) -> None:
    found = read(folder(tmp_path / "d", "a,1,2\nb,3,4\n"))
    assert found.rows[1] == {"material_id": "b", "id_prop": 3.0, "id_prop_2": 4.0}


def test_an_archive_of_the_folder_is_read_alike(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", "a,1.5\nb,2\n")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for file in sorted(path.iterdir()):
            archive.write(file, f"root/{file.name}")
    assert read(tmp_path / "d.zip").rows == read(path).rows


def test_ids_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no values beside ids"):
        read(folder(tmp_path / "d", "a\nb\n"))
