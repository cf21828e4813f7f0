"""What it takes to open a lake, to ask a first query, and to count what is there, by its size and by its parts.

    python -m benchmarks.speed.opening

Each measurement has a process of its own, which has imported matlake and DuckDB before the clock starts: ``first`` is
the first call there, ``again`` the median of those that follow. The vectors are zeros: none of this reads them.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice, pairwise, product
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, in_child, peak_mb, report
from matlake import import_table, open_lake
from matlake.encoders.registry import find_encoder
from matlake.materials.periodic_table import SYMBOLS
from matlake.store.damage import tables
from matlake.store.datasets import list_datasets
from matlake.store.lake import Lake
from matlake.store.status import status
from matlake.store.tables import delta, writing
from matlake.store.views import embedding_partition

LAYER: Final = "2"
SIZES: Final = ((10_000, 10), (100_000, 100), (1_000_000, 1_000), (100_000, 1_000), (100_000, 10_000))
"""Rows and parts of vectors."""

REPEATS: Final = 5
PRIMES: Final = (53, 59, 61, 67, 71)
NAMES: Final = [name for name in SYMBOLS[:94] if name != "Ni"]


def main() -> None:
    """Make a lake of each size, and measure each question in a child."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=[f"{rows}:{parts}" for rows, parts in SIZES], help="ROWS:PARTS")
    parser.add_argument("--ask", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ask:
        print(json.dumps(measure(asked.ask[0], Path(asked.ask[1]))))
        return
    found = {size: measure_size(*map(int, size.split(":"))) for size in asked.sizes}
    header = ["rows", "parts", *(f"{name}, ms" for name in QUESTIONS), "largest peak, MB"]
    rows = [
        [
            *(f"{int(number):,}" for number in size.split(":")),
            *(f"{1e3 * one['first_s']:.0f} / {1e3 * one['again_s']:.0f}" for one in answers.values()),
            f"{max(one['peak_mb'] for one in answers.values()):.0f}",
        ]
        for size, answers in found.items()
    ]
    report(Path(__file__), {"seconds": found}, header, rows)


def measure_size(rows: int, parts: int) -> dict[str, dict[str, float]]:
    """Make a lake, and ask each question of it in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        make_lake(Path(folder), rows, parts)
        return {name: in_child(Path(__file__), "--ask", name, f"{folder}/lake") for name in QUESTIONS}


def make_lake(folder: Path, rows: int, parts: int) -> None:
    """Import so many distinct compositions, and commit so many parts of vectors of one layer."""
    lake = open_lake(folder / "lake", create=True)
    pq.write_table(
        pa.table({"formula": list(islice(formulas(), rows)), "band_gap_eV": np.ones(rows)}), folder / "rows.parquet"
    )
    import_table(lake, folder / "rows.parquet", "rows")
    with lake.connect() as connection:
        found = connection.sql("SELECT DISTINCT composition_hash FROM internal.compositions").to_arrow_table()
    hashes = found["composition_hash"].combine_chunks()
    card = find_encoder(ENCODER).card
    dim = next(layer.dim for layer in card.layers if layer.name == LAYER)
    partition = embedding_partition(card, LAYER)
    written = [write_zeros(lake, some, dim, partition) for some in slices(hashes, parts)]
    table = delta.open_table(lake.embeddings)
    if table is None or not delta.commit(lake.embeddings, table, written, "append", "benchmark", "run again"):
        raise RuntimeError("the vectors were not committed")


def formulas() -> Iterator[str]:
    """Yield more than a million formulas of three elements, all of different compositions."""
    indices = range(1, PRIMES[0])
    for first, second, prime, (left, right) in product(indices, indices, PRIMES, pairwise(NAMES)):
        yield f"{left}{first}{right}{second}Ni{prime}"


def slices(hashes: pa.Array, parts: int) -> Iterator[pa.Array]:
    """Cut contents into so many pieces."""
    edges = np.linspace(0, len(hashes), parts + 1).astype(int)
    return (hashes.slice(start, end - start) for start, end in pairwise(edges))


def write_zeros(lake: Lake, hashes: pa.Array, dim: int, partition: dict[str, str]) -> writing.Part:
    """Write a part with vectors of zeros."""
    offsets = np.arange(0, (len(hashes) + 1) * dim, dim, dtype=np.int32)
    vectors = pa.ListArray.from_arrays(offsets, np.zeros(len(hashes) * dim, np.float32))
    rows = pa.table({"content_hash": hashes, "vector": vectors})
    return writing.write_part(lake.embeddings, rows, partition, ("vector",))


def measure(name: str, path: Path) -> dict[str, float]:
    """Ask a question several times; return processor seconds of the first and of later calls, and peak memory in MB."""
    lake = open_lake(path)
    seconds = []
    for _ in range(1 + REPEATS):
        started = time.process_time()
        QUESTIONS[name](lake)
        seconds.append(time.process_time() - started)
    return {"first_s": seconds[0], "again_s": statistics.median(seconds[1:]), "peak_mb": peak_mb()}


def _open_parts(lake: Lake) -> None:
    for root in tables(lake):
        delta.sound_parts(delta.read_snapshot(root))


QUESTIONS: Final[dict[str, Callable[[Lake], Any]]] = {
    "connect": lambda lake: lake.connect().close(),
    "query": lambda lake: lake.query("SELECT count(*) FROM rows WHERE nelements = 3"),
    "parts": _open_parts,
    "status": status,
    "datasets": list_datasets,
}

if __name__ == "__main__":
    main()
