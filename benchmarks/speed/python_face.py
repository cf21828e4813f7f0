"""The Python face on one core: structures added from memory, ``encode`` beside ``embed``, and how fast things start.

    python -m benchmarks.speed.python_face [--rows N] [--added N] [--rounds N]

Each number is the median of fresh processes, in processor seconds; kernels are compiled before, except where compiling
is what is timed. Structures are made before the clock starts, so both sides of a comparison have imported pymatgen.
Needs the development data and the extra ``dev``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.helpers.common import STRUCTURES, in_child, peak_mb, report

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

ENCODERS: Final = ("magpie", "geometry", "chgnet-mptrj@all")
ROCK_SALT: Final = "MgO\n4.21\n.5 .5 0\n0 .5 .5\n.5 0 .5\nMg O\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
ADD_GOAL, RATIO_GOAL, IMPORT_GOAL_S, FIRST_GOAL_S = 3000, 1.15, 0.15, 1.5


def structures(count: int) -> "list[Structure]":
    """Return pymatgen structures of the Materials Project, in random order; beyond 23,122 they come again."""
    import pyarrow.parquet as pq
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    from matlake.materials.structure_files import parse_structure

    texts = pq.read_table(STRUCTURES, columns=["cif"])["cif"]
    rows = np.random.default_rng(0).permutation(len(texts))[:count]
    crystals = [parse_structure(texts[int(row)].as_py()) for row in rows]
    made = [Structure(Lattice(one.lattice), one.numbers.tolist(), one.positions) for one in crystals]
    return [made[row % len(made)] for row in range(count)]


def timed(function: Callable[[], Any]) -> dict[str, float]:
    """Return wall and processor seconds, and the memory that was reached beyond that at the start, in MB."""
    before, wall, processor = peak_mb(), time.perf_counter(), time.process_time()
    function()
    return {
        "processor_s": time.process_time() - processor,
        "wall_s": time.perf_counter() - wall,
        "added_mb": peak_mb() - before,
    }


def add(form: str, count: int) -> dict[str, float]:
    """Add structures to a lake, as a list or as a column of a DataFrame."""
    import pandas as pd

    found = structures(count)
    from matlake.api.adding import add as add_to
    from matlake.store.lake import open_lake

    what = found if form == "list" else pd.DataFrame({"structure": found, "row": range(count)})
    with tempfile.TemporaryDirectory() as folder:
        lake = open_lake(Path(folder) / "lake", create=True)
        return timed(lambda: add_to(lake, what, "mp"))


def encode(encoder: str, count: int) -> dict[str, float]:
    """Encode structures, what is imported and opened included."""
    found = structures(count)

    def run() -> None:
        import matlake

        matlake.encode(found, encoder, workers=1, return_failures=True)

    return timed(run)


def embed(encoder: str, count: int) -> dict[str, float]:
    """Embed the same structures from a lake that another process filled, what is imported and opened included."""
    found = structures(count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lake"
        if os.fork() == 0:  # imports of the import do not count
            from matlake.api.adding import add as add_to
            from matlake.store.lake import open_lake

            add_to(open_lake(path, create=True), found, "mp")
            os._exit(0)
        os.wait()

        def run() -> None:
            import matlake

            matlake.embed(matlake.open_lake(path), [encoder], workers=1)

        return timed(run)


def first(encoder: str) -> dict[str, float]:
    """Encode one structure: everything is imported, opened and loaded from numba's cache for it."""

    def run() -> None:
        import matlake

        matlake.encode(ROCK_SALT, encoder, workers=1)

    return timed(run)


def import_seconds() -> float:
    """Return the processor seconds that ``import matlake`` takes in a fresh interpreter."""
    code = "import time; t = time.process_time(); import matlake; print(time.process_time() - t)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def first_without_cache(encoder: str) -> dict[str, Any]:
    """Encode one structure where numba's cache is empty, as after an installation."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        try:
            return in_child(Path(__file__), "first", encoder)
        finally:
            del os.environ["NUMBA_CACHE_DIR"]


def main() -> None:
    """Run every part in processes of its own, in turn."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--added", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not STRUCTURES.exists():
        sys.exit(f"this benchmark needs the crystals at {STRUCTURES}")
    script = Path(__file__)
    for encoder in ENCODERS:
        in_child(script, "encode", encoder, "50")  # compiles
    parts = [
        *(("add", form, str(options.added)) for form in ("list", "DataFrame")),
        *((name, encoder, str(options.rows)) for encoder in ENCODERS for name in ("encode", "embed")),
        *(("first", encoder) for encoder in ENCODERS),
    ]
    runs: dict[tuple[str, ...], list[dict[str, Any]]] = {part: [] for part in parts}
    imports: list[float] = []
    for _ in range(options.rounds):
        imports.append(import_seconds())
        for part, found in runs.items():
            found.append(in_child(script, *part))
    seconds = {part: statistics.median(run["processor_s"] for run in found) for part, found in runs.items()}
    compiled = {encoder: first_without_cache(encoder)["processor_s"] for encoder in ENCODERS}
    rows = [["`import matlake`", f"{statistics.median(imports):.3f} s", f"{IMPORT_GOAL_S} s"]]
    for form in ("list", "DataFrame"):
        rate = options.added / seconds["add", form, str(options.added)]
        rows.append([f"`add` of {options.added:,} structures, {form}", f"{rate:,.0f}/s", f"{ADD_GOAL:,}/s"])
    for encoder in ENCODERS:
        mine, theirs = (seconds[name, encoder, str(options.rows)] for name in ("encode", "embed"))
        what = f"`encode` of {options.rows:,}, `{encoder}`: {mine:.2f} s, `embed` {theirs:.2f} s"
        rows.append([what, f"{mine / theirs:.2f} ×", f"{RATIO_GOAL} ×"])
    for encoder in ENCODERS:
        rows.append([f"first `encode` of one, `{encoder}`", f"{seconds['first', encoder]:.2f} s", f"{FIRST_GOAL_S} s"])
        rows.append([f"the same, kernels to compile, `{encoder}`", f"{compiled[encoder]:.1f} s", ""])
    document = {
        "rows": options.rows,
        "added": options.added,
        "import_s": imports,
        "runs": {" ".join(part): found for part, found in runs.items()},
        "first_without_cache_s": compiled,
    }
    report(script, document, ["what", "one core", "goal"], rows)


if __name__ == "__main__":
    PARTS: dict[str, Callable[..., dict[str, float]]] = {"add": add, "encode": encode, "embed": embed, "first": first}
    if len(sys.argv) > 1 and sys.argv[1] in PARTS:
        print(json.dumps(PARTS[sys.argv[1]](*[int(one) if one.isdecimal() else one for one in sys.argv[2:]])))
    else:
        main()
