"""What a CIF states is held against what was read; what has two readings is settled by it, or refused."""

from pathlib import Path

import pytest
from samples import SHARED

from matlake.errors import StructureError
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files.cif import parse_cif
from matlake.materials.structure_files.cif_formula import read_formula
from matlake.materials.structure_files.group_names import settings_of_name
from matlake.materials.structure_files.species import number_of_type_symbol, read_label

CASES = SHARED.parent / "cases" / "reading"

RIGHT = {
    "centring_missing_from_operations": ("CdI2", 12),
    "dummy_site": ("NaCl", 2),
    "identity_missing": ("LiO", 8),
    "identity_only": ("NaCl", 8),
    "label_ca_is_carbon": ("H2C2O", 5),
    "label_ho_is_hydrogen": ("MgH2O2", 5),
    "rhombohedral_by_number": ("Bi2Te3", 5),
}
REFUSED = {
    "attached_hydrogens": "states 4 hydrogen atoms that are not listed",
    "hydrogen_partly_located": "the sites give C H2 O, the file states C H4 O: 2 of 4 hydrogen",
    "stated_formula_in_brackets": r"the sites give Mg O2, the file states Mg \(O2 H2\): hydrogen is missing",
    "stated_formula_plain": "the sites give Mg O2, the file states H2 Mg O2: hydrogen is missing",
}


def case(name: str) -> str:
    path: Path = CASES / f"{name}.cif"
    if not path.exists():
        pytest.skip(f"needs the cases at {CASES}")
    return path.read_text()


