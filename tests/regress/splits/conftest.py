"""Fixtures: the bundled samples as matrices."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matrices import matrix_of
from samples import ELASTIC, GAPS

from matlake.materials.crystal import CrystalColumns
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.features.matrix import Matrix


@pytest.fixture(scope="session")
def gaps() -> Matrix:
    """Each fourth measured band gap of the bundled sample, with element fractions as features."""
    table = pq.read_table(GAPS)
    some = table.take(list(range(0, len(table), 4)))
    return matrix_of(some["formula"].to_pylist(), some["band_gap_eV"].to_numpy())


@pytest.fixture(scope="session")
def elastic_table() -> pa.Table:
    """Each eighth crystal of the bundled sample, and a fourth of those that have polymorphs there."""
    table = pq.read_table(ELASTIC)
    formulas = table["formula"].to_pylist()
    repeated = [row for row, formula in enumerate(formulas) if formulas.count(formula) > 1]
    polymorphs = sorted(repeated, key=lambda row: formulas[row])[: len(repeated) // 4]
    return table.take(sorted({*range(0, len(table), 8), *polymorphs}))


@pytest.fixture(scope="session")
def elastic(elastic_table: pa.Table) -> Matrix:
    """Bulk moduli of those crystals, with their geometry and what the table says of their space groups."""
    crystals = CrystalColumns.of([parse_structure(text) for text in elastic_table["poscar"].to_pylist()])
    return matrix_of(
        elastic_table["formula"].to_pylist(),
        elastic_table["bulk_modulus_VRH_GPa"].to_numpy(),
        columns={"space_group_number": elastic_table["space_group_number"].to_numpy().astype(np.int64)},
        crystals=crystals,
    )
