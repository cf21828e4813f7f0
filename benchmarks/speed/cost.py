"""What 10^8 and 10^9 crystals cost, on paper: unit costs that this script measures, multiplied and priced.

The table of docs/guides/scale.md is ``cost_table`` of the results beside this script; a test computes it again.
"""

import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

import matlake
from benchmarks.helpers.common import STRUCTURES, report, results_of
from matlake.encoders.card import InputKind
from matlake.encoders.shard_sizes import MOST_CONTENTS
from matlake.store.embedding.commits import COMMIT_SECONDS
from matlake.store.maintenance.compact import PART_BYTES
from matlake.store.tables import delta
from matlake.store.tables.parts import DIGEST_CHARACTERS, part_name
from matlake.store.tables.writing import Part

HERE: Final = Path(__file__)

PRICES: Final[Mapping[str, float]] = {
    "core_hour": 0.0446,
    "gigabyte_month": 0.023,
    "thousand_puts": 0.005,
    "thousand_gets": 0.0004,
}
"""US dollars. An assumption: list prices of Amazon Web Services in us-east-1, read in 2025: a quarter of an hour of
c7i.xlarge (four virtual cores, on demand); S3 Standard, first 50 TB; PUT and LIST; GET. Traffic within the region is
free. Change them and run the script to have the table for another store."""

SIZES: Final = (10**6, 10**8, 10**9)
ENCODER: Final = "cgcnn-mp-formation-energy"
SAMPLE: Final = 8_000
WARM: Final = 500
"""Crystals that are imported and embedded before the clock starts: kernels are compiled at the first."""

LOGS: Final = (100, 1_000, 10_000)
"""Parts of the tables whose commits and openings are timed."""

SHARD_CRYSTALS: Final = MOST_CONTENTS[InputKind.CRYSTAL]["cpu"]
COMMITS: Final = 20
READ_BYTES: Final = 8 << 20
"""Of one GET when vectors are read for training: a row group."""

UPLOAD_BYTES: Final = 16 << 20
"""Of one PUT of an upload in pieces."""

CORES: Final = 8
"""Of a process of ``embed``, one of many: an assumption."""

REQUESTS_A_COMMIT: Final = {"put": 2, "get": 4}
"""An entry of the log is put once on condition that it is not there, a checkpoint now and then; the log is listed and
its newest entries are read before, and once more where another writer was faster."""

SECONDS_A_REQUEST: Final = 0.03
"""Of a store in the same region: an assumption. The requests of a commit follow each other."""


def measure() -> dict[str, Any]:
    """Return the unit costs, by units in their names."""
    with tempfile.TemporaryDirectory() as name:
        return {**_crystals(Path(name)), "logs": [_log(Path(name) / f"log{parts}", parts) for parts in LOGS]}


