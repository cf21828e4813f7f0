"""Fixtures: a lake of real crystals with one embedded encoder, a quick network, and a way to evaluate."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from extrapolation_samples import FIRST, POOLED, TARGET
from samples import ELASTIC

import matlake
from matlake.studies.extrapolation.evaluate import ExtrapolationResult, evaluate_extrapolation
from matlake.studies.extrapolation.methods import ExtrapolationRequest


@pytest.fixture(scope="session")
def elastic(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """150 real crystals with their moduli, one of them under the name of the encoder's own property."""
    folder = tmp_path_factory.mktemp("extrapolation")
    table = pq.read_table(ELASTIC)
    table = table.take(np.sort(np.random.default_rng(0).permutation(len(table))[:150]))
    table = table.append_column("formation_energy_eV_per_atom", table["shear_modulus_VRH_GPa"])
    table = table.append_column("shifted_modulus_GPa", pa.array(np.array(table["shear_modulus_VRH_GPa"]) - 50.0))
    table = table.append_column("reported", pa.array(range(1880, 1880 + len(table))))
    pq.write_table(table, folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.embed(lake, [FIRST, POOLED])
    return lake


@pytest.fixture
def evaluated(elastic: matlake.Lake, request: pytest.FixtureRequest) -> Callable[..., ExtrapolationResult]:
    """Evaluate under a name of the test's own."""

    def evaluate(networks: Any = (), seen: Any = None, **more: Any) -> ExtrapolationResult:
        about: dict[str, Any] = {
            "target": TARGET,
            "splits": ("value:high", "random"),
            "features": ((FIRST,), (FIRST, POOLED)),
            "models": ("ridge",),
            "seeds": 2,
            "name": request.node.name[:80],
        }
        return evaluate_extrapolation(elastic, ExtrapolationRequest(**(about | more)), networks, seen)

    return evaluate
