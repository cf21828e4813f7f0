"""Tables of millions of compositions or crystals, made from real ones: elements replaced by like ones, cells strained.

They are as diverse as real tables (no composition comes twice), cost about the same to read, and compress about as
well. What the materials would be is of no account: nothing is learned from them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.helpers.common import OQMD, STRUCTURES
from matlake.errors import FormulaError, StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.formula import parse_formula
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.structure_files import parse_structure
from matlake.materials.structure_files.poscar_writer import poscar_text

LABELLED: Final = 10_000
"""Rows with a value of the property, from the first on: labels are few."""

PROPERTY: Final = "formation_energy_eV_per_atom"

_SEED: Final = 20
_LIKE: Final = (
    "Li Na K Rb Cs",
    "Be Mg Ca Sr Ba",
    "Sc Y La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu",
    "Ti Zr Hf V Nb Ta Cr Mo W",
    "Mn Tc Re Fe Ru Os Co Rh Ir Ni Pd Pt Cu Ag Au",
    "Zn Cd Hg B Al Ga In Tl",
    "C Si Ge Sn Pb",
    "N P As Sb Bi",
    "O S Se Te",
    "H F Cl Br I",
    "Ac Th Pa U Np Pu",
)
"""Elements that take each other's place."""

_SYMBOLS: Final = pa.array(["", *SYMBOLS])
_MOST_ELEMENTS: Final = 8
_ROWS_AT_ONCE: Final = 50_000
_STRAIN: Final = 0.02  # standard deviation of each component


def write_compositions(path: Path, rows: int) -> None:
    """Write a Parquet table of different compositions: ids, formulas, and a property of the first rows.

    Args:
        path: The file.
        rows: Number of rows: up to 341,700 are those of OQMD, in random order.
    """
    random = np.random.default_rng(_SEED)
    table = pq.read_table(OQMD, columns=["formula", PROPERTY]).take(random.permutation(pq.read_metadata(OQMD).num_rows))
    schema = pa.schema([("material_id", pa.string()), ("formula", pa.string()), (PROPERTY, pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        real = table.slice(0, rows)
        ids = [f"c-{row:08}" for row in range(real.num_rows)]
        values = real[PROPERTY].to_pylist()[:LABELLED]
        values += [None] * (real.num_rows - len(values))
        writer.write_table(pa.table([ids, real["formula"].cast(pa.string()), values], schema=schema))
        written = real.num_rows
        for formulas in _substituted(table["formula"].to_pylist(), random) if written < rows else ():
            some = formulas[: rows - written]
            ids = [f"c-{row:08}" for row in range(written, written + len(some))]
            writer.write_table(pa.table([ids, some, pa.nulls(len(some), pa.float64())], schema=schema))
            written += len(some)
            if written == rows:
                return


def _substituted(formulas: list[str], random: np.random.Generator) -> Iterator[pa.Array]:
    """Yield formulas that are neither among those given nor came before, all amounts written."""
    amounts = [parse_formula(formula).amounts for formula in formulas]
    z = np.zeros((len(amounts), _MOST_ELEMENTS), np.int64)
    number = np.zeros_like(z)
    for row, one in enumerate(amounts):
        if len(one) <= _MOST_ELEMENTS:
            z[row, : len(one)], number[row, : len(one)] = zip(*one, strict=True)
    z, number = z[z[:, 0] > 0], number[z[:, 0] > 0]
    known = _keys(z, number)
    while True:
        new = _replaced(z, random)
        keys = _keys(new, number)
        different = (np.diff(np.sort(new, axis=1), axis=1) != 0) | (np.sort(new, axis=1)[:, 1:] == 0)
        _, first = np.unique(keys, return_index=True)
        fresh = np.zeros(len(keys), bool)
        fresh[first] = True
        fresh &= different.all(axis=1) & ~np.isin(keys, known)
        known = np.concatenate([known, keys[fresh]])
        texts = [
            pc.if_else(pa.array(zs > 0), pc.binary_join_element_wise(_SYMBOLS.take(pa.array(zs)), ns, ""), "")
            for zs, ns in (
                (new[fresh, place], pa.array(number[fresh, place]).cast(pa.string())) for place in range(_MOST_ELEMENTS)
            )
        ]
        yield pc.binary_join_element_wise(*texts, "")


def _replaced(z: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Replace one element of each row, or all, by a like one; [n, m], padded with zeros."""
    like, width = _likes()
    new = like[z, random.integers(0, width[z], z.shape)]
    one = random.integers(0, np.maximum((z > 0).sum(axis=1), 1))[:, None] == np.arange(z.shape[1])
    return np.where(one | (random.random((len(z), 1)) < 0.5), new, z)  # noqa: PLR2004


def _likes() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the elements like each, by atomic number and padded; and how many they are."""
    families = [[SYMBOLS.index(symbol) + 1 for symbol in names.split()] for names in _LIKE]
    like = np.arange(len(SYMBOLS) + 1)[:, None].repeat(max(map(len, families)), axis=1)
    width = np.ones(len(SYMBOLS) + 1, np.int64)
    for family in families:
        like[family, : len(family)] = family
        width[family] = len(family)
    return like, width


def _keys(z: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of each composition, whatever the order of its elements; [n]."""
    mixed = (z.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ (number.astype(np.uint64) << np.uint64(20))
    for shift in (30, 27):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(0xBF58476D1CE4E5B9)
    keys: NDArray[np.uint64] = np.where(z > 0, mixed, np.uint64(0)).sum(axis=1, dtype=np.uint64)
    return keys


def write_crystals(path: Path, rows: int) -> None:
    """Write a Parquet table of different crystals as POSCAR: ids, structures, and a property of the first rows.

    Args:
        path: The file.
        rows: Number of rows: up to 23,122 are those of the Materials Project.
    """
    random = np.random.default_rng(_SEED)
    table = pq.read_table(STRUCTURES, columns=["cif", PROPERTY])
    crystals = [crystal for cif in table["cif"].to_pylist() if (crystal := _parsed(cif)) is not None]
    schema = pa.schema([("material_id", pa.string()), ("structure", pa.string()), (PROPERTY, pa.float64())])
    values = table[PROPERTY].to_pylist()
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, _ROWS_AT_ONCE):
            places = range(start, min(start + _ROWS_AT_ONCE, rows))
            some = [
                crystals[place] if place < len(crystals) else _varied(crystals[place % len(crystals)], random)
                for place in places
            ]
            columns = [
                [f"s-{place:08}" for place in places],
                [
                    poscar_text("", one.numbers.tolist(), one.lattice.ravel().tolist(), one.positions.ravel().tolist())
                    for one in some
                ],
                [values[place] if place < min(LABELLED, len(crystals)) else None for place in places],
            ]
            writer.write_table(pa.table(columns, schema=schema))


def _parsed(cif: str) -> Crystal | None:
    try:
        return parse_structure(cif)
    except (StructureError, FormulaError):
        return None


def _varied(crystal: Crystal, random: np.random.Generator) -> Crystal:
    """Replace the elements by like ones and strain the cell."""
    like, width = _likes()
    elements: NDArray[np.int64] = np.unique(crystal.numbers).astype(np.int64)
    others = like[elements, random.integers(0, width[elements])]
    if len(np.unique(others)) < len(elements):
        others = elements
    strain = random.normal(0, _STRAIN, (3, 3))
    lattice = crystal.lattice @ (np.eye(3) + (strain + strain.T) / 2)
    return Crystal(others[np.searchsorted(elements, crystal.numbers)].astype(np.int16), lattice, crystal.positions)
