"""What all benchmarks share: fresh processes, medians, one JSON file, one table and few pictures each."""

import io
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT: Final = Path(__file__).parents[2]
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"
"""Lines of a page that tables stand between."""

DATA: Final = ROOT.parent / "shared" / "data"
"""Development data, beside the checkout."""

OQMD = DATA / "oqmd.parquet"
STRUCTURES = DATA / "mp_structures.parquet"
ENCODER = "elemnet-oqmd-formation-energy"
DIGITS: Final = 6
PICTURE_COLOURS: Final = 128
"""Of a PNG: a third of the bytes, and nobody sees the difference in a plot."""


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


def module_of(script: Path) -> str:
    """Return the name by which ``python -m`` runs a script of this folder."""
    return ".".join(script.relative_to(ROOT).with_suffix("").parts)


def in_child(script: Path, *arguments: str) -> dict[str, Any]:
    """Run a part of a benchmark in a fresh process, so that memory and caches are its own."""
    command = [sys.executable, "-m", module_of(script), *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    document = json.loads(done.stdout.splitlines()[-1])
    if not isinstance(document, dict):
        raise TypeError(f"{script} printed {document!r}")
    return document


def results_of(script: Path) -> Path:
    """Return ``results/NAME.json`` beside a benchmark."""
    return script.parent / "results" / f"{script.stem}.json"


def report(script: Path, document: dict[str, Any], header: list[str], rows: list[list[str]]) -> None:
    """Write the figures of a benchmark and print them as a Markdown table."""
    write_results(results_of(script), document)
    print_table(header, rows)


def write_results(path: Path, document: dict[str, Any], indent: int | None = 1) -> None:
    """Write figures, and the machine that they are from."""
    path.parent.mkdir(exist_ok=True)
    figures = rounded({"machine": machine(), **document})
    path.write_text(json.dumps(figures, indent=indent, ensure_ascii=False) + "\n")


def rounded(value: Any) -> Any:
    """Return a document whose numbers have ``DIGITS`` digits: more than any benchmark repeats, in half of the bytes."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def save_picture(figure: "Figure", path: Path) -> str:
    """Save an SVG with the same bytes for the same numbers; return its name."""
    from matplotlib import rc_context

    path.parent.mkdir(exist_ok=True)
    with rc_context({"svg.hashsalt": "matlake", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
    return path.name


def small_png(content: bytes) -> bytes:
    """Return a PNG file with few colours."""
    from PIL import Image

    small = io.BytesIO()
    image = Image.open(io.BytesIO(content)).convert("RGB").quantize(PICTURE_COLOURS, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True)
    return small.getvalue()


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    print(table(header, rows))


def fill_page(page: Path, parts: list[str], begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between the marks of a page of this folder."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text("\n\n".join([f"{before}{begin}", *parts, f"{end}{after}"]))


def needs_oqmd() -> None:
    """Stop with a reason when the development data is absent."""
    if not OQMD.exists():
        sys.exit(f"this benchmark needs the OQMD table at {OQMD}")
