"""The parts of ``crystal_embedding.py`` that only fill a lake: nothing of torch is in their memory."""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.helpers.common import STRUCTURES, peak_mb, timed
from benchmarks.helpers.stages import watch_embed
from benchmarks.helpers.unshipped import keep_encoders
from matlake import embed, import_table, open_lake
from matlake.store.lake import Lake

_DATASET: Final = "mp"
_FEW: Final = 32


def import_all(options: argparse.Namespace) -> dict[str, Any]:
    """Import the crystals into the lake of the options on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    table = pq.read_table(STRUCTURES).slice(0, options.crystals)
    with tempfile.TemporaryDirectory() as folder:
        imported(Path(folder), table.slice(0, _FEW))
    lake, seconds = imported(options.lake, table)
    rows = lake.connect().execute("SELECT count(*) FROM materials").fetchall()[0][0]
    return {"crystals": int(rows), "seconds": seconds, "crystals_per_s": rows / seconds}


def embed_all(kinds: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """Embed all crystals with some encoders in one run; return rates, processor seconds by stage and memory."""
    warm_up(kinds, options.threads)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(options.lake / "lake", Path(folder) / "lake")
        lake = open_lake(Path(folder) / "lake")
        names = [encoder_name(kind) for kind in kinds]
        keep_encoders(lake, names)
        seconds_by_stage = watch_embed()
        before = time.process_time()
        report = embed(lake, names, workers=options.threads)
        processor_s = time.process_time() - before
        size = sum(file.stat().st_size for file in lake.embeddings.rglob("*.parquet"))
    stages = seconds_by_stage()
    return {
        "crystals": report.embedded / len(kinds),
        "failed": report.failed,
        "seconds": report.seconds,
        "crystals_per_s": report.embedded / len(kinds) / report.seconds,
        "processor_s": processor_s,
        "processor_s_by_stage": stages,
        "not_the_encoder": 1 - stages["encoder"] / (options.threads * report.seconds),
        "not_the_encoder_of_processor_s": 1 - stages["encoder"] / processor_s,
        "stored_mb": size / 1e6,
        "peak_mb": peak_mb(),
    }


def encoder_name(kind: str) -> str:
    """Return the name of the encoder of an architecture that was trained on formation energies."""
    return f"{kind}-mp-formation-energy"


def shuffled() -> pa.Table:
    """Return names and CIFs of all crystals in an order without pattern."""
    table = pq.read_table(STRUCTURES, columns=["material_id", "cif"])
    return table.take(np.random.default_rng(0).permutation(table.num_rows))


def imported(folder: Path, table: pa.Table) -> tuple[Lake, float]:
    """Import a table of crystals into a new lake; return it and the seconds."""
    source = folder / "crystals.parquet"
    pq.write_table(table, source)
    lake = open_lake(folder / "lake", create=True)
    return lake, timed(lambda: import_table(lake, source, _DATASET))


def warm_up(kinds: Sequence[str], threads: int) -> None:
    """Let everything be compiled and loaded that is once for all."""
    with tempfile.TemporaryDirectory() as folder:
        few = next(pq.ParquetFile(STRUCTURES).iter_batches(_FEW, columns=["material_id", "cif"]))
        lake, _ = imported(Path(folder), pa.Table.from_batches([few]))
        names = [encoder_name(kind) for kind in kinds]
        keep_encoders(lake, names)
        embed(lake, names, workers=threads)
