"""What it costs to fine-tune a network on 1,000 crystals and keep it as a head, and how fast the head predicts.

    python -m benchmarks.speed.fine_tuning [--shared FOLDER]

Bulk moduli of the elastic tensors of the Materials Project, with CGCNN and CHGNet. Each figure is of a whole command in
a fresh process, `matlake train --model fine-tune:ENCODER` with its intervals, test rows and conversion, on all cores of
the machine. The head then predicts for other crystals, from CIF text to values and intervals; beside it the encoder
itself embeds the same crystals, imported before.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.helpers.common import DATA, report

ENCODERS: Final = ("cgcnn-mp-multitask", "chgnet-mptrj")
TARGET: Final = "bulk_modulus_VRH_GPa"
TRAINED: Final = 1000
PREDICTED: Final = 4000
GOAL_S: Final = {"cgcnn-mp-multitask": 120, "chgnet-mptrj": 360}
"""Seconds of two cores."""


@dataclass(frozen=True)
class Command:
    """A command that has run.

    Attributes:
        answer: What it printed as JSON.
        seconds: It took by the clock.
        processor_s: It took of all cores.
    """

    answer: dict[str, Any]
    seconds: float
    processor_s: float


def main() -> None:
    """Import, then train, embed and predict with each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=DATA.parent, help="folder of the development data")
    data = parser.parse_args().shared / "data"
    if not (data / "mp_elastic_tensor.parquet").exists():
        sys.exit(f"this benchmark needs the development data in {data}")
    document, rows = {}, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        moduli = pq.read_table(data / "mp_elastic_tensor.parquet")
        pq.write_table(moduli.filter(pc.greater(moduli[TARGET], 0)).slice(0, TRAINED), folder / "moduli.parquet")
        pq.write_table(pq.read_table(data / "mp_structures.parquet").slice(0, PREDICTED), folder / "others.parquet")
        for dataset, column in (("moduli", "poscar"), ("others", "cif")):
            matlake(
                folder, "import", str(folder / f"{dataset}.parquet"), "--dataset", dataset, "--structure-column", column
            )
        for encoder in ENCODERS:
            document[encoder] = found = measure(folder, encoder)
            rows.append(
                [
                    encoder,
                    *(f"{found[name]:.0f}" for name in ("seconds", "processor_s", "goal_s")),
                    f"{found['mae_GPa']:.2f}",
                    *(f"{found[name]:,.0f}" for name in ("embedded_per_s", "predicted_per_s")),
                ]
            )
    header = ["encoder", "training, s", "processor seconds", "goal, s", "test MAE, GPa", "embed, crystals/s"]
    report(Path(__file__), {"trained": TRAINED, "encoders": document}, [*header, "predict, crystals/s"], rows)


def measure(folder: Path, encoder: str) -> dict[str, Any]:
    """Train a head from an encoder, and compare its predictions' speed with the encoder's."""
    head = encoder.partition("-")[0]
    model = ("--model", f"fine-tune:{encoder}")
    trained = matlake(folder, "train", *model, "--target", TARGET, "--dataset", "moduli", "--name", head)
    others = str(folder / "others.parquet")
    predicted = matlake(
        folder, "predict", head, "--input", others, "--structure-column", "cif", "--output", str(folder / "out.parquet")
    )
    embedded = matlake(folder, "embed", "--encoder", encoder, "--dataset", "others")
    return {
        "seconds": trained.seconds,
        "processor_s": trained.processor_s,
        "goal_s": GOAL_S[encoder],
        "n_train": trained.answer["n_train"],
        "mae_GPa": trained.answer["metrics"]["mae"],
        "baseline_mae_GPa": trained.answer["baseline"]["mae"],
        "embedded_per_s": embedded.answer["embedded"] / embedded.seconds,
        "predicted_per_s": PREDICTED / predicted.seconds,
    }


def matlake(folder: Path, *arguments: str) -> Command:
    """Run a command on the lake of this benchmark; some rows may fail."""
    lake = folder / "lake"
    before, started = _processor_s(), time.perf_counter()
    command = [sys.executable, "-m", "matlake", "--lake", str(lake), *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 3):
        sys.exit(f"matlake {' '.join(arguments)} failed: {done.stdout}")
    return Command(json.loads(done.stdout), seconds, _processor_s() - before)


def _processor_s() -> float:
    """Return the processor seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
