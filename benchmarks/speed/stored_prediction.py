"""Prediction for 10,000 crystals of a lake from stored vectors, against the same crystals from CIF.

    python -m benchmarks.speed.stored_prediction

The head is a ridge regression on a layer of CGCNN, ``geometry`` and ``magpie``; the crystals are from the
Materials Project. Each method runs in a fresh process; processor seconds are compared, as other work on a machine
changes the others. ``--save`` is measured as well, with its memory for a million compositions.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

import matlake
from benchmarks.helpers.common import ENCODER, OQMD, STRUCTURES, in_child, needs_oqmd, peak_mb, report
from matlake.encoders.reference import SAMPLE
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict_table import predict_to_file

CRYSTALS: Final = 10_000
TRAINED: Final = 1_000
ROWS: Final = (100_000, 1_000_000)
METHODS: Final = ("from CIF", "from stored vectors", "saved in the lake", "saved a second time")
TARGET: Final = "formation_energy_eV_per_atom"
FEATURES: Final = ("cgcnn-mp-formation-energy", "geometry", "magpie")
HEAD: Final = "energy"
LAYER: Final = f"{ENCODER}@13"


def main() -> None:
    """Make the lakes, then predict in fresh processes."""
    needs_oqmd()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _crystal_lake(folder)
        for method in METHODS:
            found[method] = in_child(Path(__file__), str(folder), method)
            print(method, found[method], flush=True)
        for rows in ROWS:
            _formula_lake(folder, rows)
            found[f"{rows:,} compositions, saved in the lake"] = in_child(Path(__file__), str(folder), str(rows))
    slow = found[METHODS[0]]["processor_s"]
    ratio = {"ratio": slow / found[METHODS[1]]["processor_s"]}
    report(
        Path(__file__),
        {"crystals": CRYSTALS, **ratio, "methods": found},
        ["method", "rows", "processor seconds", "rows/s", "against CIF", "peak memory, MB"],
        [
            [
                method,
                f"{one['rows']:,}",
                f"{one['processor_s']:.1f}",
                f"{one['rows'] / one['processor_s']:,.0f}",
                f"{slow / one['processor_s']:.0f} ×" if method in METHODS else "",
                f"{one['peak_mb']:.0f}",
            ]
            for method, one in found.items()
        ],
    )


def _crystal_lake(folder: Path) -> None:
    table = pq.read_table(STRUCTURES, columns=["material_id", "cif", TARGET]).slice(0, CRYSTALS)
    pq.write_table(table.rename_columns(["material_id", "structure", TARGET]), folder / "crystals.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "crystals.parquet", "crystals")
    matlake.embed(lake, list(FEATURES[:2]), workers=2)
    first = f"material_id IN (SELECT material_id FROM materials ORDER BY material_id LIMIT {TRAINED})"
    train(lake, TrainRequest(TARGET, list(FEATURES), "ridge", name=HEAD, where=first))


def _formula_lake(folder: Path, rows: int) -> None:
    """Embed OQMD's formulas, and others made of them by adding oxygen: no two have the same content."""
    formulas = pq.read_table(OQMD, columns=["formula"])["formula"].to_pylist()
    more = [f"({formula})7O{n}" for n in (11, 13, 17) for formula in formulas]
    pq.write_table(pa.table({"formula": [*formulas, *more][:rows]}), folder / "formulas.parquet")
    lake = matlake.open_lake(folder / str(rows), create=True)
    matlake.import_table(lake, SAMPLE, "gaps")
    matlake.import_table(lake, folder / "formulas.parquet", "formulas")
    matlake.embed(lake, [LAYER], workers=2)
    train(lake, TrainRequest("band_gap_eV", [LAYER, "magpie"], "ridge", name=HEAD))


def predict(folder: Path, method: str) -> int:
    """Predict by one of the methods; return the number of rows."""
    lake = matlake.open_lake(folder / ("lake" if method in METHODS else method))
    if method == METHODS[0]:
        return predict_to_file(lake, HEAD, folder / "crystals.parquet", folder / "from_cif.parquet").rows
    if method == METHODS[1]:
        written = matlake.predict_dataset(lake, HEAD, dataset="crystals", output=folder / "stored.parquet")
        return written.document()["rows"]
    dataset = "crystals" if method in METHODS else "formulas"
    found = matlake.predict_dataset(lake, HEAD, dataset=dataset, save=True).document()
    return found["saved"] + found["skipped"]


def child(folder: Path, method: str) -> None:
    """Predict by one of the methods and print what it took, without imports."""
    before, started = time.process_time(), time.perf_counter()
    rows = predict(folder, method)
    processor_s, seconds = time.process_time() - before, time.perf_counter() - started
    print(json.dumps({"rows": rows, "processor_s": processor_s, "seconds": seconds, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    child(Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 1 else main()
