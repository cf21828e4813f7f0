"""Prediction for a table of a million formulas: rows a second, and whether memory grows with the table.

    python -m benchmarks.speed.prediction

A ridge head on measured band gaps predicts for OQMD's formulas, once for 100,000 rows and once for 1,000,000 (the
formulas repeated), each in a fresh process, from a Parquet table of text to a Parquet table of values, intervals,
scores, low-confidence reasons and nearest training materials.
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
from benchmarks.helpers.common import ENCODER, OQMD, in_child, needs_oqmd, peak_mb, report
from matlake.encoders.reference import SAMPLE
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict_table import predict_to_file

ROWS: Final = (100_000, 1_000_000)
HEAD: Final = "gap"


def main() -> None:
    """Train, then predict in fresh processes."""
    needs_oqmd()
    formulas = pq.read_table(OQMD, columns=["formula"])["formula"].combine_chunks()
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = matlake.open_lake(folder / "lake", create=True)
        matlake.import_table(lake, SAMPLE, "gaps")
        matlake.embed(lake, [ENCODER], workers=2)
        train(lake, TrainRequest("band_gap_eV", [ENCODER], "ridge", name=HEAD))
        for rows in ROWS:
            table = pa.table({"formula": pa.concat_arrays([formulas] * -(-rows // len(formulas))).slice(0, rows)})
            pq.write_table(table, folder / "formulas.parquet")
            del table
            found[f"{rows:,}"] = in_child(Path(__file__), str(folder))
    report(
        Path(__file__),
        {"rows": found},
        ["rows", "rows/s", "seconds", "peak memory, MB", "without a prediction"],
        [
            [rows, f"{one['rows_per_s']:,.0f}", f"{one['seconds']:.0f}", f"{one['peak_mb']:.0f}", f"{one['failed']:,}"]
            for rows, one in found.items()
        ],
    )


def child(folder: Path) -> None:
    """Predict for the table and print what it took."""
    started = time.perf_counter()
    lake = matlake.open_lake(folder / "lake")
    written = predict_to_file(lake, HEAD, folder / "formulas.parquet", folder / "predicted.parquet")
    seconds = time.perf_counter() - started
    rows = written.rows + written.n_failed
    print(
        json.dumps({"seconds": seconds, "rows_per_s": rows / seconds, "peak_mb": peak_mb(), "failed": written.n_failed})
    )


if __name__ == "__main__":
    child(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
