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
