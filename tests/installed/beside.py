"""Use matlake beside the client of the Materials Project, pymatgen and a server of OPTIMADE: run by check_beside.py.

It imports, embeds, and reads a Delta table that the deltalake wrote which ``mp-api`` pins.
"""

import importlib.metadata
import tempfile
from pathlib import Path

import deltalake
import mp_api.client
import numpy as np
import optimade
import pyarrow as pa
import pymatgen.core as mg

import matlake
from matlake.diagnosis.checks import State

COMPOSITION_ENCODER = "elemnet-oqmd-formation-energy"
CRYSTAL_ENCODER = "cgcnn-mp-formation-energy"
PACKAGES = ("mp-api", "deltalake", "pymatgen", "optimade", "pydantic", "numpy", "pyarrow", "duckdb")


def main() -> None:
    """Do what a user does who has both installed."""
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES))
    assert mp_api.client.MPRester
    assert optimade.__version__
    salt = mg.Structure(mg.Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        table = pa.table({"material_id": ["mp-1", "mp-2"], "formula_pretty": ["NaCl", "TiO2"], "band_gap": [5.0, 1.8]})
        deltalake.write_deltalake(folder / "summary", table)
        lake = matlake.open_lake(folder / "lake", create=True)
        assert matlake.import_table(lake, folder / "summary", "summary").rows == 2
        assert lake.add([salt], dataset="mine").rows == 1
        matlake.embed(lake, [COMPOSITION_ENCODER, CRYSTAL_ENCODER])
        rows = lake.query("SELECT encoder, count(*) AS n FROM embeddings GROUP BY encoder ORDER BY encoder").to_pylist()
        assert rows == [{"encoder": CRYSTAL_ENCODER, "n": 1}, {"encoder": COMPOSITION_ENCODER, "n": 3}], rows
        (vector,) = lake.query(f'SELECT vector FROM embed."{CRYSTAL_ENCODER}"')["vector"].to_pylist()
        assert np.isfinite(vector).all()
        broken = [check for check in matlake.doctor(folder / "lake").checks if check.state is State.BROKEN]
        assert not broken, broken


if __name__ == "__main__":
    main()