def _crystals(folder: Path) -> dict[str, float]:
    """Import and embed real crystals, and look at what that took on one core."""
    structures = pq.read_table(STRUCTURES)
    pq.write_table(structures.slice(0, WARM), folder / "warm.parquet")
    pq.write_table(structures.slice(WARM, SAMPLE), folder / "sample.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "warm.parquet", "warm")
    matlake.embed(lake, ENCODER, workers=1)
    started = time.process_time()
    rows = matlake.import_table(lake, folder / "sample.parquet", "sample").rows
    imported = time.process_time()
    vectors = matlake.embed(lake, ENCODER, workers=1).embedded
    embedded = time.process_time()
    (dimension,) = lake.query("SELECT len(vector) AS d FROM embeddings LIMIT 1")["d"].to_pylist()
    matlake.compact(lake, retention_hours=0)
    return {
        "crystals": rows,
        "numbers_a_vector": dimension,
        "import_core_seconds_a_crystal": (imported - started) / rows,
        "embed_core_seconds_a_crystal": (embedded - imported) / vectors,
        "dataset_bytes_a_crystal": _bytes_of(lake.dataset("sample")) / rows,
        "vector_bytes_a_crystal": _bytes_of(lake.embeddings) / len(lake.query("FROM embeddings SELECT material_id")),
    }


def _bytes_of(root: Any) -> int:
    table = delta.open_table(root)
    if table is None:
        raise FileNotFoundError(root)
    return sum(part.size for part in delta.live_parts(table))


def _log(root: Path, parts: int) -> dict[str, float]:
    """Time commits to a table of so many parts, and how long it takes to open; the parts themselves are not there."""
    schema = pa.schema([("partition", pa.string()), ("content_hash", pa.string())])
    delta.create_table(root, schema, ["partition"])
    named = [_part(number) for number in range(parts)]
    table = DeltaTable(str(root))
    delta.commit(root, table, named, "append", "first", "")
    table = DeltaTable(str(root))
    table.create_checkpoint()
    seconds = []
    for number in range(COMMITS):
        started = time.perf_counter()
        delta.commit(root, table, [_part(parts + number)], "append", "next", "")
        table.update_incremental()
        seconds.append(time.perf_counter() - started)
    opening = []
    for _ in range(3):
        started = time.perf_counter()
        delta.live_parts(DeltaTable(str(root)))
        opening.append(time.perf_counter() - started)
    log = root / "_delta_log"
    (checkpoint,) = log.glob("*.checkpoint*.parquet")
    return {
        "parts": parts,
        "commit_seconds": statistics.median(seconds),
        "open_seconds": statistics.median(opening),
        "checkpoint_bytes_a_part": checkpoint.stat().st_size / parts,
        "entry_bytes": max(log.glob("*.json")).stat().st_size,
    }


def _part(number: int) -> Part:
    digest = hashlib.sha256(str(number).encode()).hexdigest()[:DIGEST_CHARACTERS]
    return Part(f"partition=a/{part_name(digest)}", {"partition": "a"}, PART_BYTES, 1000)


def on_paper(units: Mapping[str, Any], crystals: int, prices: Mapping[str, float] = PRICES) -> dict[str, float]:
    """Return what so many crystals and one vector of each take: bytes, parts, requests, core-hours and dollars.

    Args:
        units: As ``measure`` returns them.
        crystals: Their number.
        prices: As ``PRICES`` has them.
    """
    kept = [crystals * units[f"{kind}_bytes_a_crystal"] for kind in ("dataset", "vector")]
    shards, written = crystals / SHARD_CRYSTALS, max(1.0, crystals / _crystals_a_commit(units))
    parts = sum(max(1, round(size / PART_BYTES)) for size in kept)
    commits = written + parts
    # every vector is put in its shard, read again to be part of what a commit adds, and put again by compact
    puts = shards + written + sum(kept) / UPLOAD_BYTES + 2 * parts + commits * REQUESTS_A_COMMIT["put"]
    gets = kept[0] / READ_BYTES + 2 * (shards + written) + commits * REQUESTS_A_COMMIT["get"]
    hours = {kind: crystals * units[f"{kind}_core_seconds_a_crystal"] / 3600 for kind in ("import", "embed")}
    reading = kept[1] / READ_BYTES
    return {
        "crystals": crystals,
        "dataset_gigabytes": kept[0] / 1e9,
        "vector_gigabytes": kept[1] / 1e9,
        "written": written,
        "parts": parts,
        "commits": commits,
        "puts": puts,
        "gets": gets,
        "import_core_hours": hours["import"],
        "embed_core_hours": hours["embed"],
        "dollars_once": sum(hours.values()) * prices["core_hour"]
        + puts / 1000 * prices["thousand_puts"]
        + gets / 1000 * prices["thousand_gets"],
        "dollars_a_month": sum(kept) / 1e9 * prices["gigabyte_month"],
        "dollars_a_reading": reading / 1000 * prices["thousand_gets"],
    }


def _crystals_a_commit(units: Mapping[str, Any]) -> float:
    return float(CORES * COMMIT_SECONDS / units["embed_core_seconds_a_crystal"])


def one_committer(units: Mapping[str, Any]) -> list[dict[str, float]]:
    """Return for each size of a table how many processes can commit to its log, and what they embed."""
    waiting = SECONDS_A_REQUEST * sum(REQUESTS_A_COMMIT.values())
    rows = []
    for log in units["logs"]:
        processes = {
            place: COMMIT_SECONDS / (log["commit_seconds"] + seconds)
            for place, seconds in (("folder", 0.0), ("bucket", waiting))
        }
        rate = processes["bucket"] * _crystals_a_commit(units) / COMMIT_SECONDS
        rows.append({**log, **processes, "cores": CORES * processes["bucket"], "crystals_a_second": rate})
    return rows


COLUMNS: Final = {
    "crystals": "crystals",
    "dataset_gigabytes": "dataset, GB",
    "vector_gigabytes": "vectors, GB",
    "written": "parts written by embed",
    "parts": "parts after compaction",
    "puts": "PUTs",
    "gets": "GETs",
    "import_core_hours": "import, core-h",
    "embed_core_hours": "embed, core-h",
    "dollars_once": "import and embed, $",
    "dollars_a_month": "storage, $ per month",
    "dollars_a_reading": "reading all vectors, $",
}
COMMITTER_COLUMNS: Final = {
    "parts": "parts in the table",
    "commit_seconds": "one commit, s",
    "open_seconds": "opening the table, s",
    "checkpoint_bytes_a_part": "checkpoint, bytes per part",
    "folder": "processes, folder",
    "bucket": "processes, bucket",
    "cores": "cores, bucket",
    "crystals_a_second": "crystals/s, bucket",
}


def tables(document: Mapping[str, Any]) -> list[list[str]]:
    """Return the two tables of docs/guides/scale.md as lines of Markdown."""
    units = document["units"]
    return [
        _markdown(COLUMNS, [on_paper(units, crystals) for crystals in SIZES]),
        _markdown(COMMITTER_COLUMNS, one_committer(units)),
    ]


def _markdown(columns: Mapping[str, str], rows: list[dict[str, float]]) -> list[str]:
    header = [f"| {' | '.join(columns.values())} |", f"| {' | '.join('---:' for _ in columns)} |"]
    return [*header, *(f"| {' | '.join(_shown(row[name]) for name in columns)} |" for row in rows)]


def _shown(value: float) -> str:
    if value >= 1000:  # noqa: PLR2004 - three digits are shown
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def main() -> None:
    """Measure, and print the tables."""
    units = measure()
    report(
        HERE,
        {"units": units, "prices_usd": dict(PRICES)},
        ["unit", "measured"],
        [[name, json.dumps(value)] for name, value in units.items()],
    )
    document = json.loads(results_of(HERE).read_text())
    print("\n" + "\n\n".join("\n".join(lines) for lines in tables(document)))


if __name__ == "__main__":
    main()
