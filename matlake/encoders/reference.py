"""Real materials that every installation has, for holding encoders to their contract."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind
from matlake.encoders.rejections import Materials
from matlake.errors import FormulaError
from matlake.materials.compositions import CompositionColumns, check_elements, element_fractions
from matlake.materials.crystal import Crystal, CrystalColumns, make_crystal
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.periodic_table import ATOMIC_NUMBER

_DATA: Final = Path(__file__).parents[1] / "data"
SAMPLE: Final = _DATA / "expt_gap.parquet"
CRYSTAL_SAMPLE: Final = _DATA / "mp_elasticity.parquet"
_CRYSTALS: Final = 200
_ENOUGH: Final = 50


@cache
def reference_compositions() -> list[Composition]:
    """Return the few thousand compositions of the bundled band-gap sample, each once, in a fixed order without pattern.

    Those with an element beyond the 86 are left out.
    """
    from pyarrow import parquet

    found: dict[str, Composition] = {}
    for formula in parquet.read_table(SAMPLE, columns=["formula"])["formula"].to_pylist():
        try:
            composition = parse_formula(formula)
            check_elements(composition)
        except FormulaError:  # an element without a column: no use here
            continue
        found[composition.content_hash] = composition
    return [found[key] for key in sorted(found)]


def covered_materials(encoder: Encoder) -> Materials:
    """Return the reference materials that an encoder takes.

    Where it takes few elements, and so few of these, they are all reference crystals, with its elements in the places
    of others.
    """
    materials = reference_materials(encoder.input)
    covered = covered_rows(encoder, materials)
    if len(covered) >= _ENOUGH or not isinstance(materials, CrystalColumns):
        return materials.take(covered)
    taken = np.array([ATOMIC_NUMBER[symbol] for symbol in encoder.card.input_parameters.elements], dtype=np.int16)
    known = np.isin(materials.numbers, taken)
    return replace(materials, numbers=np.where(known, materials.numbers, taken[materials.numbers % len(taken)]))


def covered_rows(encoder: Encoder, materials: Materials) -> list[int]:
    """Return the places of the materials that an encoder takes."""
    return [row for row, reason in enumerate(encoder.rejections(materials)) if reason is None]


def reference_materials(kind: InputKind) -> Materials:
    """Return ``reference_compositions`` or ``reference_crystals``, by what encoders take."""
    if kind is InputKind.CRYSTAL:
        return reference_crystals()
    return _reference_columns()


@cache
def _reference_columns() -> CompositionColumns:
    return CompositionColumns.of(reference_compositions())


@cache
def reference_fractions() -> NDArray[np.float32]:
    """Return the fractions of ``reference_compositions``.

    Returns:
        float32 [n, 86]; read-only.
    """
    fractions = element_fractions(reference_compositions())
    fractions.flags.writeable = False
    return fractions


@cache
def reference_crystals() -> CrystalColumns:
    """Return crystals of the bundled sample, and those that are hardest on a graph network.

    Returns:
        Two hundred real crystals without pattern; then a cell with a single atom, an atom with no neighbour at all, and
        a cell so small that the atom is its own neighbour many times.
    """
    from pyarrow import parquet

    from matlake.materials.structure_files.sniff import parse_structure

    texts = parquet.read_table(CRYSTAL_SAMPLE, columns=["poscar"])["poscar"].to_pylist()
    chosen = np.random.default_rng(0).choice(len(texts), _CRYSTALS, replace=False)
    return CrystalColumns.of([*(parse_structure(texts[row]) for row in sorted(chosen)), *_hard_cases()])


def _hard_cases() -> list[Crystal]:
    origin = [[0.0, 0.0, 0.0]]
    copper = make_crystal([29], [[0, 1.8075, 1.8075], [1.8075, 0, 1.8075], [1.8075, 1.8075, 0]], origin)
    alone = make_crystal([26], np.eye(3) * 30.0, origin)
    dense = make_crystal([1], np.eye(3) * 1.5, origin)  # at 1.2 Å, CHGNet 0.2.0 explodes: float32 is not enough
    return [copper, alone, dense]
