"""Every command at 10^4, 10^5, 10^6 and more materials: seconds, processor seconds, and the peak of memory.

    python -m benchmarks.speed.scale --folder FOLDER

Compositions and crystals are made from real ones by substitution and strain. Each command is a process of its own. What
is done is kept in FOLDER: run the same command again after an interruption, or with more ``--rows``. ``--collect`` only
writes the table of what was measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.helpers.common import ENCODER, machine, print_table, results_of, rounded
from benchmarks.helpers.scale_tables import LABELLED, PROPERTY, write_compositions, write_crystals

ROWS: Final = {"compositions": [10_000, 100_000, 1_000_000, 3_000_000], "crystals": [10_000, 100_000, 1_000_000]}
FEATURE: Final = {"compositions": f"{ENCODER}@2", "crystals": "cgcnn-mp-formation-energy@pooled"}
SEARCHED: Final = {"compositions": "c-00000007", "crystals": "s-00000007"}
DATASET: Final = "big"


@dataclass(frozen=True)
class Step:
    """What a command took.

    Attributes:
        kind: Of materials.
        rows: Their number.
        command: Its name.
        seconds: Wall time, on a machine that may be busy with other work.
        processor_s: Processor seconds, of all threads and processes.
        peak_mb: Largest memory of a process of it, in MiB.
        outcome: What it said of its work, where it prints JSON.
    """

    kind: str
    rows: int
    command: str
    seconds: float
    processor_s: float
    peak_mb: float
    outcome: dict[str, Any]


def commands(kind: str, table: Path, workers: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands in order, each with a name."""
    feature = FEATURE[kind]
    embed = ["embed", "--encoder", feature, "--workers", str(workers), "--json"]
    total = f"SELECT nelements, count(*) AS n, avg({PROPERTY}) AS mean FROM materials GROUP BY nelements"
    read = f'SELECT sum(vector[1]) AS s FROM embed."{feature}"'
    train = ["train", "--target", PROPERTY, "--features", feature, "--model", "ridge", "--name", "energy", "--json"]
    search = ["search", "--id", SEARCHED[kind], "--encoder", feature, "-k", "10", "--json"]
    yield "import", ["import", str(table), "--dataset", DATASET, "--json"]
    yield "sql, no vectors yet", ["sql", total]
    yield "embed", embed
    yield "embed, nothing to do", embed
    yield "status", ["status", "--json"]
    yield "sql", ["sql", total]
    yield "sql, all vectors", ["sql", read]
    yield "search", search
    yield "search again", search
    yield f"train on {LABELLED:,} rows", [*train, "--where", f"{PROPERTY} IS NOT NULL"]
    yield "predict --save", ["predict", "energy", "--dataset", DATASET, "--save", "--json"]
    yield "predict --save, nothing to do", ["predict", "energy", "--dataset", DATASET, "--save", "--json"]
    yield "check", ["check", "--json"]
    yield "compact", ["compact", "--retention-hours", "0", "--json"]


def measured(arguments: list[str], lake: Path) -> tuple[float, float, float, dict[str, Any]]:
    """Run a command in a process of its own; return seconds, processor seconds, peak in MiB, and its JSON.

    Raises:
        RuntimeError: It failed.
    """
    command = [sys.executable, "-m", "matlake", "--lake", str(lake), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (lake.parent / "output.txt").open("w+b") as output, (lake.parent / "errors.txt").open("w+b") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said, complained = ((file.seek(0), file.read().decode())[1] for file in (output, errors))
    if process.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {complained[-2000:]}")
    outcome = json.loads(said) if "--json" in arguments else {}
    kept = {name: value for name, value in outcome.items() if isinstance(value, int | float | bool)}
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, kept


def run(kind: str, rows: int, options: argparse.Namespace) -> list[Step]:
    """Return what all commands took, after those that were not measured before."""
    folder = options.folder / f"{kind}-{rows}"
    folder.mkdir(parents=True, exist_ok=True)
    table, record, lake = folder / "table.parquet", folder / "steps.json", folder / "lake"
    steps = [Step(**step) for step in json.loads(record.read_text())] if record.exists() else []
    if options.collect or options.until in [step.command for step in steps]:
        return steps
    if not table.exists():
        hidden = table.with_suffix(".part")
        (write_compositions if kind == "compositions" else write_crystals)(hidden, rows)
        hidden.rename(table)
    if not steps:
        shutil.rmtree(lake, ignore_errors=True)
    for name, arguments in commands(kind, table, options.workers):
        if name not in [step.command for step in steps]:
            seconds, processor, peak, outcome = measured(arguments, lake)
            steps.append(Step(kind, rows, name, seconds, processor, peak, outcome))
            record.write_text(json.dumps([asdict(step) for step in steps]))
            print(
                f"{rows:,} {kind}: {name}: {seconds:.1f} s, {processor:.1f} s of processors, {peak:.0f} MB",
                file=sys.stderr,
            )
        if name == options.until:
            break
    return steps


def main() -> None:
    """Measure what was not measured yet; write the results and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, required=True, help="where lakes are made and steps kept")
    parser.add_argument("--kind", choices=list(ROWS), action="append", help="default: both")
    parser.add_argument(
        "--rows", type=float, action="append", help="default: 10^4 to 3·10^6 compositions, 10^4 to 10^6 crystals"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--until", help="stop behind this command")
    parser.add_argument("--collect", action="store_true", help="measure nothing")
    options = parser.parse_args()
    found: list[Step] = []
    for kind in options.kind or ROWS:
        numbers = ROWS[kind] if options.collect or not options.rows else map(int, options.rows)
        found += [step for rows in numbers for step in run(kind, rows, options)]
    results = {"machine": machine(), "load": os.getloadavg(), "steps": [asdict(step) for step in found]}
    results_of(Path(__file__)).write_text(json.dumps(rounded(results), indent=1) + "\n")
    for kind in dict.fromkeys(step.kind for step in found):
        some = [step for step in found if step.kind == kind]
        sizes = sorted({step.rows for step in some})
        by_name = {(step.command, step.rows): step for step in some}
        print_table(
            [kind, *(f"{size:,}: processor s, MB" for size in sizes)],
            [
                [name, *(_cell(by_name.get((name, size))) for size in sizes)]
                for name in dict.fromkeys(s.command for s in some)
            ],
        )
        print()


def _cell(step: Step | None) -> str:
    return "" if step is None else f"{step.processor_s:,.1f}, {step.peak_mb:,.0f}"


if __name__ == "__main__":
    main()
