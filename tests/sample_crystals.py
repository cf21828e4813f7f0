"""Crystals that several tests share: hand-made ones, real ones, and the same crystal described in another way."""

import itertools
from pathlib import Path

import gemmi
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.periodic_table import SYMBOLS

FCC = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]


def crystal(symbols: str, lattice: ArrayLike, positions: ArrayLike) -> Crystal:
    numbers = [SYMBOLS.index(symbol) + 1 for symbol in symbols.split()]
    return make_crystal(numbers, np.asarray(lattice, dtype=float), np.asarray(positions, dtype=float))


def cubic(symbols: str, edge: float, positions: ArrayLike) -> Crystal:
    return crystal(symbols, edge * np.eye(3), positions)


def fcc() -> Crystal:
    return cubic("Cu Cu Cu Cu", 3.61, FCC)


def fcc_primitive() -> Crystal:
    return crystal("Cu", 3.61 / 2 * np.array([(0, 1, 1), (1, 0, 1), (1, 1, 0)]), [(0, 0, 0)])


def bcc() -> Crystal:
    return cubic("Fe Fe", 2.87, [(0, 0, 0), (0.5, 0.5, 0.5)])


def bcc_primitive() -> Crystal:
    return crystal("Fe", 2.87 / 2 * np.array([(-1, 1, 1), (1, -1, 1), (1, 1, -1)]), [(0, 0, 0)])


def caesium_chloride() -> Crystal:
    return cubic("Cs Cl", 4.12, [(0, 0, 0), (0.5, 0.5, 0.5)])


def hcp(ratio: float = np.sqrt(8 / 3)) -> Crystal:
    a = 3.21
    lattice = [(a, 0, 0), (-a / 2, a * np.sqrt(3) / 2, 0), (0, 0, ratio * a)]
    return crystal("Mg Mg", lattice, [(1 / 3, 2 / 3, 1 / 4), (2 / 3, 1 / 3, 3 / 4)])


def rock_salt() -> Crystal:
    return cubic("Na Na Na Na Cl Cl Cl Cl", 5.64, [*FCC, *(np.array(FCC) + 0.5)])


def diamond() -> Crystal:
    return cubic("C C C C C C C C", 3.57, [*FCC, *(np.array(FCC) + 0.25)])


def perovskite() -> Crystal:
    oxygens = [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return cubic("Sr Ti O O O", 3.905, [(0, 0, 0), (0.5, 0.5, 0.5), *oxygens])


def isolated_atom() -> Crystal:
    return cubic("Ar", 30.0, [(0.2, 0.3, 0.4)])


def water_in_a_box() -> Crystal:
    atoms = np.array([(0, 0, 0.1173), (0, 0.7572, -0.4692), (0, -0.7572, -0.4692)])
    return cubic("O H H", 20.0, 0.5 + atoms / 20.0)


def handmade() -> dict[str, Crystal]:
    """Symmetric crystals, and what hardly is one, by name."""
    return {
        "rock salt": rock_salt(),
        "diamond": diamond(),
        "perovskite": perovskite(),
        "perovskite, 2x2x2": supercell(perovskite(), 2 * np.eye(3, dtype=int)),
        "hcp": hcp(),
        "hcp, 1.6": hcp(1.6),
        "fcc, primitive": fcc_primitive(),
        "bcc": bcc(),
        "caesium chloride": caesium_chloride(),
        "isolated atom": isolated_atom(),
        "water in a box": water_in_a_box(),
    }


def supercell(cell: Crystal, matrix: ArrayLike) -> Crystal:
    """The same crystal with the cell vectors ``matrix @ lattice``; determinant ±1 only changes the basis."""
    times = np.asarray(matrix)
    inverse = np.linalg.inv(times)
    corners = np.array(list(itertools.product((0, 1), repeat=3))) @ times
    box = zip(np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int), strict=True)
    shifts = np.array(list(itertools.product(*(range(low, high + 1) for low, high in box))))
    places = shifts @ inverse
    shifts = shifts[((places > -1e-9) & (places < 1 - 1e-9)).all(axis=1)]
    assert len(shifts) == round(abs(np.linalg.det(times)))
    positions = (cell.positions[:, None] + shifts).reshape(-1, 3) @ inverse
    return Crystal(np.repeat(cell.numbers, len(shifts)), times @ cell.lattice, positions)


def shuffled(cell: Crystal, seed: int = 0) -> Crystal:
    order = np.random.default_rng(seed).permutation(len(cell.numbers))
    return Crystal(cell.numbers[order], cell.lattice, cell.positions[order])


def translated(cell: Crystal, seed: int = 0) -> Crystal:
    """Moved as a whole, and each atom into some other cell."""
    random = np.random.default_rng(seed)
    cells = random.integers(-2, 3, cell.positions.shape)
    return Crystal(cell.numbers, cell.lattice, cell.positions + random.random(3) + cells)


def rotated(cell: Crystal, seed: int = 0) -> Crystal:
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return Crystal(cell.numbers, cell.lattice @ (rotation * np.sign(np.linalg.det(rotation))), cell.positions)


def mirrored(cell: Crystal) -> Crystal:
    return Crystal(cell.numbers, cell.lattice * [1, 1, -1], cell.positions)


def jiggled(cell: Crystal, amplitude_A: float, seed: int = 0) -> Crystal:  # noqa: N803 - the unit
    noise = np.random.default_rng(seed).uniform(-amplitude_A, amplitude_A, cell.positions.shape)
    return Crystal(cell.numbers, cell.lattice, cell.positions + noise @ np.linalg.inv(cell.lattice))


def read_materials_project(path: Path, count: int) -> list[Crystal]:
    """Return some crystals of the development data, spread over the file."""
    texts = pq.read_table(path, columns=["cif"])["cif"]
    rows = np.linspace(0, len(texts) - 1, count).astype(int)
    crystals = []
    for text in texts.take(rows).to_pylist():
        structure = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
        sites = structure.get_all_unit_cell_sites()
        numbers = [site.element.atomic_number for site in sites]
        lattice = np.array(structure.cell.orth.mat.tolist()).T
        crystals.append(make_crystal(numbers, lattice, [site.fract.tolist() for site in sites]))
    return crystals
