"""Fixture: crystals and a property of theirs that a head is to extrapolate."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from samples import CRYSTAL_ENCODER, ELASTIC

from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.crystal import CrystalColumns
from matlake.materials.structure_files.poscar import parse_poscar


@pytest.fixture(scope="session")
def elastic() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Embeddings [394, 128] of each third crystal of the bundled sample, and bulk moduli [394] in GPa."""
    table = pq.read_table(ELASTIC)
    table = table.take(list(range(0, len(table), 3)))
    crystals = CrystalColumns.of([parse_poscar(text) for text in table["poscar"].to_pylist()])
    return open_encoder(find_encoder(CRYSTAL_ENCODER).folder).encode(crystals), table["bulk_modulus_VRH_GPa"].to_numpy()
