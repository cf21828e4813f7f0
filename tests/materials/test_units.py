"""Units in column names: those that are stated, and letters that are not units."""

import pytest

from matlake.materials.units import quantity_of, unit_of, unit_suffix

STATED = {
    "formation_energy_eV_per_atom": "eV/atom",
    "energy_above_hull_eV_per_atom": "eV/atom",
    "exfoliation_energy_meV_per_atom": "meV/atom",
    "volume_A3_per_atom": "Å³/atom",
    "volume_A3": "Å³",
    "band_gap_eV": "eV",
    "gap_ev": "eV",
    "bulk_modulus_VRH_GPa": "GPa",
    "shear_modulus_gpa": "GPa",
    "yield_strength_MPa": "MPa",
    "piezoelectric_eij_max_C_per_m2": "C/m²",
    "last_phdos_peak_per_cm": "1/cm",
    "melting_point_K": "K",
    "Tc_K": "K",
    "T_K": "K",
    "tc_K": "K",
    "debye_temperature_K": "K",
    "critical_temperature_K": "K",
    "theta_K": "K",
    "boiling_point_C": "°C",
    "sintering_temperature_C": "°C",
    "temperature_degC": "°C",
    "lattice_a_A": "Å",
    "bond_length_A": "Å",
    "a_A": "Å",
    "cutoff_A": "Å",
    "nearest_distance_angstrom": "Å",
    "surface_area_A2": "Å²",
    "average_voltage_V": "V",
    "electrode_potential_V": "V",
    "force_N": "N",
    "lifetime_s": "s",
    "lifetime_ns": "ns",
    "mass_g": "g",
    "current_A": "A",
    "current_density_A_per_cm2": "A/cm²",
    "S_uV_per_K": "µV/K",
    "seebeck_uV_per_K": "µV/K",
    "kappa_W_per_mK": "W/(m·K)",
    "kappa_W_per_m_K": "W/(m·K)",
    "heat_capacity_J_per_mol_K": "J/(mol·K)",
    "capacity_mAh_per_g": "mAh/g",
    "density_g_per_cm3": "g/cm³",
    "molar_mass_g_per_mol": "g/mol",
    "formation_enthalpy_kJ_per_mol": "kJ/mol",
    "surface_energy_J_per_m2": "J/m²",
    "mobility_cm2_per_V_s": "cm²/(V·s)",
    "mobility_cm2_per_Vs": "cm²/(V·s)",
    "conductivity_S_per_cm": "S/cm",
    "resistivity_ohm_cm": "Ω·cm",
    "stress_eV_per_A3": "eV/Å³",
    "max_force_eV_per_A": "eV/Å",
    "pseudo_energy_eV_per_cell": "eV/cell",
    "magnetization_muB": "μB",
    "magnetization_mu_B_per_atom": "μB/atom",
    "efficiency_percent": "%",
    "phonon_frequency_THz": "THz",
    "thickness_nm": "nm",
    "expansion_per_K": "1/K",
    "pressure_Pa": "Pa",
    "d33_pC_per_N": "pC/N",
    "E [eV]": "eV",
    "E (eV)": "eV",
    "E / eV": "eV",
    "E/eV": "eV",
    "E, eV": "eV",
    "Band gap (eV)": "eV",
    "Band gap eV": "eV",
    "Formation energy [eV/atom]": "eV/atom",
    "Formation energy (eV per atom)": "eV/atom",
    "Peak (cm^-1)": "1/cm",
    "Peak [1/cm]": "1/cm",
    "Peak, cm-1": "1/cm",
    "Density (g/cm^3)": "g/cm³",
    "Density (g/cm³)": "g/cm³",
    "kappa (W/mK)": "W/(m·K)",
    "kappa [W m^-1 K^-1]": "W/(m·K)",
    "kappa (W/(m K))": "W/(m·K)",
    "Lattice a (Å)": "Å",
    "Temperature (K)": "K",
    "T [°C]": "°C",
    "Volume (Å³)": "Å³",
    "S (µV/K)": "µV/K",
    "Efficiency (%)": "%",
}

NOT_STATED = (
    *("class_A", "site_A", "phase_A", "rank_K", "bulk_modulus_K", "element_N", "fraction_K", "frac_V", "x_S", "n_N"),
    *("group_V", "type_C", "elastic_C", "heat_capacity_C", "entropy_S", "exchange_coupling_J", "site (A)"),
    *(
        "phase [B]",
        "bulk modulus (K)",
        "radius_A",
        "x_Pa",
        "x_bar",
        "c/a",
        "S/N",
        "energy_per_atom",
        "lacks_N",
        "gap_V",
    ),
    *(
        "atoms_per_cell",
        "space_group_number",
        "refractive_index",
        "poisson_ratio",
        "dielectric_total",
        "deltae",
        "slme",
    ),
    *("magmom_oszicar", "etc11", "year", "formula", "material_id", "split", "tolerance_factor_t", "count_m", "mean_s"),
    *("is_metal", "A", "K", "label_g", "rows_per_s", "cluster_T", "spin_S", "heat_ref", "dir_gap", "gap (note)", ""),
    *("point_group (C)", "composition (A)", "E, corrected", "energy/atom", "class_A_per_row", "Type_K", "sample_C"),
)


@pytest.mark.parametrize("column", STATED)
def test_stated_units_are_read(column: str) -> None:
    assert unit_of(column) == STATED[column]


@pytest.mark.parametrize("column", NOT_STATED)
def test_letters_that_may_be_labels_are_not_units(column: str) -> None:
    assert (unit_of(column), unit_suffix(column)) == ("", "")
    assert quantity_of(column) == column.replace("_", " ")


@pytest.mark.parametrize(
    ("column", "quantity", "suffix"),
    [
        ("formation_energy_eV_per_atom", "formation energy", "eV_per_atom"),
        ("last_phdos_peak_per_cm", "last phdos peak", "per_cm"),
        ("S_uV_per_K", "S", "uV_per_K"),
        ("Band gap (eV)", "Band gap", "eV"),
        ("E / eV", "E", "eV"),
        ("class_A", "class A", ""),
    ],
)
def test_what_a_column_holds_is_named_without_its_unit(column: str, quantity: str, suffix: str) -> None:
    assert (quantity_of(column), unit_suffix(column)) == (quantity, suffix)


@pytest.mark.parametrize(("column", "unit"), [("density_g_cm3", "g/cm³"), ("rho_kg_m3", "kg/m³"), ("V_cm3", "cm³")])
def test_a_density_may_leave_out_its_per(column: str, unit: str) -> None:
    assert unit_of(column) == unit
