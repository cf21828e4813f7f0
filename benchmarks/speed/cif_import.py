"""Import of CIFs on one core, and agreement of the reader with pymatgen on every one of them.

python -m benchmarks.speed.cif_import
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.helpers.common import STRUCTURES, in_child, peak_mb, report

REPEATS = 3
SHOWN = 20


def texts() -> list[str]:
    """Return all CIFs."""
    found: list[str] = pq.read_table(STRUCTURES, columns=["cif"])["cif"].to_pylist()
    return found


def on_one_core(function: Callable[[], int]) -> dict[str, Any]:
    """Run something on one core; return wall and processor time, which differ on a machine that is not idle."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    wall, processor = time.perf_counter(), time.process_time()
    count = function()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {"crystals": count, "wall_s": wall, "processor_s": processor, "peak_mb": round(peak_mb())}


def whole_import() -> int:
    """Import all crystals: parse, check, hash, write, commit."""
    from matlake import import_table, open_lake

    with tempfile.TemporaryDirectory() as folder:
        imported = import_table(open_lake(Path(folder) / "lake", create=True), STRUCTURES, "mp")
    if imported.failed:
        raise RuntimeError(f"{imported.failed} crystals failed: {imported.examples}")
    return imported.rows


def parse_only() -> int:
    """Read all texts and keep nothing."""
    from matlake.materials.structure_files import parse_structure

    found = texts()
    for text in found:
        parse_structure(text)
    return len(found)


def gemmi_syntax() -> int:
    """Let gemmi split all texts into tags and values, the part that is not ours."""
    from gemmi import cif

    return sum(len(cif.read_string(text)) for text in texts())


def agreement() -> dict[str, Any]:
    """Hold every crystal against pymatgen's."""
    from matlake.errors import StructureError
    from matlake.materials.structure_files import parse_structure
    from tests.pymatgen_referee import difference, read_with_pymatgen

    outcomes: Counter[str] = Counter()
    differences: list[dict[str, Any]] = []
    wall = processor = 0.0
    for row, text in enumerate(texts()):
        try:
            started = time.perf_counter(), time.process_time()
            theirs = read_with_pymatgen(text)
            wall += time.perf_counter() - started[0]
            processor += time.process_time() - started[1]
            found = difference(parse_structure(text), theirs)
        except StructureError as error:
            found = str(error)
        outcomes["differ" if found else "agree"] += 1
        if found and len(differences) < SHOWN:
            differences.append({"row": row, "difference": found})
    return {
        **outcomes,
        "crystals": outcomes.total(),
        "differences": differences,
        "wall_s": wall,
        "processor_s": processor,
        "peak_mb": round(peak_mb()),
    }


PARTS: dict[str, Callable[[], int]] = {"import": whole_import, "parse": parse_only, "gemmi": gemmi_syntax}
LABELS = {
    "import": "whole import: parse, checks, hashes, Parquet, commit",
    "parse": "of which text to checked crystal",
    "gemmi": "of which gemmi's syntax",
    "pymatgen": "pymatgen, text to structure",
}


def main() -> None:
    """Run each part in processes of its own."""
    if not STRUCTURES.exists():
        sys.exit(f"this benchmark needs the crystals at {STRUCTURES}")
    script = Path(__file__)
    runs = {part: [in_child(script, part) for _ in range(REPEATS)] for part in PARTS}
    agreed = in_child(script, "agreement")
    median = {
        part: {key: statistics.median(run[key] for run in found) for key in ("wall_s", "processor_s", "peak_mb")}
        for part, found in runs.items()
    }
    count = agreed["crystals"]
    median["pymatgen"] = agreed
    rows = [
        [LABELS[part], f"{count / found['processor_s']:,.0f}", f"{found['peak_mb']:,.0f}"]
        for part, found in median.items()
    ]
    header = ["what", "crystals a second of processor time", "peak memory, MB"]
    report(Path(__file__), {"runs": runs, "agreement": agreed}, header, rows)
    print(f"{agreed.get('agree', 0):,} of {count:,} crystals agree with pymatgen", agreed["differences"])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        part = sys.argv[1]
        print(json.dumps(agreement() if part == "agreement" else on_one_core(PARTS[part])))
    else:
        main()
