"""The structural descriptor ``geometry``: crystals a second against matminer in the same run, one core each.

    python -m benchmarks.speed.structure_descriptor [--rows N] [--matminer-rows N] [--rounds N]

Crystals of the Materials Project in random order, ready-made on both sides. matminer has no equal set of numbers; what
comes closest is timed: the density, and statistics of bond lengths and of coordination over Voronoi neighbours.
Processor seconds, rounds alternate, medians are reported. Needs the development data and the extra ``dev``.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.helpers.common import STRUCTURES, report
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import SHIPPED
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.structure_files.sniff import parse_structure

MATMINER = "matminer: density, bond lengths, coordination"


def main() -> None:
    """Time both sides in turn, and compare the densities."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--matminer-rows", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of matminer's dependencies

    texts = pq.read_table(STRUCTURES, columns=["cif"])["cif"]
    rows = np.random.default_rng(0).permutation(len(texts))[: options.rows]
    crystals = [parse_structure(texts[int(row)].as_py()) for row in rows]
    columns = CrystalColumns.of(crystals)
    encoder = open_encoder(SHIPPED / "geometry")
    encoder.encode(columns.take(range(50)))  # compiles
    some = crystals[: options.matminer_rows]
    run_matminer, densities = matminer_loop(some)
    found = encoder.encode(columns.take(range(len(some))))[:, 2]
    timings: dict[str, tuple[int, Callable[[], Any]]] = {
        MATMINER: (len(some), run_matminer),
        "geometry": (len(columns), lambda: encoder.encode(columns)),
    }
    rates: dict[str, list[float]] = {name: [] for name in timings}
    for _ in range(options.rounds):
        for name, (count, run) in timings.items():
            started = time.process_time()
            run()
            rates[name].append(count / (time.process_time() - started))
    medians = {name: statistics.median(measured) for name, measured in rates.items()}
    report(
        Path(__file__),
        {
            "rows": len(columns),
            "atoms_per_crystal": float(columns.sizes.mean()),
            "crystals_per_second": medians,
            "largest_relative_difference_of_density": float(np.abs(found / densities() - 1).max()),
        },
        ["what", "crystals/s, one core", "× matminer"],
        [[name, f"{rate:,.0f}", f"{rate / medians[MATMINER]:,.0f}"] for name, rate in medians.items()],
    )


def matminer_loop(crystals: list[Crystal]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what describes crystals with matminer, and what returns the densities by it in g/cm³."""
    from matminer.featurizers.structure import DensityFeatures, SiteStatsFingerprint, StructuralHeterogeneity
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    structures = [Structure(Lattice(one.lattice), one.numbers.tolist(), one.positions) for one in crystals]
    density = DensityFeatures(desired_features=["density"])
    parts = (density, StructuralHeterogeneity(), SiteStatsFingerprint.from_preset("CoordinationNumber_ward-prb-2017"))

    def run() -> list[Any]:
        return [[part.featurize(one) for part in parts] for one in structures]

    return run, lambda: np.array([density.featurize(one)[0] for one in structures])


if __name__ == "__main__":
    main()
