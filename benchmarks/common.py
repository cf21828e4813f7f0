"""What all benchmarks share: repeated child processes, medians, one JSON file and one table each."""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
"""Lines of a page that tables stand between."""

OQMD = Path(__file__).parents[2] / "shared" / "data" / "oqmd.parquet"
ENCODER = "elemnet-oqmd-formation-energy"


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, versions."""
    import deltalake
    import duckdb
    import onnxruntime
    import pyarrow as pa

    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": model[0].partition(": ")[2] if model else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "duckdb": duckdb.__version__,
        "pyarrow": pa.__version__,
        "deltalake": deltalake.__version__,
    }


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def median_time(function: Callable[[], Any], repeats: int = 5) -> float:
    """Return the median seconds of several calls, after one that is not counted."""
    function()
    return statistics.median(timed(function) for _ in range(repeats))


def peak_mb() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_child(script: Path, *arguments: str) -> dict[str, Any]:
    """Run a part of a benchmark in a fresh process, so that memory and caches are its own."""
    done = subprocess.run([sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True, check=True)
    document = json.loads(done.stdout.splitlines()[-1])
    if not isinstance(document, dict):
        raise TypeError(f"{script} printed {document!r}")
    return document


def report(name: str, document: dict[str, Any], header: list[str], rows: list[list[str]]) -> None:
    """Write ``results/NAME.json`` and print the figures as a Markdown table."""
    write_results(RESULTS / f"{name}.json", document)
    print_table(header, rows)


def write_results(path: Path, document: dict[str, Any]) -> None:
    """Write figures, and the machine that they are from."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **document}, indent=1) + "\n")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print(table(header, rows))


def fill_page(page: Path, parts: list[str]) -> None:
    """Replace what stands between the marks of a page of this folder."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text("\n\n".join([f"{before}{BEGIN}", *parts, f"{END}{after}"]))


def needs_oqmd() -> None:
    """Stop with a reason when the development data is absent."""
    if not OQMD.exists():
        sys.exit(f"this benchmark needs the OQMD table at {OQMD}")
