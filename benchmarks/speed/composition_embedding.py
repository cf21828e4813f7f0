"""From compositions to committed embeddings, end to end, against what a user would write instead.

    python -m benchmarks.speed.composition_embedding

Imports and embeds the OQMD formulas (layer 4 of ElemNet, 1,024 numbers each) in fresh processes, and times in the
same run (a) PyTorch eager over pymatgen compositions, row by row and in batches, and (b) matminer's Magpie
featurizer, each on a sample.
"""

import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, in_child, needs_oqmd, peak_mb, report, timed
from benchmarks.helpers.stages import watch_embed

REPEATS = 3
FULL = 341_700
PART = 100_000
EAGER_ROWS = 5_000
EAGER_BATCH = 1024
MAGPIE_ROWS = 2_000


def matlake_run(rows: int) -> dict[str, Any]:
    """Import and embed the first rows of OQMD in a new lake; return rows a second, peak memory and stage times."""
    from matlake import embed, import_table, open_lake

    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "oqmd.parquet"
        pq.write_table(pq.read_table(OQMD).slice(0, rows), table)
        lake = open_lake(Path(folder) / "lake", create=True)
        import_seconds = timed(lambda: import_table(lake, table, "oqmd"))
        seconds_by_stage = watch_embed()
        before = peak_mb()
        embed_seconds = timed(lambda: embed(lake, [f"{ENCODER}@4"], workers=workers))
        size = sum(file.stat().st_size for file in lake.embeddings.rglob("*.parquet"))
    return {
        "rows": rows,
        "import_s": import_seconds,
        "embed_s": embed_seconds,
        "rows_per_s": rows / (import_seconds + embed_seconds),
        "embed_rows_per_s": rows / embed_seconds,
        "peak_import_mb": before,
        "peak_mb": peak_mb(),
        "stored_mb": size / 1e6,
        "share_of_worker_time": {
            stage: seconds / (workers * embed_seconds) for stage, seconds in seconds_by_stage().items()
        },
    }


def eager_run(batch: int) -> dict[str, Any]:
    """Featurise with pymatgen and run the same network in PyTorch eager, to the same layer."""
    import torch
    from pymatgen.core.composition import Composition

    from matlake.materials.periodic_table import ELEMNET_ELEMENTS
    from matlake.networks.elemnet import ElemNet

    formulas = pq.read_table(OQMD, columns=["formula"])["formula"].to_pylist()[:: FULL // EAGER_ROWS][:EAGER_ROWS]
    network = ElemNet().eval()

    @torch.no_grad()
    def run() -> None:
        vectors = []
        for start in range(0, len(formulas), batch):
            fractions = np.zeros((len(formulas[start : start + batch]), 86), dtype=np.float32)
            for row, formula in enumerate(formulas[start : start + batch]):
                for element, fraction in Composition(formula).fractional_composition.items():
                    fractions[row, ELEMNET_ELEMENTS.index(element.symbol)] = fraction
            x = torch.from_numpy(fractions)
            for layer in network.hidden[:4]:
                x = torch.relu(layer(x))
            vectors.append(x.numpy())
        np.concatenate(vectors)

    run()
    return {"rows_per_s": EAGER_ROWS / timed(run)}


def magpie_run() -> dict[str, Any]:
    """Featurise with matminer's Magpie preset on one core, without its progress bar."""
    warnings.simplefilter("ignore")
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core.composition import Composition

    formulas = pq.read_table(OQMD, columns=["formula"])["formula"].to_pylist()[:: FULL // MAGPIE_ROWS][:MAGPIE_ROWS]
    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)
    featurizer.set_n_jobs(1)
    return {
        "rows_per_s": MAGPIE_ROWS / timed(lambda: [featurizer.featurize(Composition(formula)) for formula in formulas])
    }


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "full": lambda: matlake_run(FULL),
    "part": lambda: matlake_run(PART),
    "eager": lambda: eager_run(1),
    "eager-batched": lambda: eager_run(EAGER_BATCH),
    "magpie": magpie_run,
}


def main() -> None:
    """Run all parts in turn, several times, and report medians."""
    needs_oqmd()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
    for _ in range(REPEATS):
        for name, results in runs.items():
            results.append(in_child(Path(__file__), name))
            print(f"{name}: {results[-1]}", file=sys.stderr)

    def median(name: str, key: str) -> float:
        return float(statistics.median(run[key] for run in runs[name]))

    ours = median("full", "rows_per_s")
    rows = [
        [
            f"matlake, {count:,} rows, import + embed",
            f"{median(name, 'rows_per_s'):,.0f}",
            "1",
            f"{median(name, 'peak_mb'):,.0f}",
        ]
        for name, count in (("full", FULL), ("part", PART))
    ]
    rows += [
        [label, f"{median(name, 'rows_per_s'):,.0f}", f"{ours / median(name, 'rows_per_s'):,.1f}", ""]
        for name, label in (
            ("eager", f"pymatgen + PyTorch eager, row by row ({EAGER_ROWS:,} rows)"),
            ("eager-batched", f"pymatgen + PyTorch eager, batches of {EAGER_BATCH:,} ({EAGER_ROWS:,} rows)"),
            ("magpie", f"matminer Magpie ({MAGPIE_ROWS:,} rows, one core)"),
        )
    ]
    report(Path(__file__), {"runs": runs}, ["what", "rows/s", "matlake is × faster", "peak memory, MB"], rows)
    full = sorted(runs["full"], key=lambda run: run["rows_per_s"])[REPEATS // 2]
    print(f"\nimport {full['import_s']:.1f} s, embed {full['embed_s']:.1f} s, stored {full['stored_mb']:,.0f} MB")
    print(
        "share of worker time in embed:", json.dumps({k: round(v, 3) for k, v in full["share_of_worker_time"].items()})
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(PARTS[sys.argv[1]]()))
    else:
        main()
