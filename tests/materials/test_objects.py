"""Objects of pymatgen and ASE, text and dictionaries: the same crystal from each, or a reason why there is none."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.io import read as read_with_ase
from ase.spacegroup import crystal as ase_crystal
from hypothesis import given, strategies
from pymatgen.core import Composition as PymatgenComposition
from pymatgen.core import DummySpecies, Lattice, Molecule, Species, Structure
from pymatgen.entries.computed_entries import ComputedEntry, ComputedStructureEntry
from pymatgen_referee import difference
from sample_crystals import caesium_chloride, rock_salt
from structures import CSCL, POSCAR, pymatgen_dict

from matlake.errors import FormulaError, MatlakeError, StructureError, TooManyAtomsError
from matlake.materials.crystal import Crystal
from matlake.materials.disorder import DisorderedError
from matlake.materials.formula import composition_of_amounts, parse_formula
from matlake.materials.objects import as_composition, as_crystal, as_material, has_composition, has_structure

EDGE = 4.12


def caesium_chloride_of(*species: Any, **properties: Any) -> Structure:
    return Structure(Lattice.cubic(EDGE), species, [[0, 0, 0], [0.5, 0.5, 0.5]], **properties)


def entry() -> ComputedStructureEntry:
    return ComputedStructureEntry(caesium_chloride_of("Cs", "Cl"), -3.2)


@pytest.mark.parametrize(
    "given",
    [
        caesium_chloride_of("Cs", "Cl"),
        caesium_chloride_of("Cs+", "Cl-"),
        caesium_chloride_of(Species("Cs", 1, spin=5), "Cl", site_properties={"magmom": [0.1, 0.2]}, charge=1),
        caesium_chloride_of({"Cs": 0.9996}, "Cl"),
        caesium_chloride_of("Cs", "Cl").as_dict(),
        caesium_chloride_of("Cs", "Cl").to_json(),
        caesium_chloride_of("Cs", "Cl").to(fmt="cif"),
        caesium_chloride_of("Cs", "Cl").to(fmt="poscar"),
        entry(),
        entry().as_dict(),
        SimpleNamespace(material_id="mp-22865", structure=caesium_chloride_of("Cs", "Cl")),
        bulk("CsCl", "cesiumchloride", a=EDGE),
        SimpleNamespace(numbers=[55, 17], cell=np.eye(3) * EDGE, positions=[[0, 0, 0], [EDGE / 2] * 3]),
        caesium_chloride(),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_form_of_a_structure_is_the_same_crystal(given: object) -> None:
    assert difference(as_crystal(given), caesium_chloride()) == ""
    assert as_composition(given) == parse_formula("CsCl")
    assert isinstance(as_material(given), Crystal)


@pytest.mark.parametrize(
    "given",
    [
        "Fe2O3",
        PymatgenComposition("Fe2O3"),
        PymatgenComposition({"Fe2+": 1, "Fe3+": 1, "O2-": 3}),
        {"Fe": 2, "O": 3},
        {26: 2, 8: 3},
        ComputedEntry("Fe4O6", -20.0),
        parse_formula("Fe2O3"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_form_of_a_composition_is_the_same(given: object) -> None:
    assert as_composition(given) == as_material(given) == parse_formula("Fe2O3")
    with pytest.raises(StructureError):
        as_crystal(given)


def test_deuterium_is_hydrogen() -> None:
    heavy = Structure(Lattice.cubic(EDGE), ["Li", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert as_crystal(heavy).numbers.tolist() == [3, 1]
    assert as_composition(PymatgenComposition("D2O")) == parse_formula("H2O")


def test_a_disordered_structure_has_a_composition_and_no_crystal() -> None:
    alloy = caesium_chloride_of({"Fe": 0.5, "Mn": 0.3}, "O")
    with pytest.raises(DisorderedError, match=r"disordered: a site holds Fe 0.5, Mn 0.3"):
        as_crystal(alloy)
    assert as_composition(alloy) == parse_formula("Fe0.5Mn0.3O")


def test_occupancies_that_ase_keeps_beside_the_atoms_count() -> None:
    steel = ase_crystal(["Fe"], [(0, 0, 0)], spacegroup=225, cellpar=[3.6, 3.6, 3.6, 90, 90, 90])
    steel.info["occupancy"] = {"0": {"Fe": 0.7, "Ni": 0.3}}
    with pytest.raises(DisorderedError, match=r"Fe 0.7, Ni 0.3"):
        as_crystal(steel)
    assert as_composition(steel) == parse_formula("Fe7Ni3")
    steel.info["occupancy"] = {"0": {"Fe": 1.0}}
    assert len(as_crystal(steel).numbers) == 4


def test_a_disordered_cif_that_ase_read_is_disordered(tmp_path: Any) -> None:
    path = tmp_path / "alloy.cif"
    alloy = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), [{"Fe": 0.7, "Ni": 0.3}], [[0, 0, 0]])
    path.write_text(alloy.to(fmt="cif"))
    assert as_composition(read_with_ase(path)) == parse_formula("Fe7Ni3")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "no structure"),
        (float("nan"), "no structure"),
        (np.float32("nan"), "no structure"),
        (pd.NA, "no structure"),
        (pd.NaT, "no structure"),
        ("", "no structure"),
        ("CsCl", "neither CIF nor POSCAR nor JSON of a structure: 'CsCl'"),
        ({"Cs": 1, "Cl": 1}, "a composition, not a crystal structure"),
        (caesium_chloride_of(DummySpecies("X"), "Cl"), "unknown species 'X'"),
        (Structure(Lattice(np.eye(3) * EDGE, pbc=(True, True, False)), ["Cs"], [[0, 0, 0]]), "not periodic"),
        (Structure(Lattice(np.eye(3) * np.nan), ["Cs"], [[0, 0, 0]]), "not finite"),
        (Structure(Lattice.cubic(EDGE), [], []), "no atoms"),
        (Molecule(["O", "O"], [[0, 0, 0], [0, 0, 1.2]]), "a molecule: it has no cell"),
        (fcc111("Cu", (1, 1, 3), vacuum=8), "not periodic"),
        (Atoms("CsCl", [[0, 0, 0], [2, 2, 2]]), "not periodic"),
        (Atoms("CsCl", [[0, 0, 0], [2, 2, 2]], pbc=True), "not a periodic cell"),
        (Atoms("CsX", [[0, 0, 0], [2, 2, 2]], cell=[4] * 3, pbc=True), "atomic number 0: no such element"),
        (Atoms(cell=[4] * 3, pbc=True), "no atoms"),
        (Crystal(np.array([55], np.int16), np.zeros((3, 3)), np.zeros((1, 3))), "not a periodic cell"),
        (SimpleNamespace(lattice=None, sites=[1]), "cannot read a SimpleNamespace"),
        (SimpleNamespace(numbers=[1], cell="cell", positions=None), "cannot read a SimpleNamespace"),
        ([55, 17], "a list is neither a structure nor a formula"),
        (3.5, "a float is neither a structure nor a formula"),
        (b"CsCl", "a bytes is neither"),
    ],
    ids=str,
)
def test_what_is_no_crystal_says_why(given: object, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        as_crystal(given)


@pytest.mark.parametrize("given", [None, float("nan"), pd.NA, 3.5, "", "unobtainium", {"Fe": -1}, {"Fe": 0}, {"Qq": 1}])
def test_what_is_no_composition_says_why(given: object) -> None:
    with pytest.raises((FormulaError, StructureError)):
        as_composition(given)


def test_cells_above_the_limit_are_refused_before_they_are_read() -> None:
    for large in (caesium_chloride_of("Cs", "Cl"), bulk("CsCl", "cesiumchloride", a=EDGE), rock_salt(), CSCL, POSCAR):
        with pytest.raises(TooManyAtomsError):
            as_crystal(large, max_atoms=1)


def test_objects_are_told_apart_by_what_they_have() -> None:
    molecule = Molecule(["O"], [[0, 0, 0]])  # which is refused as one, not as a list of sites
    structures = [caesium_chloride_of("Cs", "Cl"), bulk("Cu"), entry(), pymatgen_dict(), caesium_chloride(), molecule]
    compositions = [PymatgenComposition("Fe2O3"), ComputedEntry("Fe4O6", -20.0), parse_formula("Fe2O3"), {"Fe": 2}]
    others = [
        {"a": 1.0},
        None,
        pd.NA,
        3.5,
        [],
        {},
        entry().as_dict(),
        {"formula": "CsCl"},
        np.zeros(3),
    ]
    every = structures + compositions + others
    assert [has_structure(one) for one in every] == [True] * 6 + [False] * 13
    assert [has_composition(one) for one in every] == [False] * 6 + [True] * 4 + [False] * 9


@given(strategies.dictionaries(strategies.integers(1, 118), strategies.integers(1, 997), min_size=1, max_size=5))
def test_fractions_in_binary_are_the_exact_amounts(amounts: dict[int, int]) -> None:
    exact = composition_of_amounts(amounts)
    shared = {z: amount / sum(amounts.values()) for z, amount in amounts.items()}
    if sum(amounts.values()) <= 1000:
        assert composition_of_amounts(shared) == exact
    assert composition_of_amounts({z: 0.1 * amount for z, amount in amounts.items()}) == exact


def test_any_object_ends_in_a_crystal_or_an_error_of_ours() -> None:
    class Hostile:
        lattice = property(lambda _: 1 / 0)
        sites = ()

    with pytest.raises(MatlakeError, match="cannot read a Hostile"):
        as_crystal(Hostile())


def test_neither_pymatgen_nor_ase_is_imported() -> None:
    code = (
        "import sys; from matlake.materials.objects import as_crystal; as_crystal(sys.argv[1]); "
        "print({'pymatgen', 'ase', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, POSCAR], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
