"""Stores of embeddings side by side: ingest, search, join, export of a training matrix, kills and two writers.

    python -m benchmarks.speed.store [--peers PYTHON] [--rows 200000]

The others are run by the Python of an environment in which they are installed; one that is missing there is left out,
with a line. Every task has a process of its own. Times are processor seconds, which a busy machine changes little.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.helpers.common import ENCODER, OQMD, ROOT, needs_oqmd, results_of, table, write_results
from benchmarks.helpers.store_kinds import FILTERS, NEEDS, STORES, K, mask, matrix, queries

KINDS: Final = ROOT / "benchmarks" / "helpers" / "store_kinds.py"
LIMIT_S: Final = 420
"""No task may take longer."""

CRASH_ROWS: Final = 20_000
"""Rows of the tests with kills and two writers."""

KILLS: Final = (0.4, 0.8)
"""Shares of an undisturbed ingest after which it is killed."""


def main() -> None:
    """Run all stores, and write the figures and the page."""
    needs_oqmd()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=sys.executable, help="Python in whose environment the other stores are")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--stores", nargs="*", default=[*STORES], help="only these; figures of the others stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as text:
        folder = Path(text)
        data, labels, small = _prepare(folder, given.rows)
        truth = _truth(data)
        found: dict[str, Any] = {}
        if given.stores != [*STORES] and results_of(Path(__file__)).exists():
            found = json.loads(results_of(Path(__file__)).read_text())["stores"]
        for name in given.stores:
            python = sys.executable if name == "matlake" else given.peers
            if name in NEEDS and not _has(python, NEEDS[name]):
                print(f"{name} is left out: {NEEDS[name]} is not installed beside {python}")
                continue
            found[name] = _measure(Runner(name, python, folder / name), data, labels, small, truth)
            write_results(results_of(Path(__file__)), {"rows": given.rows, "stores": found})
            print(_table(found), flush=True)


class Runner:
    """Runs tasks of one store, each in a process of its own."""

    def __init__(self, name: str, python: str, folder: Path) -> None:
        """Make the folder of the store."""
        self.name, self.python, self.folder = name, python, folder
        folder.mkdir()

    def start(self, task: str, place: str, data: Path, *rest: str) -> subprocess.Popen[str]:
        """Start a task in a folder of its own name."""
        (self.folder / place).mkdir(exist_ok=True)
        command = [self.python, str(KINDS), self.name, task, str(self.folder / place), str(data), *rest]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder
        )

    def run(self, task: str, place: str, data: Path, *rest: str) -> dict[str, Any]:
        """Run a task, and return what it says; ``error`` where it fails or takes too long."""
        return self.finish(self.start(task, place, data, *rest))

    def finish(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """Wait for a task."""
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"error": f"more than {LIMIT_S} s"}
        if process.returncode:
            last = (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            return {"error": last.replace(str(self.folder), self.name)[:100]}
        document: dict[str, Any] = json.loads(out.splitlines()[-1])
        return document


def _measure(runner: Runner, data: Path, labels: Path, small: Path, truth: dict[str, list[set[str]]]) -> dict[str, Any]:
    found: dict[str, Any] = {"ingest": runner.run("ingest", "whole", data)}
    if "error" not in found["ingest"]:
        found["search"] = _scored(runner.run("search", "whole", data), truth)
        found["aggregate"] = runner.run("aggregate", "whole", labels)
        found["export"] = runner.run("export", "whole", data)
    found["kills"] = _killed(runner, small)
    found["two writers"] = _two_writers(runner, small)
    return found


def _killed(runner: Runner, data: Path) -> list[dict[str, Any]]:
    """Kill an ingest at several moments; say what is readable then, and what a second run of the same makes of it."""
    started = time.monotonic()
    whole = runner.run("ingest", "undisturbed", data)
    seconds = time.monotonic() - started
    if "error" in whole:
        return [whole]
    results = []
    for share in KILLS:
        place = f"killed at {share}"
        process = runner.start("ingest", place, data)
        time.sleep(share * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        after = runner.run("count", place, data)
        again = runner.run("ingest", place, data)
        results.append({"after": after, "again": again.get("error"), "end": runner.run("count", place, data)})
    return results


def _two_writers(runner: Runner, data: Path) -> dict[str, Any]:
    """Let two processes write half of the rows each at the same time."""
    if runner.name == "matlake":  # the table is there; what is made together is its vectors
        runner.run("ingest", "two", data, "import")
    writers = [runner.start("ingest", "two", data, part) for part in ("first", "second")]
    errors = [runner.finish(writer).get("error") for writer in writers]
    return {"errors": [error for error in errors if error], "end": runner.run("count", "two", data)}


def _prepare(folder: Path, rows: int) -> tuple[Path, Path, Path]:
    """Write the table that all stores get, one of labels, and a small one."""
    import matlake

    source = pq.read_table(OQMD)
    source = source.slice(0, min(rows, source.num_rows)).select(
        ["formula", "band_gap_eV", "formation_energy_eV_per_atom"]
    )
    lake = matlake.open_lake(folder / "source", create=True)
    lake.add(source, dataset="oqmd", progress=False)
    lake.embed(f"{ENCODER}@11", progress=False)
    with lake.connect() as connection:
        made = connection.sql(
            "SELECT m.material_id, m.formula, m.nelements, m.band_gap_eV, m.formation_energy_eV_per_atom, "
            f'e.vector::FLOAT[] AS vector FROM oqmd AS m JOIN embed."{ENCODER}@11" AS e USING (material_id) '
            "ORDER BY len(material_id), material_id"
        ).to_arrow_table()
    if rows > made.num_rows:
        made = _repeated(made, rows)
    pq.write_table(made, folder / "data.parquet")
    pq.write_table(made.slice(0, min(CRASH_ROWS, rows)), folder / "small.parquet")
    names = made["material_id"].take(pa.array(np.random.default_rng(0).permutation(made.num_rows)[: rows // 4]))
    label = np.random.default_rng(1).normal(size=len(names))
    pq.write_table(
        pa.table({"material_id": names, "label": label, "formula": ["Si"] * len(names)}), folder / "labels.parquet"
    )
    return folder / "data.parquet", folder / "labels.parquet", folder / "small.parquet"


def _repeated(made: pa.Table, rows: int) -> pa.Table:
    """Return real rows several times, their vectors with a little noise."""
    generator = np.random.default_rng(2)
    tables = []
    for number in range(-(-rows // made.num_rows)):
        vectors = matrix(made["vector"])
        vectors = vectors * (1 + 0.05 * generator.normal(size=vectors.shape).astype(np.float32))
        offsets = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
        names = pa.array([f"oqmd-{number * made.num_rows + row}" for row in range(made.num_rows)])
        again = made.set_column(0, "material_id", names)
        again = again.set_column(
            again.num_columns - 1, "vector", pa.ListArray.from_arrays(offsets, vectors.astype(np.float32).ravel())
        )
        tables.append(again)
    return pa.concat_tables(tables).slice(0, rows)


def _truth(data: Path) -> dict[str, list[set[str]]]:
    """Return the nearest of each query by distances in float64, for each condition: all as near as the last."""
    rows = pq.read_table(data)
    vectors, names = matrix(rows["vector"]), np.array(rows["material_id"].to_pylist())
    found: dict[str, list[set[str]]] = {}
    for label, condition in (("all", None), *((each[0], each) for each in FILTERS)):
        counted = np.ones(len(names), bool) if condition is None else mask(rows[condition[0]].to_numpy(), condition)
        found[label] = []
        for vector in queries(data):
            distances = np.linalg.norm((vectors[counted] - vector).astype(np.float64), axis=1)
            bound = np.partition(distances, K - 1)[K - 1]
            found[label].append(set(names[counted][distances <= bound * (1 + 1e-6)]))
    return found


def _scored(searched: dict[str, Any], truth: dict[str, list[set[str]]]) -> dict[str, Any]:
    """Put the recall in the place of what was found."""
    for label, expected in truth.items():
        if label in searched:
            found = searched[label].pop("found")
            shares = [len(set(near) & true) / K for near, true in zip(found, expected, strict=True)]
            searched[label]["recall"] = float(np.mean(shares))
    return searched


def _has(python: str, module: str) -> bool:
    return not subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode


def _table(found: dict[str, Any]) -> str:
    heading = ["", "ingest, s", "search, ms", "few selected, ms", "many selected, ms", "recall"]
    heading += ["join, ms", "matrix, ms", "killed", "two writers"]
    return table(heading, [_row(name, one) for name, one in found.items()])


def _row(name: str, one: dict[str, Any]) -> list[str]:
    search = one.get("search", {"error": "-"})
    labels = ["all", *(each[0] for each in FILTERS)]
    cells = [name, _cell(one["ingest"], 1.0, ".1f")]
    cells += [_cell(search.get(label, search), 1e3, ".1f") for label in labels]
    cells += ["-" if "error" in search else " / ".join(f"{search[label]['recall']:.3f}" for label in labels)]
    cells += [_cell(one.get(task, {"error": "-"}), 1e3, ".0f") for task in ("aggregate", "export")]
    return [*cells, _outcome(one["kills"]), _writers(one["two writers"])]


def _cell(document: dict[str, Any], factor: float, form: str) -> str:
    return str(document["error"])[:40] if "error" in document else format(factor * document["cpu_s"], form)


def _outcome(kills: list[dict[str, Any]]) -> str:
    """Say after how many of the kills the store could be read, and after how many a rerun made it whole."""
    readable = sum("error" not in kill.get("after", kill) for kill in kills)
    whole = sum(kill.get("end", {}).get("rows") == kill.get("end", {}).get("materials") == CRASH_ROWS for kill in kills)
    return f"read {readable}, whole after a rerun {whole} of {len(kills)}"


def _writers(two: dict[str, Any]) -> str:
    end = two["end"]
    if "error" in end:
        return f"unreadable: {end['error'][:40]}"
    return f"{end['materials']:,} materials in {end['rows']:,} rows" + (
        f"; {len(two['errors'])} failed" if two["errors"] else ""
    )


if __name__ == "__main__":
    main()
