"""Embedding on Ray against the threads of one process, on the same machine and in the same run.

    python -m benchmarks.speed.engines

Compositions (layer 4 of ElemNet, 1,024 numbers each) and crystals (CGCNN) are embedded by two threads and by two actors
of Ray, in fresh processes that alternate. Start-up is the time to the first vectors: it holds opening encoders and,
with Ray, starting it and its actors. Steady state is what follows a quarter of the work, when all actors have loaded
what they need. Processor seconds are those of this process and of the actors; what Ray's own processes take stands
beside them.
"""

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, STRUCTURES, in_child, needs_oqmd, report

ROUNDS: Final = 2
WORKERS: Final = 2
COMPOSITIONS: Final = 100_000
CRYSTALS: Final = 20_000
ENGINES: Final = ("local", "ray")
SHARE_BEFORE: Final = 0.25
GOAL: Final = 0.9

WORK: Final[dict[str, tuple[Path, int, str]]] = {
    "compositions": (OQMD, COMPOSITIONS, f"{ENCODER}@4"),
    "crystals": (STRUCTURES, CRYSTALS, "cgcnn-mp-formation-energy"),
}
"""What is embedded: the file, the number of its rows, and the layers."""


def processor_seconds() -> tuple[float, float]:
    """Return the processor seconds of what works: this process and the actors; and those of Ray's own processes.

    They are those of this process and of all that have sprung from it and still run.
    """
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    working = {os.getpid()}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
            if stat.with_name("cmdline").read_bytes().startswith(b"ray::MatlakeWorker"):
                working.add(pid)

    def is_ours(pid: int) -> bool:
        while pid and pid != os.getpid():
            pid = parents.get(pid, 0)
        return bool(pid)

    ours = {pid: used / os.sysconf("SC_CLK_TCK") for pid, used in ticks.items() if is_ours(pid)}
    works = sum(used for pid, used in ours.items() if pid in working)
    return works, sum(ours.values()) - works


def embed_with(engine: str, work: str) -> dict[str, Any]:
    """Embed with an engine and return the seconds of start-up, and the rates in steady state."""
    from matlake import Progress, embed, import_table, open_lake

    file, rows, layers = WORK[work]
    marks: list[tuple[float, tuple[float, float], int]] = []

    def track(done: int, _: int) -> None:
        marks.append((time.perf_counter(), processor_seconds(), done))

    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.parquet"
        pq.write_table(pq.read_table(file).slice(0, rows), table)
        lake = open_lake(Path(folder) / "lake", create=True)
        import_table(lake, table, "d")
        started = time.perf_counter()
        embed(lake, [layers], workers=WORKERS, engine=engine, progress=Progress(track=track))
        seconds = time.perf_counter() - started
    first_vectors = next(mark[0] for mark in marks if mark[2] > marks[0][2])
    steady = [mark for mark in marks if mark[2] >= marks[-1][2] * SHARE_BEFORE]
    (begin, cpu_begin, first), (end, cpu_end, last) = steady[0], steady[-1]
    return {
        "start_up_s": first_vectors - started,
        "whole_s": seconds,
        "vectors_per_s": (last - first) / (end - begin),
        "vectors_per_processor_s": (last - first) / (cpu_end[0] - cpu_begin[0]),
        "processors_of_ray_itself": (cpu_end[1] - cpu_begin[1]) / (end - begin),
    }


PARTS: Final = {f"{engine}-{work}": partial(embed_with, engine, work) for work in WORK for engine in ENGINES}


def main() -> None:
    """Run all parts in turn, several times, and report medians."""
    needs_oqmd()
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
    for _ in range(ROUNDS):
        for name, results in runs.items():
            results.append(in_child(Path(__file__), name))
            print(f"{name}: {results[-1]}", file=sys.stderr)

    def ratio(work: str, key: str) -> float:
        pairs = zip(runs[f"ray-{work}"], runs[f"local-{work}"], strict=True)
        return float(statistics.median(ray[key] / local[key] for ray, local in pairs))

    rows = []
    for work, (_, count, layers) in WORK.items():
        for engine in ENGINES:
            results = runs[f"{engine}-{work}"]
            medians = {key: statistics.median(run[key] for run in results) for key in results[0]}
            rows.append(
                [
                    f"{count:,} {work}, {layers}, {engine}",
                    f"{medians['start_up_s']:.1f}",
                    f"{medians['vectors_per_s']:,.0f}",
                    f"{medians['vectors_per_processor_s']:,.0f}",
                    f"{medians['processors_of_ray_itself']:.2f}" if engine == "ray" else "",
                ]
            )
    ratios = {work: {key: ratio(work, key) for key in ("vectors_per_s", "vectors_per_processor_s")} for work in WORK}
    header = ["what", "start-up, s", "vectors/s, steady", "vectors/processor s, steady", "Ray itself, processors"]
    report(Path(__file__), {"runs": runs, "ray_over_local": ratios}, header, rows)
    for work, found in ratios.items():
        said = ", ".join(f"{key} × {value:.2f}" for key, value in found.items())
        print(f"ray over local, {work}: {said} (goal {GOAL})")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(PARTS[sys.argv[1]]()))
    else:
        main()
