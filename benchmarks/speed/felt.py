"""What a person waits for: commands in cold processes on the quickstart's lake, and a server with a single client.

    python -m benchmarks.speed.felt [--lake LAKE] [--before CHECKOUT] [--rounds 9] [--seconds 10]

Each round runs every command once, in a process of its own; the files are in the cache of the operating system. The
best round counts, as other work on the machine only adds. The naive peer is what one would write instead
(``helpers/felt_peer.py``, and for the server ``helpers/server_peer.py``).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from benchmarks.helpers.common import ROOT, report
from benchmarks.speed import server

HEAD: Final = "expt-gap"
FORMULA: Final = "BaZrS3"
LAYER: Final = "elemnet-oqmd-formation-energy@2"
COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "help": ("--help",),
    "status": ("status", "--json"),
    "sql": ("sql", "select 1", "--format", "json"),
    "predict": ("predict", HEAD, "--formula", FORMULA, "--json"),
    "search": ("search", "--formula", FORMULA, "--encoder", LAYER, "--json"),
}
SHOWN: Final = {
    "help": "matlake --help",
    "status": "matlake status",
    "sql": 'matlake sql "select 1"',
    "predict": f"matlake predict {HEAD} --formula {FORMULA}",
    "search": f"matlake search --formula {FORMULA}",
}
GOALS_S: Final = {"help": 0.15, "status": 0.6, "sql": 0.6, "predict": 0.9, "search": 0.9}
RELEASED_S: Final = {"status": 0.65, "sql": 0.48, "predict": 2.0, "search": 1.16}
"""Wall seconds of version 0.1.0 on its own quickstart's lake, measured once; that of ``--help`` was not."""

CONTEST: Final = server.CONTESTS[0]
GOAL_OF_SERVER: Final = 1.0
"""Requests of a single client, in those that the naive peer answers."""

_OURS: Final = ("MATLAKE", "OMP", "PYTHON")
"""How the variables begin that are not those of a user's shell: one of them forbids to keep byte code."""

_LAUNCHER: Final = """
import json, os, sys, time
quiet = os.open(os.devnull, os.O_WRONLY)
started = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1)])
_, status, used = os.wait4(child, 0)
seconds = time.perf_counter() - started
if status:
    sys.exit(1)
processor = used.ru_utime + used.ru_stime
print(json.dumps({"wall_s": seconds, "processor_s": processor, "peak_mb": used.ru_maxrss / 1024}))
"""
"""Starts a command from a small process: what is started counts the memory of who starts it as its own peak."""


def main() -> None:
    """Prepare the lake, run all commands in turn, then the servers, and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lake", type=Path, help="that the quickstart has made; by default it makes one")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version, to measure as well")
    parser.add_argument("--rounds", type=int, default=9, help="processes for each command")
    parser.add_argument("--seconds", type=float, default=10.0, help="of load on a server, three times")
    parser.add_argument("--no-server", action="store_true", help="commands alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake = options.lake or quickstart(folder / "lake")
        prepare_peer(folder, lake)
        commands = measure(sides(folder, lake, options.before), options.rounds)
        served = {} if options.no_server else serve(folder, options.before, options.seconds)
    document = {"rounds": options.rounds, "load": os.getloadavg()[1], "commands": commands, "server": served}
    report(Path(__file__), document, *table(commands, served, with_before=options.before is not None))


def quickstart(lake: Path) -> Path:
    """Make the lake of the quickstart."""
    command = [sys.executable, "-m", "matlake", "--lake", str(lake), "quickstart"]
    subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=True)
    return lake


def prepare_peer(folder: Path, lake: Path) -> None:
    """Make the heads of the server, and the table of vectors that the naive peer searches."""
    from matlake import open_lake

    server.prepare(folder / "served", [CONTEST])
    found = open_lake(lake).query(f'SELECT formula, vector FROM embed."{LAYER}" JOIN expt_gap USING (material_id)')
    pq.write_table(found, folder / "vectors.parquet")


def sides(folder: Path, lake: Path, before: Path | None) -> dict[tuple[str, str], tuple[list[str], dict[str, str]]]:
    """Return the command and the variables of the environment for each thing to do and each side."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    found = {}
    for what, arguments in COMMANDS.items():
        command = [sys.executable, "-m", "matlake", "--lake", str(lake), *arguments]
        found[what, "matlake"] = command, environment | {"PYTHONPATH": str(ROOT)}
        if before is not None:
            found[what, "before"] = command, environment | {"PYTHONPATH": str(before.resolve())}
        peer = [sys.executable, "-m", "benchmarks.helpers.felt_peer", what, str(lake), str(folder), FORMULA]
        found[what, "peer"] = peer, environment | {"PYTHONPATH": str(ROOT)}
    found["python", "peer"] = [sys.executable, "-c", "pass"], environment
    return found


