"""What a fit to a large table takes: 341,700 compositions of OQMD with 1,024 numbers each, the first layer of ElemNet.

    python -m benchmarks.speed.large_table

Each model has its default parameters and a process of its own, so that its peak of memory is its own: features in
float32 are 1.4 GB, standardised in float64 2.8 GB. A tenth of the rows, drawn, is held out.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, in_child, needs_oqmd, peak_mb, report
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.regressors import MODELS, fit_model

LAYER: Final = "1"
TARGET: Final = "volume_A3_per_atom"
COMPARED: Final = ("ridge", "sgd", "kernel-ridge", "gaussian-process", "nystroem-svr", "hist-gradient-boosting")
HELD_OUT: Final = 0.1
SEED: Final = 0
STEP: Final = 8192


def main() -> None:
    """Embed once, and fit each model in a child."""
    needs_oqmd()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=None, help="rows drawn; all by default")
    parser.add_argument("--models", nargs="*", default=list(COMPARED))
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.fit:
        print(json.dumps(measure(asked.fit[0], Path(asked.fit[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        shape = embed(Path(folder), asked.rows)
        found = {name: in_child(Path(__file__), "--fit", name, folder) for name in asked.models}
    rows = [
        [name, f"{one['processor_s']:.0f}", f"{one['peak_mb'] / 1000:.1f}", f"{one['mae'] / one['mean_mae']:.3f}"]
        for name, one in found.items()
    ]
    header = ["model", "fit, processor s", "peak memory, GB", "error, mean = 1"]
    report(Path(__file__), {"rows": shape[0], "features": shape[1], "fits": found}, header, rows)


def embed(folder: Path, rows: int | None) -> tuple[int, int]:
    """Write features and target of compositions into a folder; return the number of rows and of features."""
    table = pq.read_table(OQMD, columns=["formula", TARGET]).drop_null()
    if rows is not None:
        table = table.take(np.sort(np.random.default_rng(SEED).permutation(len(table))[:rows]))
    encoder = open_encoder(find_encoder(ENCODER).folder)
    dim = next(layer.dim for layer in encoder.card.layers if layer.name == LAYER)
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (len(table), dim))
    formulas = table["formula"].to_pylist()
    for start in range(0, len(formulas), STEP):
        parsed = [parse_formula(formula) for formula in formulas[start : start + STEP]]
        (x[start : start + STEP],) = encoder.encode_inputs(element_fractions(parsed), [LAYER])
    x.flush()
    np.save(folder / "y.npy", table[TARGET].to_numpy())
    return len(table), dim


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Fit one model, and return what it took and its error."""
    y = np.load(folder / "y.npy")
    order = np.random.default_rng(SEED).permutation(len(y))
    held, rows = np.sort(order[: round(HELD_OUT * len(y))]), np.sort(order[round(HELD_OUT * len(y)) :])
    whole = np.load(folder / "x.npy", mmap_mode="r")
    x, x_held = whole[rows], whole[held]
    del whole
    model, started = MODELS[name], time.process_time()
    fitted = fit_model(model, model.grid(x.shape[1])[0], x, y[rows], SEED)
    seconds, peak = time.process_time() - started, peak_mb()
    predicted = np.concatenate([fitted.predict(part) for part in np.array_split(x_held, 1 + len(x_held) // STEP)])
    return {
        "processor_s": seconds,
        "peak_mb": peak,
        "mae": float(np.abs(predicted - y[held]).mean()),
        "mean_mae": float(np.abs(y[rows].mean() - y[held]).mean()),
    }


if __name__ == "__main__":
    main()
