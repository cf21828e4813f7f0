"""POSCAR: every dialect that VASP and its helpers write."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen_referee import difference, from_pymatgen
from samples import BUNDLED

from matlake.errors import StructureError
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.poscar import parse_poscar

PLAIN = """CsCl
1.0
4.123 0 0
0 4.123 0
0 0 4.123
Cs Cl
1 1
Direct
0 0 0
0.5 0.5 0.5
"""

DIALECTS = {
    "scaled": PLAIN.replace("\n1.0\n", "\n2.0 ! twice\n").replace("4.123", "2.0615"),
    "volume": PLAIN.replace("\n1.0\n", f"\n-{4.123**3}\n").replace("4.123", "1.0"),
    "three factors": PLAIN.replace("\n1.0\n", "\n1.0 2.0 0.5\n")
    .replace("0 4.123 0", "0 2.0615 0")
    .replace("0 0 4.123", "0 0 8.246"),
    "Cartesian": PLAIN.replace("Direct", "Cartesian").replace("0.5 0.5 0.5", "2.0615 2.0615 2.0615"),
    "scaled Cartesian": PLAIN.replace("\n1.0\n", "\n4.123\n")
    .replace("4.123 ", "1 ")
    .replace(" 4.123", " 1")
    .replace("\n4.123\n", "\n4.123\n")
    .replace("Direct", "kartesisch"),
    "selective dynamics": PLAIN.replace("Direct", "Selective dynamics\nDirect").replace(
        "0.5 0.5 0.5", "0.5 0.5 0.5 T T F"
    ),
    "VASP 4": PLAIN.replace("CsCl\n", "Cs Cl\n").replace("Cs Cl\n1 1", "1 1"),
    "potentials": PLAIN.replace("Cs Cl\n", "Cs_sv Cl/0123abcd\n"),
    "symbols behind": PLAIN.replace("0 0 0\n", "0 0 0 Cs\n", 1),
    "velocities": PLAIN + "\n0.0 0.0 0.0\n0.1 0.1 0.1\n",
    "Windows": PLAIN.replace("\n", "\r\n"),
    "tabs": PLAIN.replace(" ", "\t"),
    "Fortran exponents": PLAIN.replace("4.123", "0.4123D+01").replace("\n1.0\n", "\n1.0d0\n"),
    "symbols behind alone": PLAIN.replace("Cs Cl\n1 1", "1 1")
    .replace("0 0 0\n", "0 0 0 Cs\n")
    .replace("5\n", "5 Cl\n"),
    "symbols behind flags": PLAIN.replace("Cs Cl\n1 1", "1 1")
    .replace("Direct", "Selective\nDirect")
    .replace("0 0 0\n", "0 0 0 T T T Cs\n")
    .replace("0.5\n", "0.5 F F F Cl\n"),
    "flags without selective dynamics": PLAIN.replace("0.5\n", "0.5 F F F\n"),
    "labels behind": PLAIN.replace("0 0 0\n", "0 0 0 ! Cs1\n").replace("0.5\n", "0.5 ! Cl2\n"),
    "VASP 4 with amounts": PLAIN.replace("CsCl\n", "Cs1 Cl1\n").replace("Cs Cl\n1 1", "1 1"),
    "wrapped": PLAIN.replace("Cs Cl\n1 1", "Cs\nCl\n1\n1"),
    "a count of zero": PLAIN.replace("Cs Cl\n1 1", "Cs O Cl\n1 0 1"),
    "comments": PLAIN.replace("Cs Cl\n1 1", "Cs Cl ! species\n1 1 # counts"),
    "blank mode": PLAIN.replace("Direct", ""),
    "one configuration": PLAIN.replace("Direct", "Direct configuration=     1"),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_dialects_are_the_same_crystal(name: str) -> None:
    assert difference(parse_poscar(DIALECTS[name]), parse_poscar(PLAIN)) == ""


def test_real_crystals_agree_with_pymatgen() -> None:
    from pymatgen.core import Structure

    texts = pq.read_table(BUNDLED / "mp_elasticity.parquet", columns=["poscar"])["poscar"].to_pylist()[::8]
    theirs = [from_pymatgen(Structure.from_str(text, fmt="poscar")) for text in texts]
    assert [difference(parse_poscar(text), other) for text, other in zip(texts, theirs, strict=True)] == [""] * len(
        texts
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(19, 103), min_size=1, max_size=8), st.integers(0, 10_000))
def test_what_pymatgen_writes_comes_back(numbers: list[int], seed: int) -> None:
    from pymatgen.core import Structure

    random = np.random.default_rng(seed)
    lattice = np.eye(3) * random.uniform(3.0, 9.0, 3) + random.uniform(-1.0, 1.0, (3, 3))
    structure = Structure(lattice, [SYMBOLS[z - 1] for z in numbers], random.uniform(-1.0, 1.0, (len(numbers), 3)))
    crystal = parse_poscar(structure.to(fmt="poscar"))
    assert sorted(crystal.numbers.tolist()) == sorted(numbers)
    assert crystal.volume == pytest.approx(structure.volume, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 lines"),
        (PLAIN.replace("1.0", "scale"), "line 2 should hold the scale"),
        (PLAIN.replace("1.0", "1.0 2.0"), "line 2 should hold the scale"),
        (PLAIN.replace("1.0", "1.0 -2.0 1.0"), "line 2 should hold the scale"),
        (PLAIN.replace("Cs Cl\n1 1", "1 1"), "no species: 2 counts"),
        (PLAIN.replace("CsCl", "O H Fe").replace("Cs Cl\n1 1", "1 1"), "no species: 2 counts"),
        (PLAIN.replace("CsCl", "Cs2 Cl1").replace("Cs Cl\n1 1", "1 1"), "no species: 2 counts"),
        (PLAIN.replace("CsCl", "as in").replace("Cs Cl\n1 1", "1 1"), "no species: 2 counts"),
        (PLAIN.replace("0 0 0\n", "0 0 0 Cl\n").replace("0.5\n", "0.5 Cs\n"), "line 9 says Cl .* line of species Cs"),
        (
            PLAIN.replace("CsCl", "Cs Cl")
            .replace("Cs Cl\n1 1", "1 1")
            .replace("0 0 0\n", "0 0 0 Cs\n")
            .replace("0.5\n", "0.5 Br\n"),
            "line 9 says Br behind the position, but the comment Cl",
        ),
        (PLAIN.replace("Direct\n", ""), "should say Direct or Cartesian"),
        (PLAIN + "0.25 0.25 0.25\n", "more than 2 lines of positions for 2 atoms"),
        (2 * PLAIN.replace("Direct", "Direct configuration=     1"), "a trajectory of several configurations"),
        (PLAIN.replace("Cs Cl\n1 1", "Direct"), "unknown species 'Direct'"),
        (PLAIN.replace("0 4.123 0", "0 4,123 0"), "line 4 should hold three numbers"),
        (PLAIN.replace("4.123 0 0", "4.123 0"), "line 3 should hold three numbers"),
        (PLAIN.replace("Cs Cl\n1 1", "Cs Cl\n1 one"), "numbers of atoms"),
        (PLAIN.replace("Cs Cl\n1 1", "Cs Cl\n1"), "1 counts but 2 species"),
        (PLAIN.replace("Cs Cl\n1 1", "Cs X\n1 1"), "unknown species 'X'"),
        (PLAIN.replace("Cs Cl\n1 1", "Cs Cl\n1 2"), "2 lines of positions for 3 atoms"),
        (PLAIN.replace("Cs Cl\n1 1", "Cs Cl\n1 999999999"), "1,000,000,000 atoms, more than 10,000"),
        (PLAIN.replace("0.5 0.5 0.5", "0.5 0.5 ?"), r"line 10 should hold three numbers: '0.5 0.5 \?'"),
        (PLAIN.replace("4.123", "nan"), "not finite"),
        (PLAIN.replace("0 4.123 0", "4.123 0 0"), "in a plane"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_poscar(text)
