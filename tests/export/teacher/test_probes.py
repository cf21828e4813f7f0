"""Strained and displaced copies: energies of known stiffness give it back, whatever forces and stresses there are."""

import numpy as np
import pytest

from matlake.export.teacher.probes import Probes, make_probes, stiffness
from matlake.export.teacher.springs import fastest_modes
from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.geometry.elements import MASSES_U

GPA = 160.2176634
LATTICE = np.array([[4.0, 0.3, 0.0], [0.0, 4.4, 0.5], [0.2, 0.0, 5.0]])
SALT = make_crystal([11, 17], LATTICE, [[0.01, 0.0, 0.02], [0.5, 0.49, 0.5]])


def strain_of(crystal: Crystal) -> np.ndarray:
    return np.linalg.inv(LATTICE) @ crystal.lattice - np.eye(3)


def test_moduli_of_an_isotropic_solid_under_stress_are_found() -> None:
    lame, shear = 40.0 / GPA, 25.0 / GPA
    stress = np.array([[0.05, 0.01, 0.0], [0.01, -0.02, 0.03], [0.0, 0.03, 0.04]])
    probes = make_probes(SALT)
    energies = []
    for copy in probes.copies:
        e = strain_of(copy)
        elastic = lame / 2 * np.trace(e) ** 2 + shear * (e * e).sum() + (stress * e).sum()
        energies.append(-7.0 + SALT.volume * elastic)
    found = stiffness(probes, np.array(energies))
    assert found.bulk_modulus == pytest.approx(40.0 + 25.0 * 2 / 3, rel=1e-6)
    assert found.shear_modulus == pytest.approx(25.0, rel=1e-6)


def test_the_shear_modulus_of_an_anisotropic_solid_is_voigt_s_average() -> None:
    a = np.random.default_rng(0).normal(size=(6, 6))
    stiff = a @ a.T + 6 * np.eye(6)  # in GPa, Voigt's order, engineering shears
    probes = make_probes(SALT)
    energies = []
    for copy in probes.copies:
        e = strain_of(copy)
        voigt = np.array([e[0, 0], e[1, 1], e[2, 2], 2 * e[1, 2], 2 * e[0, 2], 2 * e[0, 1]])
        energies.append(SALT.volume / 2 * voigt @ stiff @ voigt / GPA)
    found = stiffness(probes, np.array(energies))
    across = stiff[0, 1] + stiff[0, 2] + stiff[1, 2]
    assert found.bulk_modulus == pytest.approx((np.trace(stiff[:3, :3]) + 2 * across) / 9, rel=1e-6)
    voigt_average = (np.trace(stiff[:3, :3]) - across + 3 * np.trace(stiff[3:, 3:])) / 15
    assert found.shear_modulus == pytest.approx(voigt_average, rel=1e-6)


def test_the_frequency_of_a_spring_between_two_atoms_is_that_of_its_reduced_mass() -> None:
    constant = 3.0  # eV/Å², in every direction
    probes = make_probes(SALT)
    start = SALT.positions @ LATTICE
    energies = np.zeros(len(probes.copies))
    for place, copy in enumerate(probes.copies[9:], start=9):
        moved = copy.positions @ copy.lattice - start
        stretch = moved[1] - moved[0]
        energies[place] = constant / 2 * stretch @ stretch + 0.2 * stretch[0]
    sodium, chlorine = MASSES_U[10], MASSES_U[16]
    joule, kilogram, centimetres_a_second = 1.602176634e-19, 1.66053906660e-27, 2.99792458e10
    angular = np.sqrt(constant * joule * 1e20 / (sodium * chlorine / (sodium + chlorine) * kilogram))
    found = stiffness(probes, energies)
    assert found.frequency == pytest.approx(angular / (2 * np.pi * centimetres_a_second), rel=1e-5)
    assert stiffness(probes, -energies).frequency == pytest.approx(-found.frequency, rel=1e-2)


def test_trial_modes_move_atoms_against_each_other_and_light_atoms_most() -> None:
    water = make_crystal([8, 1, 1], 6.0 * np.eye(3), [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cartesian=True)
    masses = np.array([MASSES_U[z - 1] for z in water.numbers])
    modes = fastest_modes(water, 2)
    assert modes.shape == (2, 3, 3)
    for mode in modes:
        assert np.abs(masses @ mode).max() < 1e-9
        assert masses @ (mode**2).sum(axis=1) == pytest.approx(1.0)
        lengths = np.linalg.norm(mode, axis=1)
        assert lengths[0] < lengths[1:].max() / 4
    assert len(fastest_modes(water, 99)) == 6


def test_a_cell_of_one_atom_has_no_such_vibration() -> None:
    probes = make_probes(make_crystal([29], 2.55 / np.sqrt(2) * (1 - np.eye(3)), [[0, 0, 0]]))
    assert isinstance(probes, Probes)
    assert len(probes.copies) == 9
    assert np.isnan(stiffness(probes, np.zeros(9)).frequency)
