"""Labels: what a network has learned when it has learned something of another name."""

import pytest

from matlake.encoders.label_kinds import label_kind, same_property


@pytest.mark.parametrize(
    "column",
    [
        "total_energy_eV_per_atom",
        "formation_energy_eV_per_atom",
        "formation_energy_PBE_meV_per_atom",
        "formation_energy_peratom",
        "energy_above_hull_eV_per_atom",
        "e_above_hull_eV_per_atom",
        "ehull",
        "formation enthalpy (kJ/mol)",
        "Formation Energy [eV/atom]",
        "optb88vdw_total_energy",
        "decomposition_enthalpy_eV_per_atom",
    ],
)
def test_energies_that_the_composition_relates_are_one_label(column: str) -> None:
    assert label_kind(column) == label_kind("energy_eV_per_atom")


@pytest.mark.parametrize(
    "column",
    [
        "surface_energy_J_per_m2",
        "exfoliation_energy_meV_per_atom",
        "vacancy_formation_energy_eV",
        "fermi_energy_eV",
        "energy_gap_eV",
        "volume_A3_per_atom",
        "band_gap_eV",
    ],
)
def test_other_energies_are_labels_of_their_own(column: str) -> None:
    assert label_kind(column) != label_kind("energy_eV_per_atom")
    assert label_kind(column) != label_kind("band_gap_eV") or column == "band_gap_eV"


def test_derivatives_are_other_labels() -> None:
    kinds = {label_kind(name) for name in ("stress_GPa", "bulk_modulus_VRH_GPa", "elastic_modulus_GPa")}
    assert len(kinds) == 3
    assert label_kind("forces_eV_per_A") != label_kind("last_phdos_peak_cm-1")


def test_units_and_capitals_do_not_matter() -> None:
    assert label_kind("Band_Gap_eV") == label_kind("band_gap_meV")
    assert label_kind("magmoms_muB") == label_kind("total_magnetization_muB_per_fu")


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("formation_energy_eV_per_atom", "expt_formation_enthalpy_eV_per_atom"),
        ("formation_energy_eV_per_atom", "Heat of formation [eV/atom]"),
        ("band_gap_eV", "measured_bandgap_eV"),
        ("band_gap_eV", "mbj_gap_eV"),
        ("volume_A3_per_atom", "volume_A3_per_atom"),
    ],
)
def test_one_property_has_many_names(column: str, other: str) -> None:
    assert same_property(column, other)


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("formation_energy_eV_per_atom", "total_energy_eV_per_atom"),
        ("formation_energy_eV_per_atom", "energy_above_hull_eV_per_atom"),
        ("formation_energy_eV_per_atom", "formation_energy_meV_per_atom"),
        ("formation_energy_eV_per_atom", "formation_enthalpy_kJ_per_mol"),
        ("formation_energy_eV_per_atom", "vacancy_formation_energy_eV"),
        ("energy_eV_per_atom", "formation_energy_eV_per_atom"),
        ("band_gap_eV", "direct_gap_eV"),
        ("band_gap_eV", "band_gap"),
        ("bandgap", "band_gap"),
    ],
)
def test_another_quantity_or_unit_is_another_property(column: str, other: str) -> None:
    assert not same_property(column, other)
