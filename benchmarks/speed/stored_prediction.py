"""Prediction for 10,000 crystals of a lake from stored vectors, against the same crystals from CIF.

    python -m benchmarks.speed.stored_prediction

The head is a ridge regression on a layer of CGCNN, the fastest of the networks, ``geometry`` and ``magpie``; the
crystals are from the Materials Project. Each method runs in a fresh process; processor seconds are
compared, as other work on a machine changes the others. Imports and compilation are not counted. ``--save`` is measured
as well, with its memory for two numbers of compositions.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

import matlake
from benchmarks.helpers.common import ENCODER, OQMD, STRUCTURES, in_child, needs_oqmd, peak_mb, report
from matlake.encoders.reference import SAMPLE
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict_table import predict_to_file

CRYSTALS: Final = 10_000
TRAINED: Final = 1_000
ROWS: Final = (100_000, 300_000)
MAKE, CIF, STORED, SAVED, AGAIN = "make", "from CIF", "from stored vectors", "saved in the lake", "saved again"
DATASET: Final = "materials_to_predict"
TARGET: Final = "formation_energy_eV_per_atom"
FEATURES: Final = ("cgcnn-mp-formation-energy", "geometry", "magpie")
HEAD: Final = "energy"
LAYER: Final = f"{ENCODER}@13"


def main() -> None:
    """Make the lakes and predict, each in a fresh process."""
    needs_oqmd()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        steps = [(CRYSTALS, CIF), (CRYSTALS, STORED), (CRYSTALS, SAVED), (CRYSTALS, AGAIN)]
        for rows, method in [*steps, *((rows, SAVED) for rows in ROWS)]:
            if not (Path(name) / str(rows)).exists():
                in_child(Path(__file__), name, str(rows), MAKE)
            text = method if rows == CRYSTALS else f"{method}, compositions"
            found[f"{rows:,} {text}"] = in_child(Path(__file__), name, str(rows), method)
            print(rows, text, found[f"{rows:,} {text}"], flush=True)
    slow = found[f"{CRYSTALS:,} {CIF}"]["processor_s"]
    report(
        Path(__file__),
        {"ratio": slow / found[f"{CRYSTALS:,} {STORED}"]["processor_s"], "methods": found},
        ["rows", "processor seconds", "rows/s", "× from CIF", "peak memory, MB"],
        [
            [
                text,
                f"{one['processor_s']:.2f}",
                f"{one['rows'] / one['processor_s']:,.0f}",
                f"{slow / one['processor_s']:.0f}" if one["rows"] <= CRYSTALS else "",
                f"{one['peak_mb']:.0f}",
            ]
            for text, one in found.items()
        ],
    )


def child(folder: Path, rows: int, method: str) -> None:
    """Make a lake, or predict for it and print what it took; what is imported and compiled once is not counted."""
    if method == MAKE:
        _crystal_lake(folder) if rows == CRYSTALS else _formula_lake(folder, rows)
        print("{}")
        return
    lake = matlake.open_lake(folder / str(rows))
    if method == CIF:
        predict_to_file(lake, HEAD, folder / "few.parquet", folder / "warm.parquet")
    else:
        matlake.predict_dataset(lake, HEAD, where="nelements = 1", output=folder / "warm.parquet")
    before, started = time.process_time(), time.perf_counter()
    if method == CIF:
        done = predict_to_file(lake, HEAD, folder / "crystals.parquet", folder / "from_cif.parquet").rows
    elif method == STORED:
        written = matlake.predict_dataset(lake, HEAD, dataset=DATASET, output=folder / "stored.parquet")
        done = written.document()["rows"]
    else:
        saved = matlake.predict_dataset(lake, HEAD, dataset=DATASET, save=True).document()
        done = saved["saved"] + saved["skipped"]
    processor_s, seconds = time.process_time() - before, time.perf_counter() - started
    print(json.dumps({"rows": done, "processor_s": processor_s, "seconds": seconds, "peak_mb": peak_mb()}))


def _crystal_lake(folder: Path) -> None:
    table = pq.read_table(STRUCTURES, columns=["material_id", "cif", TARGET]).slice(0, CRYSTALS)
    table = table.rename_columns(["material_id", "structure", TARGET])
    pq.write_table(table, folder / "crystals.parquet")
    pq.write_table(table.slice(0, 20), folder / "few.parquet")
    lake = matlake.open_lake(folder / str(CRYSTALS), create=True)
    matlake.import_table(lake, folder / "crystals.parquet", DATASET)
    matlake.embed(lake, list(FEATURES[:2]), workers=2)
    first = f"material_id IN (SELECT material_id FROM materials ORDER BY material_id LIMIT {TRAINED})"
    train(lake, TrainRequest(TARGET, list(FEATURES), "ridge", name=HEAD, where=first))


def _formula_lake(folder: Path, rows: int) -> None:
    """Embed some of OQMD's formulas; no two have the same content."""
    pq.write_table(pq.read_table(OQMD, columns=["formula"]).slice(0, rows), folder / "formulas.parquet")
    lake = matlake.open_lake(folder / str(rows), create=True)
    matlake.import_table(lake, SAMPLE, "gaps")
    matlake.import_table(lake, folder / "formulas.parquet", DATASET)
    matlake.embed(lake, [LAYER], workers=2)
    train(lake, TrainRequest("band_gap_eV", [LAYER, "magpie"], "ridge", name=HEAD))


if __name__ == "__main__":
    child(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]) if len(sys.argv) > 1 else main()
