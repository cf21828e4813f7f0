"""Extended XYZ: what ASE writes comes back, and anything else is refused with the reason."""

import io

import numpy as np
import pytest

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.structure_files.extended_xyz import crystal_of_frame, read_comment, scalars

CELL = 'Lattice="4 0 0 0 4 0 0 0 4"'


def read(frame: str) -> Crystal:
    lines = frame.splitlines()
    return crystal_of_frame(read_comment(lines[1]), lines[2:])


def test_a_frame_of_ase_comes_back() -> None:
    from ase import Atoms
    from ase.io import read as ase_read
    from ase.io import write

    random = np.random.default_rng(0)
    cell = np.eye(3) * 5 + random.uniform(-1, 1, (3, 3))
    atoms = Atoms("NaClO2", scaled_positions=random.uniform(0, 1, (4, 3)), cell=cell, pbc=True)
    atoms.info = {"energy": -3.25, "name": "two words", "ok": True, "steps": 12, "stress": np.eye(3), "key": "v=1"}
    atoms.arrays["forces"] = random.uniform(size=(4, 3))
    text = io.StringIO()
    write(text, atoms, format="extxyz")
    crystal = read(text.getvalue())
    assert crystal.numbers.tolist() == atoms.numbers.tolist()
    assert np.abs(crystal.lattice - cell).max() < 1e-7
    assert np.abs(crystal.positions @ crystal.lattice - atoms.positions).max() < 1e-7
    found = scalars(read_comment(text.getvalue().splitlines()[1]))
    assert found == {"energy": -3.25, "name": "two words", "ok": True, "steps": 12, "key": "v=1"}
    text.seek(0)
    assert set(found) <= {*ase_read(text, format="extxyz").info, "energy"}


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("a=1 b = 2.5 c=T d", {"a": 1, "b": 2.5, "c": True, "d": True}),
        ('"long key"="x y" q=""', {"long key": "x y", "q": ""}),
        ('v="1 2 3" w=[1, 2] x={1 2} y=[[1, 2], [3, 4]] z=-7', {"z": -7}),
        ("id=mp-1 name=TiO2 f=1e-3", {"id": "mp-1", "name": "TiO2", "f": 1e-3}),
        ('Lattice="1 0 0 0 1 0 0 0 1" Properties=species:S:1:pos:R:3 pbc="T T T"', {}),
        ("", {}),
    ],
)
def test_pairs_keep_their_types(comment: str, found: dict[str, object]) -> None:
    assert scalars(read_comment(comment)) == found


def test_columns_may_be_in_any_order() -> None:
    crystal = read(f"1\n{CELL} Properties=forces:R:3:pos:R:3:Z:I:1\n9 9 9 1 2 3 26\n")
    assert crystal.numbers.tolist() == [26]
    assert crystal.positions.tolist() == [[0.25, 0.5, 0.75]]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("1\nno cell\nNa 0 0 0\n", "no Lattice"),
        (f'1\n{CELL} pbc="T T F"\nNa 0 0 0\n', "not periodic"),
        ('1\nLattice="4 0 0 0 4 0"\nNa 0 0 0\n', "6 numbers, not nine"),
        ('1\nLattice="4 0 0 0 4 0 0 0 x"\nNa 0 0 0\n', "Lattice is not a number"),
        (f"1\n{CELL} Properties=pos:R:3\n0 0 0\n", "without species or pos"),
        (f"1\n{CELL}\nNa 0 0\n", "atom 1 has 3 columns"),
        (f"1\n{CELL}\nNa 0 0 up\n", "position is not a number"),
        (f"1\n{CELL}\nQ 0 0 0\n", "unknown species 'Q'"),
        (f"0\n{CELL}\n", "no atoms"),
    ],
)
def test_what_is_wrong_is_said(frame: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        read(frame)


def test_hostile_comments_take_no_time() -> None:
    for part in ("a={ ", "a=[ ", 'a=" ', "a= ", '" ', "[[", "={"):
        read_comment(part * 100_000)
