"""CIFs with partial occupancies: the composition is pymatgen's, and what the file states is held against it."""

import re
from typing import Any

import pytest
from pymatgen.core import Composition as Reference
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from structures import DISORDERED, HALITE

from matlake.errors import StructureError
from matlake.materials.disorder import DisorderedError
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.cif import parse_cif

ROCK_SALT = [[0, 0, 0], [0.5, 0.5, 0.5]]
PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
CASES: dict[str, tuple[str, Lattice, list[Any], list[list[float]]]] = {
    "vacancies": ("Fm-3m", Lattice.cubic(5.64), [{"Na": 0.9}, "Cl"], ROCK_SALT),
    "mixture": ("Fm-3m", Lattice.cubic(4.2), [{"Mg": 0.25, "Ca": 0.75}, "O"], ROCK_SALT),
    "thirds": ("Fm-3m", Lattice.cubic(4.2), [{"Mg": 0.333, "Ca": 0.667}, "O"], ROCK_SALT),
    "charges": ("Fm-3m", Lattice.cubic(4.2), [{"Fe2+": 0.5, "Fe3+": 0.25}, "O2-"], ROCK_SALT),
    "perovskite": ("Pm-3m", Lattice.cubic(3.9), [{"La": 0.7, "Sr": 0.3}, "Mn", {"O": 0.983}], PEROVSKITE),
    "layers": (
        "P6_3/mmc",
        Lattice.hexagonal(2.8, 14),
        [{"Na": 0.3333}, {"Na": 0.25}, "Co", "O"],
        [[0, 0, 0.25], [1 / 3, 2 / 3, 0.75], [0, 0, 0], [1 / 3, 2 / 3, 0.09]],
    ),
}


def disorder(text: str) -> DisorderedError:
    with pytest.raises(DisorderedError) as found:
        parse_cif(text)
    return found.value


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")  # spglib, as pymatgen calls it
@pytest.mark.parametrize("symmetry", [None, 0.01])
@pytest.mark.parametrize("name", CASES)
def test_the_composition_is_that_of_pymatgen(name: str, symmetry: float | None) -> None:
    group, lattice, species, places = CASES[name]
    structure = Structure.from_spacegroup(group, lattice, species, places)
    found = disorder(str(CifWriter(structure, symprec=symmetry))).composition
    mine = Reference({SYMBOLS[z - 1]: amount for z, amount in found.amounts}).fractional_composition
    theirs = Reference(structure.composition.element_composition).fractional_composition
    assert {str(one): share for one, share in mine.items()} == pytest.approx(
        {str(one): share for one, share in theirs.items()}, abs=3e-4
    )


def test_what_the_file_states_is_held_against_the_sites() -> None:
    stated = DISORDERED.replace("data_x", "data_x\n_chemical_formula_sum 'Na0.9 Cl'\n_cell_formula_units_Z 4")
    assert disorder(stated).composition.amounts == ((11, 9), (17, 10))
    with pytest.raises(StructureError, match=r"the sites give Cl4 Na3.6, the file states Na0.5 Cl"):
        parse_cif(stated.replace("Na0.9", "Na0.5"))
    with pytest.raises(StructureError, match="the file states Z 2"):
        parse_cif(stated.replace("units_Z 4", "units_Z 2"))


def test_a_site_cannot_hold_more_than_one_atom() -> None:
    with pytest.raises(StructureError, match=r"a site holds Na 0.9, K 0.9: more than one atom"):
        parse_cif(f"{DISORDERED.rstrip()}\nK1 K 0 0 0 0.9\n")


def test_alternatives_of_partial_occupancy_add_up() -> None:
    rows = "Na1 Na 0 0 0 1 . \nCl1 Cl 0.5 0.5 0.5 0.75 1\nBr1 Br 0.5 0.5 0.5 0.25 2\n"
    columns = "label type_symbol fract_x fract_y fract_z occupancy disorder_group"
    head = re.sub(r"loop_\s+_atom_site.*", "", HALITE, flags=re.DOTALL)
    text = f"{head}loop_\n{''.join(f'_atom_site_{name} ' for name in columns.split())}\n{rows}"
    assert disorder(text).composition.amounts == ((11, 4), (17, 3), (35, 1))


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")
@pytest.mark.parametrize("symmetry", [None, 0.01])
def test_charges_of_one_element_that_fill_a_site_are_one_atom(symmetry: float | None) -> None:
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.3), [{"Fe2+": 0.5, "Fe3+": 0.5}, "O2-"], ROCK_SALT)
    text = str(CifWriter(structure, symprec=symmetry))
    crystal = parse_cif(text)
    assert crystal.composition.reduced_formula == "FeO"
    assert len(crystal.numbers) == len(structure)
    with pytest.raises(StructureError, match=r"Fe 1\.5"):
        parse_cif(text.replace("0.5\n", "0.75\n"))