@pytest.mark.parametrize("name", RIGHT)
def test_a_case_that_was_misread_is_read(name: str) -> None:
    crystal = parse_cif(case(name))
    assert (crystal.composition.reduced_formula, len(crystal.numbers)) == RIGHT[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_that_was_misread_is_refused(name: str) -> None:
    with pytest.raises(StructureError, match=REFUSED[name]):
        parse_cif(case(name))


SITES = {
    "halite": "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5",
    "brucite": "Mg1 Mg 0 0 0\nO1 O 0.3333 0.6667 0.22\nH1 H 0.3333 0.6667 0.43",
}
CUBE = (5.6402, 5.6402, 5.6402, 90, 90, 90)
BRUCITE = (3.14, 3.14, 4.77, 90, 90, 120)


def cif(
    *statements: str,
    sites: str = SITES["halite"],
    cell: tuple[float, ...] = CUBE,
    columns: str = "label type_symbol fract_x fract_y fract_z",
) -> str:
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", *[f"_cell_{tag} {value}" for tag, value in zip(tags, cell, strict=True)], *statements, "loop_"]
    return "\n".join([*lines, *[f"_atom_site_{column}" for column in columns.split()], sites]) + "\n"


def brucite(*statements: str, lost: str = "") -> str:
    sites = SITES["brucite"].replace(f"\n{lost}", "") if lost else SITES["brucite"]
    return cif("_symmetry_space_group_name_H-M 'P -3 m 1'", *statements, sites=sites, cell=BRUCITE)


def atoms(text: str) -> int:
    return len(parse_cif(text).numbers)


FM3M = "_symmetry_space_group_name_H-M 'F m -3 m'"
WITHOUT_H = "H1 H 0.3333 0.6667 0.43"


@pytest.mark.parametrize(
    "formula",
    [
        "'Mg (O H)2'",
        "Mg(OH)2",
        "'Mg, 2(O H)'",
        "'Mg 2+, 2(O H 1-)'",
        "'Mg2 O4 H4'",
        "[Mg(OH)2]",
        "MgO2D2",
        "'H~2~ Mg O~2~'",
        "'MG O2 H2'",
        "'Mg0.2 O0.4 H0.4'",
        "\n;\nMg (O H)2\n;\n",
    ],
)
def test_a_formula_is_held_against_the_sites_however_it_is_written(formula: str) -> None:
    statement = f"_chemical_formula_sum {formula}"
    assert atoms(brucite(statement)) == 5
    with pytest.raises(StructureError, match="hydrogen"):
        parse_cif(brucite(statement, lost=WITHOUT_H))


@pytest.mark.parametrize("tag", ["_chemical_formula_structural", "_chemical_formula_moiety", "_chemical_formula_iupac"])
def test_other_formulas_count_where_the_sum_is_not_given_or_lacks_an_element(tag: str) -> None:
    assert atoms(brucite(f"{tag} 'Mg (O H)2'")) == 5
    for others in ((), ("_chemical_formula_sum 'Mg O2'",)):
        with pytest.raises(StructureError, match="hydrogen is missing"):
            parse_cif(brucite(f"{tag} 'Mg (O H)2'", *others, lost=WITHOUT_H))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("_chemical_formula_sum 'Mg O2'", "hydrogen is not in the formula"),
        ("_chemical_formula_sum 'Ca O2 H2'", "Ca is missing"),
        ("_chemical_formula_sum 'Mg O2 H4'", "2 of 4 hydrogen"),
        ("_chemical_formula_sum 'Mg O2 H2-x Cl'", "Cl is missing"),
        ("_chemical_formula_sum 'Mg O2 H2 [+solvent]'", "states solvent"),
        ("_exptl_crystal_density_diffrn 4.74", "2.38 g/cm³, the file states 4.74"),
        ("_cell_volume 81.4", "give 40.729 Å³, the file states 81.4"),
    ],
)
def test_what_is_stated_and_not_so_is_named_with_numbers(statement: str, reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        parse_cif(brucite(statement))


def test_the_formula_of_the_cell_may_stand_beside_z() -> None:
    stated = ("_chemical_formula_sum 'Na4 Cl4'", "_chemical_formula_structural NaCl", "_cell_formula_units_Z 4")
    assert atoms(cif(FM3M, *stated)) == 8


def test_z_that_shows_missing_atoms_is_refused_and_density_outweighs_z() -> None:
    stated = (FM3M, "_chemical_formula_sum 'Na Cl'")
    assert atoms(cif(*stated, "_cell_formula_units_Z 4")) == 8
    with pytest.raises(StructureError, match="the cell holds 8 atoms, the file states Z 8 of Na Cl: 16 atoms"):
        parse_cif(cif(*stated, "_cell_formula_units_Z 8"))
    assert atoms(cif(*stated, "_cell_formula_units_Z 1", "_exptl_crystal_density_diffrn 2.163")) == 8
    with pytest.raises(StructureError, match=r"2\.16 g/cm³, the file states 0\.54"):
        parse_cif(cif(*stated, "_cell_formula_units_Z 1", "_exptl_crystal_density_diffrn 0.54"))


def test_a_density_is_that_of_deuterium_only_where_the_file_has_some() -> None:
    heavy = "_exptl_crystal_density_diffrn 2.46"
    with pytest.raises(StructureError, match=r"2\.38 g/cm³, the file states 2\.46"):
        parse_cif(brucite(heavy))
    assert atoms(brucite(heavy).replace("H1 H ", "D1 D ")) == 5


def test_an_abbreviation_in_a_formula_is_no_element() -> None:
    stated = ("_chemical_formula_sum 'C2 Cu'", "_chemical_formula_structural Cu(Ac)2")
    sites = "Cu1 Cu 0 0 0\nC1 C .5 .5 .5\nC2 C .5 0 .5"
    assert atoms(cif(*stated, sites=sites)) == 3


def test_numbers_of_atoms_in_the_cell_count_where_no_formula_is_stated() -> None:
    stated = "loop_\n_atom_type_symbol\n_atom_type_number_in_cell\nMg2+ 1\nO2- 2\nH 2"
    assert atoms(brucite(stated)) == 5
    with pytest.raises(StructureError, match="the file states Mg1 O2 H2 in the cell: hydrogen is missing"):
        parse_cif(brucite(stated, lost=WITHOUT_H))
    with pytest.raises(StructureError, match="the cell holds 5 atoms"):
        parse_cif(brucite(stated.replace("2\n", "4\n").replace("H 2", "H 4").replace("+ 1", "+ 2")))


def test_multiplicities_count_where_nothing_else_does() -> None:
    columns = "label type_symbol symmetry_multiplicity fract_x fract_y fract_z"
    sites = "Na1 Na 4 0 0 0\nCl1 Cl 4 0.5 0.5 0.5"
    assert atoms(cif(FM3M, sites=sites, columns=columns)) == 8
    assert (
        atoms(cif(FM3M, sites=sites.replace(" 4 ", " 48 "), columns=columns)) == 8
    )  # the order of the site's symmetry
    with pytest.raises(StructureError, match="holds 2 atoms, the multiplicities of the sites add up to 8"):
        parse_cif(cif("_symmetry_equiv_pos_as_xyz x,y,z", sites=sites, columns=columns))


def test_operations_of_another_group_than_the_one_named_need_something_that_settles_it() -> None:
    contradiction = (FM3M, "_symmetry_equiv_pos_as_xyz x,y,z")
    with pytest.raises(StructureError, match="is not the group of the 1 symmetry operations listed"):
        parse_cif(cif(*contradiction))
    for settles in ("_cell_formula_units_Z 4", "_exptl_crystal_density_diffrn 2.16"):
        assert atoms(cif(*contradiction, "_chemical_formula_sum 'Na Cl'", settles)) == 8


def test_a_number_beside_a_name_does_not_bring_in_other_settings() -> None:
    baddeleyite = cif(
        "_space_group_name_H-M_alt 'P 1 21/c 1'",
        "_space_group_IT_number 14",
        "_symmetry_equiv_pos_as_xyz x,y,z",
        "_chemical_formula_sum 'O2 Zr'",
        "_cell_formula_units_Z 4",
        sites="Zr1 Zr 0.2754 0.0395 0.2083\nO1 O 0.07 0.3317 0.3447\nO2 O 0.4496 0.7569 0.4792",
        cell=(5.145, 5.2075, 5.3107, 90, 99.23, 90),
    )
    assert atoms(baddeleyite) == 12
    with pytest.raises(StructureError, match="is not the group of the 1 symmetry operations listed"):
        parse_cif(baddeleyite.replace("_space_group_name_H-M_alt 'P 1 21/c 1'\n", ""))  # P 21/n would fit as well


@pytest.mark.parametrize("stated", ["P 1", "P -1", "P 2 3"])
def test_a_number_that_contradicts_the_name_is_refused_unless_z_settles_it(stated: str) -> None:
    both = (f"_symmetry_space_group_name_H-M '{stated}'", "_symmetry_Int_Tables_number 225")
    with pytest.raises(StructureError, match="are different space groups"):
        parse_cif(cif(*both))
    assert atoms(cif(*both, "_chemical_formula_sum 'Na Cl'", "_cell_formula_units_Z 4")) == 8


def test_a_name_that_the_tables_lack_still_tells_of_a_centred_cell() -> None:
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n-x,-y,z+1/2"
    sites = "Na1 Na 0.1 0.2 0.3\nCl1 Cl 0.6 0.3 0.3"
    named = ("_symmetry_space_group_name_H-M 'C 1 1 2x'", listed)
    assert atoms(cif(*named, "_chemical_formula_sum 'Na Cl'", "_cell_formula_units_Z 4", sites=sites)) == 8
    with pytest.raises(StructureError, match="is not the group"):
        parse_cif(cif(*named, sites=sites))


def test_readings_of_a_file_with_very_many_sites_are_not_all_tried() -> None:
    sites = "\n".join(f"CO{n} {n / 9000} 0 0\nCA{n} 0 {n / 9000} 0" for n in range(1, 4001))
    stated = ("_chemical_formula_sum 'C Co Ca'", "_symmetry_space_group_name_H-M 'P n n n'")
    with pytest.raises(StructureError, match="labels CO, CA have two readings"):
        parse_cif(cif(*stated, sites=sites, columns="label fract_x fract_y fract_z"))


def test_symmetry_that_is_hinted_at_and_not_given_is_not_taken_for_none() -> None:
    with pytest.raises(StructureError, match="cannot read Hall symbol 'F x'"):
        parse_cif(cif("_space_group_name_Hall 'F x'"))
    with pytest.raises(StructureError, match="the crystal system is cubic"):
        parse_cif(cif("_symmetry_cell_setting cubic"))
    assert atoms(cif("_symmetry_cell_setting cubic", "_chemical_formula_sum NaCl", "_cell_formula_units_Z 1")) == 2
    with pytest.raises(StructureError, match="the space group is F m -3 m, and neither"):
        parse_cif(cif("_space_group_name_H-M_ref 'F m -3 m'"))
    assert atoms(cif("_space_group_name_Schoenflies C1^1^")) == 2
    assert atoms(cif("_symmetry_cell_setting triclinic")) == 2
    lists = [f"loop_\n_{tag}\nx,y,z" for tag in ("space_group_symop_operation_xyz", "symmetry_equiv_pos_as_xyz")]
    assert atoms(cif(*lists)) == 2
    with pytest.raises(StructureError, match="two lists of symmetry operations that differ"):
        parse_cif(cif(*lists, "-x,-y,-z"))


def test_a_monoclinic_axis_is_that_of_the_cell() -> None:
    sites = "Na1 Na 0.1 0.2 0.3\nCl1 Cl 0.6 0.3 0.4"
    unique_c = (5.0, 6.0, 7.0, 90, 90, 105)
    for symmetry in ("_symmetry_space_group_name_H-M 'P 2/m'", "_symmetry_Int_Tables_number 10"):
        assert atoms(cif(symmetry, sites=sites, cell=unique_c)) == 8
        assert atoms(cif(symmetry, sites=sites, cell=(5.0, 6.0, 7.0, 90, 105, 90))) == 8
    with pytest.raises(StructureError, match="two settings"):  # three choices of the cell have unique axis c
        parse_cif(cif("_symmetry_Int_Tables_number 14", sites=sites, cell=unique_c))


def test_a_site_is_no_dummy_no_alternative_and_has_a_place() -> None:
    columns = "label type_symbol fract_x fract_y fract_z"
    p1 = "_symmetry_space_group_name_H-M 'P 1'"
    dummies = cif(p1, sites="Na1 Na 0 0 0 d\nCl1 Cl .5 .5 .5 ?\nCg1 ? . ? 0.1 Dum", columns=f"{columns} calc_flag")
    assert atoms(dummies) == 2
    groups = cif(p1, sites="Na1 Na 0 0 0 1\nNa2 Na .2 0 0 2\nCl1 Cl .5 .5 .5 .", columns=f"{columns} disorder_group")
    with pytest.raises(StructureError, match="sites of groups 1, 2 exclude each other"):
        parse_cif(groups)
    assert atoms(groups.replace(" 2\n", " 1\n")) == 3  # one alternative only
    with pytest.raises(StructureError, match="exclude each other"):
        parse_cif(groups.replace(" 2\n", " -1\n"))
    for nowhere in (". . .", "? ? ?"):
        with pytest.raises(StructureError, match="Cl1 has no position"):
            parse_cif(cif(p1, sites=f"Na1 Na 0 0 0\nCl1 Cl {nowhere}"))
    for occupancy in ("1.2", "-0.5"):
        with pytest.raises(StructureError, match=f"occupancy {occupancy}, not between 0 and 1"):
            parse_cif(cif(p1, sites=f"Na1 Na 0 0 0 {occupancy}", columns=f"{columns} occupancy"))


def test_attached_hydrogens_may_be_those_that_are_listed() -> None:
    columns = "label type_symbol fract_x fract_y fract_z attached_hydrogens"
    sites = "O1 O 0 0 0 1\nH1 H 0.17 0 0 0\nNa1 Na .5 .5 .5 0"
    assert atoms(cif("_chemical_formula_sum 'Na O H'", sites=sites, columns=columns)) == 3
    with pytest.raises(StructureError, match="1 hydrogen atoms that are not listed"):
        parse_cif(cif(sites=sites, columns=columns))


def test_water_by_its_label_needs_hydrogen_or_a_formula() -> None:
    sites = "Na1 Na 0 0 0\nOW1 O .5 .5 .5"
    with pytest.raises(StructureError, match="site OW1 is named after water"):
        parse_cif(cif(sites=sites))
    assert atoms(cif("_chemical_formula_sum 'Na O'", sites=sites)) == 2


def test_cartesian_positions_in_an_oblique_cell_need_their_axes() -> None:
    columns = "label type_symbol Cartn_x Cartn_y Cartn_z"
    sites = "Na1 Na 0 0 0\nCl1 Cl 2 2 2"
    assert atoms(cif(sites=sites, columns=columns)) == 2
    with pytest.raises(StructureError, match="axes that are not given"):
        parse_cif(cif(sites=sites, columns=columns, cell=BRUCITE))
    matrix = [f"_atom_sites_Cartn_tran_matrix_{r}{c} {5.6402 * (r == c)}" for r in (1, 2, 3) for c in (1, 2, 3)]
    assert parse_cif(cif(*matrix, sites=sites, columns=columns)).positions[1] == pytest.approx([2 / 5.6402] * 3)


@pytest.mark.parametrize(
    "tag",
    ["_atom_site_moment_label", "_space_group_magn.name_BNS", "_cell_wave_vector_seq_id", "_cell_subsystems_number"],
)
def test_magnetic_and_modulated_structures_are_refused(tag: str) -> None:
    with pytest.raises(StructureError, match=r"a (magnetic|modulated) structure"):
        parse_cif(cif(f"{tag} 1"))


def test_dotted_and_plain_tags_may_be_mixed() -> None:
    text = cif(FM3M).replace("_atom_site_", "_atom_site.")
    assert atoms(text) == 8
    assert atoms(text.replace("_symmetry_space_group_name", "_symmetry.space_group_name")) == 8


def test_an_operation_has_x_y_and_z_and_no_other_letters() -> None:
    with pytest.raises(StructureError, match="cannot read symmetry operation 'h,k,l'"):
        parse_cif(cif("_symmetry_equiv_pos_as_xyz h,k,l"))


@pytest.mark.parametrize(
    ("label", "meanings", "certain"),
    [
        ("Ca2", "Ca C", True),
        ("CA2", "Ca C", False),
        ("HO1", "Ho H", False),
        ("CL1", "Cl C", False),
        ("LI1", "Li", True),
        ("MG1", "Mg", True),
        ("C1", "C", True),
        ("O1W", "O", True),
        ("CB1", "C", True),
        ("CG1", "C", False),
        ("D1", "H", True),
        ("T1", "H", False),
        ("OH1", "O", False),
        ("NO3", "N", False),
        ("Fe3+", "Fe F", True),
        ("O-2", "O", True),
        ("Cu1A", "Cu C", True),
        ("Fe/Mn", "Fe F", False),
        ("Fe0.5Mn0.5", "Fe F", False),
        ("ca1", "Ca C", False),
        ("Am1", "Am", True),
        ("Cm1", "Cm C", False),
    ],
)
def test_a_label_means_what_its_letters_can(label: str, meanings: str, certain: bool) -> None:
    reading = read_label(label)
    assert (" ".join(SYMBOLS[z - 1] for z in reading.numbers), reading.certain) == (meanings, certain)


@pytest.mark.parametrize("label", ["Wat1", "H2O1", "Vac1", "M1", "X1", "Du1", "Cent1", "Cnt1", "(Ca,Sr)1", "1", "A1"])
def test_a_label_of_no_atom_is_refused(label: str) -> None:
    with pytest.raises(StructureError, match="unknown species in site label"):
        read_label(label)


@pytest.mark.parametrize("symbol", ["Fe/Mn", "FeMn", "V4+,5+", "H2O", "OH", "CN", "NH", "HS", "Wat", "M", "?x"])
def test_a_type_symbol_of_no_element_is_refused(symbol: str) -> None:
    with pytest.raises(StructureError, match="unknown species"):
        number_of_type_symbol(symbol)


@pytest.mark.parametrize("symbol", ["Fe", "FE", "fe", "Fe3+", "Fe+3", "Fe2.5+", "Fe(3+)", "Fe1"])
def test_a_type_symbol_may_have_a_charge(symbol: str) -> None:
    assert number_of_type_symbol(symbol) == 26


def test_labels_that_the_formula_cannot_settle_are_refused() -> None:
    sites = "CO1 0 0 0\nO1 .5 .5 .5"
    columns = "label fract_x fract_y fract_z"
    assert parse_cif(cif("_chemical_formula_sum 'Co O'", sites=sites, columns=columns)).composition.elements == [
        "Co",
        "O",
    ]
    assert parse_cif(cif("_chemical_formula_sum 'C O'", sites=sites, columns=columns)).composition.elements == [
        "C",
        "O",
    ]
    with pytest.raises(StructureError, match="the sites give"):  # labels of equal letters are of one element
        parse_cif(cif("_chemical_formula_sum 'C Co'", sites="CO1 0 0 0\nCO2 .5 .5 .5", columns=columns))
    with pytest.raises(StructureError, match="labels CO, CO1A have two readings"):
        parse_cif(cif("_chemical_formula_sum 'C Co'", sites="CO1 0 0 0\nCO1A .5 .5 .4", columns=columns))
    as_types = "HO1 HO1 0 0 0\nO1 O1 .5 .5 .5"
    with pytest.raises(StructureError, match="label 'HO1' may mean Ho or H"):
        parse_cif(cif(sites=as_types))
    assert parse_cif(cif("_chemical_formula_sum 'H O'", sites=as_types)).composition.elements == ["H", "O"]
    types = "loop_\n_atom_type_symbol\nC\nO"
    assert parse_cif(cif(types, sites=sites, columns=columns)).composition.elements == ["C", "O"]


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("C2 H4 O", ["C2 H4 O1"]),
        ("Cu S O4, 5(H2 O)", ["Cu1 S1 O9 H10"]),
        ("Cu S O4 . 5H2O", ["Cu1 S1 O9 H10"]),
        ("CuSO4.5H2O", ["Cu1 S1 O5.5 H2", "Cu1 S1 O9 H10"]),
        ("(Cd 2+)3, (C6 N6 Cr 3-)2, 2(H2 O)", ["Cd3 C12 N12 Cr2 H4 O2"]),
        ("CO O2", ["C1 O3", "Co1 O2"]),
        ("Y Ba2 Cu3 O7-x", []),
        ("(Ca,Sr) Ti O3", []),
        ("(C2 H4)n", []),
        ("Na0 Cl", []),
        ("Fe3+ O", []),
        ("?", []),
        ("(" * 5000, []),
    ],
)
def test_a_formula_has_all_its_readings(text: str, readings: list[str]) -> None:
    found = [" ".join(f"{SYMBOLS[z - 1]}{amount.value:g}" for z, amount in one.items()) for one in read_formula(text)]
    assert sorted(found) == sorted(readings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("F d -3 m", "F d -3 m:1, F d -3 m:2"),
        ("Fd-3mZ", "F d -3 m:2"),
        ("F d 3 m S", "F d -3 m:1"),
        ("F d -3 m (origin choice 2)", "F d -3 m:2"),
        ("R -3 m", "R -3 m:H, R -3 m:R"),
        ("R-3mR", "R -3 m:R"),
        ("H -3 m", "R -3 m:H"),
        ("P 2(1)/c", "P 1 21/c 1"),
        ("P 2_1/c", "P 1 21/c 1"),
        ("P 21/n 21/m 21/a", "P n m a"),
        ("F 4/m -3 2/m", "F m -3 m"),
        ("R -3 2/c", "R -3 c:H, R -3 c:R"),
        ("C m c e", "C m c a"),
        ("F m -3 m (225)", "F m -3 m"),
        ("fm-3m", "F m -3 m"),
        ("P 3 2", ""),
        ("P nonsense", ""),
        ("", ""),
    ],
)
def test_a_name_of_a_space_group_means_these_settings(name: str, settings: str) -> None:
    tiers = settings_of_name(name)
    assert ", ".join(group.xhm() for group in (tiers[0] if tiers else ())) == settings
