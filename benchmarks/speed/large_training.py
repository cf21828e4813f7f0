"""What `matlake train` takes on large tables: all of it, from the lake to the saved head, in a process of its own.

    python -m benchmarks.speed.large_training --rows 10000 100000 341700

Compositions of OQMD with 1,024 numbers each, the first layer of ElemNet, and ridge regression of the volume. The peak
is that of the whole process, as the operating system saw it.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, in_child, needs_oqmd, report

LAYER: Final = "1"
TARGET: Final = "volume_A3_per_atom"
ROWS: Final = (10_000, 100_000, 341_700)
SEED: Final = 0


def main() -> None:
    """Import and embed in one child for each size, and train in another."""
    needs_oqmd()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--model", default="ridge")
    parser.add_argument("--lakes", type=Path, help="keep the lakes here, and use those that are there")
    parser.add_argument("--embed", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--train", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.embed or asked.train:
        found = embed(Path(asked.embed[0]), int(asked.embed[1])) if asked.embed else train(*asked.train)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as temporary:
        trained = {}
        for rows in asked.rows:
            lake = (asked.lakes or Path(temporary)) / f"lake-{rows}"
            if not lake.exists():
                in_child(Path(__file__), "--embed", str(lake), str(rows))
            trained[rows] = in_child(Path(__file__), "--train", str(lake), asked.model)
    columns = ["rows", "processor s", "peak memory, GB", "error, mean = 1", "reference rows"]
    shown = [
        [
            f"{rows:,}",
            f"{one['processor_s']:.0f}",
            f"{one['peak_mb'] / 1000:.2f}",
            f"{one['mae'] / one['mean_mae']:.3f}",
            f"{one['reference_rows']:,}",
        ]
        for rows, one in trained.items()
    ]
    report(Path(__file__), {"model": asked.model, "features": 1024, "trainings": trained}, columns, shown)


def embed(path: Path, rows: int) -> dict[str, Any]:
    """Make a lake of rows drawn at random."""
    import matlake

    table = pq.read_table(OQMD, columns=["formula", TARGET]).drop_null()
    table = table.take(np.sort(np.random.default_rng(SEED).permutation(len(table))[:rows]))
    lake = matlake.open_lake(path, create=True)
    lake.add(table, "oqmd", progress=False)
    lake.embed(f"{ENCODER}@{LAYER}", progress=False)
    return {"rows": len(table)}


def train(path: str, model: str) -> dict[str, Any]:
    """Train, and return what it took."""
    import matlake
    from matlake.regress.heads.train import train as train_head

    started = time.process_time()
    lake = matlake.open_lake(path)
    steps: list[tuple[float, str]] = []
    progress = matlake.Progress(note=lambda text: steps.append((time.process_time() - started, text)))
    request = matlake.TrainRequest(TARGET, [f"{ENCODER}@{LAYER}"], model, name=f"large-{model}", transform="none")
    card = train_head(lake, request, progress).card
    seconds = time.process_time() - started
    return {
        "processor_s": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "mae": card.evaluation.metrics.mae,
        "mean_mae": card.evaluation.baseline.mae,
        "reference_rows": card.domain.reference_rows if card.domain else 0,
        "steps_s": [[round(when, 1), text] for when, text in steps],
    }


if __name__ == "__main__":
    main()
