"""vasprun.xml: the end of a finished run, and nothing else."""

from pathlib import Path

import ase
import ase.io
import pytest
from structures import vasprun

from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.structure_files.vasprun import parse_vasprun

REAL = Path(ase.__file__).parent / "test/testdata/vasp"


def test_the_final_structure_is_read() -> None:
    crystal = parse_vasprun(vasprun().encode())
    assert crystal.composition.canonical == "Cl1Cs1"
    assert crystal.numbers.tolist() == [55, 17]
    assert crystal.volume == pytest.approx(64.0)
    assert parse_vasprun(vasprun().encode() + b"\n<!-- cut").content_hash == crystal.content_hash


@pytest.mark.skipif(not REAL.is_dir(), reason="ASE is installed without its test data")
@pytest.mark.parametrize("name", ["vasprun_dfpt.xml", "vasprun_pstress.xml"])
def test_real_files_agree_with_ase(name: str) -> None:
    crystal, theirs = parse_vasprun((REAL / name).read_bytes()), ase.io.read(REAL / name)
    assert crystal.numbers.tolist() == theirs.numbers.tolist()
    assert crystal.volume == pytest.approx(theirs.cell.volume)


BOMB = '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><modeling>&b;</modeling>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (vasprun(finished=False), "a run that did not finish: it ends after 1 ionic steps"),
        ("<modeling></modeling>", "a run that did not finish: no final structure in it"),
        ("<html></html>", "not a vasprun.xml"),
        ("hello", "not a vasprun.xml"),
        ("", "not a vasprun.xml"),
        (BOMB, "a document type"),
        (vasprun("**** 0 0"), "cannot be read"),
        (vasprun("0 0"), "cannot be read|positions"),
        (vasprun().replace("<c>Cl</c>", "<c>X </c>"), "unknown species"),
        (vasprun().replace("<rc><c>Cl</c><c> 2</c></rc>", ""), "positions"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_vasprun(text.encode())


def test_a_large_cell_is_refused() -> None:
    with pytest.raises(TooManyAtomsError, match="2 atoms, more than 1"):
        parse_vasprun(vasprun().encode(), max_atoms=1)
