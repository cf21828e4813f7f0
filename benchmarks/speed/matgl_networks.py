"""Networks of matgl as encoders, against the original code, in processor-seconds of one thread.

    python -m benchmarks.speed.matgl_networks --referee PYTHON

PYTHON is an interpreter that has matgl 4.1. The network alone runs on ready-made graphs: ours with all layers on
symmetry-distinct atoms, ours on all atoms, the original eager in batches. End to end is from crystals in memory to
vectors.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.helpers.common import ROOT, print_table, results_of, write_results

FOLDERS: Final = (
    "TensorNet-MatPES-PBE-v2025.1-PES",
    "M3GNet-MatPES-PBE-v2025.1-PES",
    "MEGNet-MP-2018.6.1-Eform",
)
PEER: Final = ROOT / "benchmarks" / "helpers" / "matgl_peer.py"


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--referee", required=True, help="interpreter that has matgl")
    parser.add_argument("--folders", nargs="+", choices=FOLDERS, default=list(FOLDERS), help="networks")
    parser.add_argument("--weights", type=Path, default=ROOT.parent / "shared" / "weights", help="where they are")
    parser.add_argument("--crystals", type=int, default=200, help="crystals of the elasticity sample")
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is timed; the best counts")
    return parser.parse_args()


def rate(function: Callable[[], object], crystals: int, rounds: int) -> float:
    """Return crystals per processor-second, the best of some rounds."""
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return crystals / min(seconds)


def ours(folder: Path, crystals: Any, rounds: int) -> dict[str, float]:
    """Export a network and return crystals per processor-second of each stage."""
    from matlake.encoders.encoder import open_encoder
    from matlake.export.packaging import ExportRequest, export_encoder

    with tempfile.TemporaryDirectory() as place:
        export_encoder(ExportRequest("matgl", folder, "exported", Path(place)))
        encoder: Any = open_encoder(Path(place), threads=1)
        outputs = [layer.output for layer in encoder.card.layers]
        layers = [layer.name for layer in encoder.card.layers]

        def batches(inputs: Any) -> list[Any]:
            return [encoder.feed(encoder.take(inputs, rows)) for rows, _ in encoder.batches(inputs)]

        def run(fed: list[Any]) -> None:
            for arrays in fed:
                encoder.session.run(outputs, arrays)

        inputs = encoder.inputs(crystals)
        distinct, every = batches(inputs), batches(encoder.inputs(crystals, resolution=0.0))
        stages: dict[str, Callable[[], object]] = {
            "graphs": lambda: encoder.inputs(crystals),
            "tables": lambda: batches(inputs),
            "network": lambda: run(distinct),
            "network, all atoms": lambda: run(every),
            "end to end": lambda: encoder.encode_inputs(encoder.inputs(crystals), layers),
        }
        return {name: rate(stage, len(crystals), rounds) for name, stage in stages.items()}


def theirs(options: argparse.Namespace, folder: Path, crystals: Any) -> dict[str, float]:
    """Run the original code in its own interpreter."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "crystals.npz"
        arrays = {name: getattr(crystals, name) for name in ("offsets", "numbers", "lattices", "positions")}
        np.savez(file, **arrays)
        command = [options.referee, str(PEER), str(folder), str(file), str(options.rounds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={"OMP_NUM_THREADS": "1"})
    rates: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    fastest = max(value for name, value in rates.items() if name.startswith("network"))
    return {**rates, "network": fastest, "end to end": 1 / (1 / fastest + 1 / rates["graphs"])}


def main() -> None:
    """Time all networks and print a table."""
    from matlake.encoders.reference import reference_crystals

    options = read_options()
    crystals = reference_crystals().take(np.arange(options.crystals))
    found, rows = {}, []
    for name in options.folders:
        folder = options.weights / name
        one, other = ours(folder, crystals, options.rounds), theirs(options, folder, crystals)
        advantages = {stage: one[stage] / other[stage] for stage in ("network", "end to end")}
        advantages["network, all atoms"] = one["network, all atoms"] / other["network"]
        found[name] = {"matlake": one, "matgl": other, "advantages": advantages}
        rows += [
            [name, stage, f"{one[stage]:,.0f}", f"{other[stage.split(',')[0]]:,.0f}", f"{times:.1f}"]
            for stage, times in advantages.items()
        ]
    write_results(results_of(Path(__file__)), {"crystals": options.crystals, "crystals_per_processor_second": found})
    print_table(["network", "what", "matlake, crystals/s", "matgl eager, crystals/s", "matlake is × faster"], rows)


if __name__ == "__main__":
    main()