def measure(
    commands: dict[tuple[str, str], tuple[list[str], dict[str, str]]], rounds: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Run every command once a round, after one round that is not counted; return the least of each figure."""
    runs: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in commands}
    for number in range(rounds + 1):
        for key, (command, environment) in commands.items():
            found = run(command, environment)
            if number:
                runs[key].append(found)
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for (what, side), listed in runs.items():
        least = {name: min(one[name] for one in listed) for name in listed[0]}
        middle = {f"median_{name}": statistics.median(one[name] for one in listed) for name in listed[0]}
        results.setdefault(what, {})[side] = least | middle
    return results


def run(command: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a command to its end; return seconds by the clock and of all processors, and peak memory in MB."""
    launched = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(
        launched, cwd=tempfile.gettempdir(), env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def serve(folder: Path, before: Path | None, seconds: float) -> dict[str, Any]:
    """Put the load of a single client on each server three times in turn; return the run of the median rate."""
    served = folder / "served"
    starts = {"matlake": server.ours(served, CONTEST), "peer": server.peer(served, CONTEST)}
    if before is not None:
        starts["before"] = server.ours(served, CONTEST, before)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in starts}
    for _ in range(3):
        for side, start in starts.items():
            answers = "eager" if side == "peer" else "matlake"
            with start() as port:
                server.load(served, CONTEST, answers, port, 1, 2.0)
                runs[side].append(server.load(served, CONTEST, answers, port, 1, seconds))
    return {side: sorted(found, key=lambda one: one["requests_per_s"])[1] for side, found in runs.items()}


def table(
    commands: dict[str, dict[str, dict[str, Any]]], served: dict[str, Any], *, with_before: bool
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows."""
    others = {"before": "before, s"} if with_before else {}
    others |= {"peer": "naive peer, s"}
    header = ["what", "goal", "matlake, s", "processor, s", "peak, MB", *others.values(), "0.1.0, s"]
    rows = []
    for what, shown in SHOWN.items():
        found = commands[what]
        mine = found["matlake"]
        rows.append(
            [
                f"`{shown}`",
                f"{GOALS_S[what]:.2f}",
                f"{mine['wall_s']:.2f}",
                f"{mine['processor_s']:.2f}",
                f"{mine['peak_mb']:.0f}",
                *(f"{found[side]['wall_s']:.2f}" for side in others),
                f"{RELEASED_S[what]:.2f}" if what in RELEASED_S else "",
            ]
        )
    if served:
        rates = {side: one["requests_per_s"] for side, one in served.items()}
        rows.append(
            [
                f"requests/s of one client, {CONTEST.title}",
                f"{GOAL_OF_SERVER:.0f} × naive",
                f"{rates['matlake']:,.0f}",
                "",
                "",
                *(f"{rates[side]:,.0f}" for side in others),
                "0.5 × naive",
            ]
        )
    return header, rows


if __name__ == "__main__":
    main()
