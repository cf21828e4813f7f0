"""CIF: the same crystals as pymatgen reads, or a reason why there is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen_referee import difference, read_with_pymatgen

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.overlaps import find_overlaps
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.cif import parse_cif, read_cif
from matlake.materials.structure_files.text import decode

AWKWARD = Path(__file__).parents[2] / "data" / "awkward_cifs"

AS_PYMATGEN = (
    "atoms_on_top",
    "charges",
    "comments",
    "deuterium",
    "hall_only",
    "hexagonal_axes",
    "hexagonal_axes_name_only",
    "labels_only",
    "name_only",
    "no_symmetry",
    "nonstandard_setting_p21n",
    "nonstandard_setting_pbnm",
    "nonstandard_setting_pbnm_name_only",
    "number_only",
    "rhombohedral_axes",
    "rounded_thirds",
    "standard_setting_p21c",
    "uncertainties",
    "unique_axis_c",
    "unknown_values",
    "unquoted_text",
    "utf8_names",
    "windows_line_ends",
    "zero_occupancy",
)

# pymatgen reads these as something else, or not at all; the second file has the same crystal, written plainly
AS_ANOTHER_FILE = {
    "duplicate_sites": "name_only",  # pymatgen adds the occupancies up and refuses
    "mmcif_tags": "name_only",
    "mmcif_cartesian": "name_only",
    "rhombohedral_axes_name_only": "rhombohedral_axes",  # pymatgen applies operations of hexagonal axes
    "thirds_of_three_digits": "rounded_thirds",  # pymatgen keeps images that are 0.003 Å apart
    "two_origins_settled": "origin_named",  # pymatgen takes the other origin, and twice the atoms
}

REFUSED = {
    "axes_contradict_operations": "not have the symmetry of its operations",
    "degenerate_cell": "no cell has the angles 60, 60, 120",
    "dummy_species": "unknown species 'X'",
    "hydrogen_not_located": "the sites give Ca O2, the file states Ca H2 O2: hydrogen is missing",
    "labels_in_capitals": "label 'NA1' may mean Na or N",
    "magnetic": "a magnetic structure",
    "mixed_site": "disordered: a site holds Na 0.5, K 0.5",
    "no_atoms": "no positions of atoms in 1 data block",
    "not_a_number": "not finite",
    "operations_missing": "do not form a group",
    "partial_occupancy": "disordered: a site holds Na 0.9 beside vacancies",
    "several_blocks": "2 data blocks with atoms: halite, sylvite",
    "symmetry_left_out": "8 atoms, more than the sites and the symmetry give",
    "two_origins_open": "two origins",
    "unknown_position": r"_atom_site_fract_y is '\?'",
}


def awkward(name: str) -> str:
    return decode((AWKWARD / f"{name}.cif").read_bytes())


def test_every_awkward_file_is_accounted_for() -> None:
    accounted = {*AS_PYMATGEN, *AS_ANOTHER_FILE, *REFUSED, "origin_named"}
    assert {path.stem for path in AWKWARD.glob("*.cif")} == accounted


@pytest.mark.parametrize("name", AS_PYMATGEN)
def test_an_awkward_cif_is_read_as_pymatgen_reads_it(name: str) -> None:
    assert difference(parse_cif(awkward(name)), read_with_pymatgen(awkward(name))) == ""


@pytest.mark.parametrize(("name", "plain"), AS_ANOTHER_FILE.items())
def test_an_awkward_cif_is_the_crystal_of_a_plain_one(name: str, plain: str) -> None:
    crystal, expected = parse_cif(awkward(name)), parse_cif(awkward(plain))
    if name == "thirds_of_three_digits":
        assert (crystal.composition, len(crystal.numbers)) == (expected.composition, len(expected.numbers))
    else:
        assert difference(crystal, expected) == ""


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_an_awkward_cif_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_cif(awkward(name))


def test_each_block_with_atoms_is_a_crystal() -> None:
    (first, halite), (second, sylvite) = read_cif(awkward("several_blocks"))
    assert (first, second) == ("halite", "sylvite")
    assert isinstance(halite, Crystal)
    assert isinstance(sylvite, Crystal)
    assert (halite.composition.reduced_formula, sylvite.composition.reduced_formula) == ("NaCl", "KCl")


def test_a_broken_block_leaves_the_others() -> None:
    text = awkward("several_blocks").replace("K1 K 0 0 0", "K1 K 0 ? 0")
    (_, halite), (name, broken) = read_cif(text)
    assert isinstance(halite, Crystal)
    assert name == "sylvite"
    assert isinstance(broken, StructureError)


def test_deuterium_is_hydrogen_and_charges_are_dropped() -> None:
    assert parse_cif(awkward("deuterium")).composition.reduced_formula == "LiH"
    assert parse_cif(awkward("charges")).composition.reduced_formula == "Fe3O4"


def test_diamond_has_eight_atoms_whichever_way_its_origin_is_told() -> None:
    assert len(parse_cif(awkward("origin_named")).numbers) == 8
    assert len(parse_cif(awkward("two_origins_settled")).numbers) == 8


def test_positions_are_those_of_the_whole_cell_within_it() -> None:
    crystal = parse_cif(awkward("uncertainties"))
    assert len(crystal.numbers) == 9
    assert ((crystal.positions >= 0.0) & (crystal.positions < 1.0)).all()


def test_atoms_on_top_of_each_other_are_left_to_the_check_in_bulk() -> None:
    assert len(find_overlaps(CrystalColumns.of([parse_cif(awkward("atoms_on_top"))]))) == 1


def test_real_crystals_agree_with_pymatgen(development_data: Callable[[str], Path]) -> None:
    texts = pq.read_table(development_data("mp_structures.parquet"), columns=["cif"])["cif"].to_pylist()[::80]
    assert len(texts) > 250
    assert [difference(parse_cif(text), read_with_pymatgen(text)) for text in texts] == [""] * len(texts)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:spglib", "ignore::DeprecationWarning:pymatgen")
def test_symmetrised_real_crystals_agree_with_pymatgen(development_data: Callable[[str], Path]) -> None:
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.cif import CifWriter

    texts = pq.read_table(development_data("mp_structures.parquet"), columns=["cif"])["cif"].to_pylist()[5::700]
    groups = set()
    for text in texts:
        plain = parse_cif(text)
        structure = Structure(Lattice(plain.lattice), plain.numbers.tolist(), plain.positions)
        symmetrised = str(CifWriter(structure, symprec=1e-3))
        groups.add(symmetrised.partition("_symmetry_Int_Tables_number")[2].split()[0])
        assert difference(parse_cif(symmetrised), read_with_pymatgen(symmetrised)) == ""
    assert len(groups) > 10


crystals = st.builds(
    lambda numbers, lengths, angles, seed: (
        numbers,
        lengths,
        angles,
        np.random.default_rng(seed).uniform(0.0, 1.0, (len(numbers), 3)),
    ),
    st.lists(st.integers(1, 103), min_size=1, max_size=8),
    st.tuples(*[st.floats(2.0, 30.0)] * 3),
    st.tuples(*[st.floats(70.0, 110.0)] * 3),
    st.integers(0, 10_000),
)


@settings(max_examples=60, deadline=None)
@given(crystals)
def test_what_gemmi_writes_comes_back(
    made: tuple[list[int], tuple[float, float, float], tuple[float, float, float], np.ndarray],
) -> None:
    import gemmi
    from pymatgen.core import Lattice, Structure

    numbers, lengths, angles, positions = made
    assume(Structure(Lattice.from_parameters(*lengths, *angles), numbers, positions).is_valid())  # one site is one atom
    small = gemmi.SmallStructure()
    small.name = "made"
    small.cell = gemmi.UnitCell(*lengths, *angles)
    for place, (number, position) in enumerate(zip(numbers, positions, strict=True)):
        site = gemmi.SmallStructure.Site()
        site.label = f"{SYMBOLS[number - 1]}{place}"
        site.type_symbol = SYMBOLS[number - 1]
        site.fract = gemmi.Fractional(*position)
        site.occ = 1.0
        small.add_site(site)
    crystal = parse_cif(small.make_cif_block().as_string())
    assert crystal.numbers.tolist() == numbers
    assert np.abs(crystal.positions - positions).max() < 1e-4
    assert crystal.volume == pytest.approx(small.cell.volume, rel=1e-4)


def one_site(symmetry: str, sites: str = "Na1 Na 0.1 0.2 0.3\n") -> str:
    cell = "".join(
        f"_cell_length_{axis} 10\n_cell_angle_{angle} 90\n" for axis, angle in zip("abc", ANGLES, strict=True)
    )
    columns = "".join(f"_atom_site_{name}\n" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))
    return f"data_x\n{cell}{symmetry}loop_\n{columns}{sites}"


ANGLES = ("alpha", "beta", "gamma")


def test_a_million_atoms_are_refused_without_making_them() -> None:
    with pytest.raises(StructureError, match=r"100,000 atoms, more than 10,000"):
        parse_cif(one_site("", "Na1 Na 0.1 0.2 0.3\n" * 100_000))
    many = "".join(f"Na{n} Na {n / 6000:.6f} {n * 7 % 6000 / 6000:.6f} 0.3\n" for n in range(6000))
    with pytest.raises(StructureError, match="more than 10,000 atoms after 192 symmetry operations on 6,000 sites"):
        parse_cif(one_site("_symmetry_space_group_name_H-M 'F m -3 m'\n", many))
    with pytest.raises(StructureError, match="MB of text"):
        parse_cif(one_site("", "Na1 Na 0.1 0.2 0.3\n" * 2_000_000))
    operations = "".join(f"x,y,z+{n}/24\n" for n in range(5000))
    with pytest.raises(StructureError, match="5,000 symmetry operations"):
        parse_cif(one_site(f"loop_\n_symmetry_equiv_pos_as_xyz\n{operations}"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a CIF"),
        ("hello", "not a CIF"),
        ("data_x\n_cell_length_a 4\n_cell_length_a 5\n" + "loop_\n_atom_site_fract_x\n0\n", "there twice"),
        (one_site("").replace("_cell_length_b 10\n", ""), "no _cell_length_b"),
        (one_site("_symmetry_space_group_name_H-M 'P nonsense'\n"), "unknown space group"),
        (one_site("_space_group_IT_number 231\n"), "unknown space group number"),
        (one_site("_symmetry_equiv_pos_as_xyz 'x,y'\n"), "cannot read symmetry operation"),
        (one_site("", "Na1 Na 1e999 0 0\n"), "not finite"),
        (one_site("_cell_modulation_dimension 1\n"), "modulated"),
        (awkward("name_only").replace("_cell_length_a 5.6402", "_cell_length_a inf"), "not finite"),
        (awkward("name_only").replace("0.5 0.5 0.5", "0.5 nan 0.5"), "not finite"),
        (awkward("number_only").replace("136", "9" * 5000), "unknown space group number"),
        ("data_x\n" * 100_000, "100,000 data blocks"),
        ("data_x\n_chemical_formula_sum '" + "C11" * 300 + "!'\n", "no positions of atoms"),
        ("\n" * 1_000_000 + "data_x\n_a 'b\n", "not a CIF"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_cif(text)
