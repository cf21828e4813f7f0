"""All faults that the suite knows, for hours if need be: ``PYTHONPATH=tests:. python -m faults.long --state FILE``.

The file keeps what was done; the same command resumes. It prints a table of commands and faults in the end, and ends
with 1 where something was wrong.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

from faults.disk import NOTHING, Strike, failing_disk
from faults.power import Recording, power_losses
from faults.scenarios import COMMANDS, bench
from faults.striking import Outcome, Trial

SLOW_STEP = 5
"""Of a command that takes many seconds, one change of so many is struck."""

SLOW_TURN = 10

AT_RANDOM = 8
"""Kills of each command by the clock."""

FAULTS = ("kill", "ENOSPC", "EIO", "power")
TURNS = ("kill", "ENOSPC", "kill", "EIO", "kill", "kill", "power")


class State:
    """What was done, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
        self._keys = {self._key(one["command"], one["fault"], one["at"]) for one in self.outcomes}

    def has(self, command: str, fault: str, at: float) -> bool:
        return self._key(command, fault, at) in self._keys

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome.document())
        self._keys.add(self._key(outcome.command, outcome.fault, outcome.at))
        part = self.path.with_name(f"{self.path.name}.part")
        part.write_text("[\n" + ",\n".join(json.dumps(one) for one in self.outcomes) + "\n]\n")
        part.replace(self.path)

    @staticmethod
    def _key(command: str, fault: str, at: float) -> tuple[str, str, float]:
        return command, fault, round(at, 3)


def planned(trial: Trial) -> Iterator[tuple[str, Strike | None, float]]:
    """Yield the faults of a command: what, at which change, after how many seconds."""
    step = SLOW_STEP if trial.command.slow else 1
    rng = random.Random(trial.name)  # noqa: S311 - the same order in every run
    chosen: dict[str, list[tuple[Strike | None, float]]] = {name: [] for name in FAULTS}
    for strike in trial.strikes():
        chosen[strike.name].append((strike, strike.at))
    for several in chosen.values():
        rng.shuffle(several)
        del several[len(several) // step :]
    chosen["kill"][:0] = [(NOTHING, rng.uniform(0.05, 1.0)) for _ in range(AT_RANDOM)]
    chosen["power"] = [(None, at) for at in range(len(trial.events) + 1)[::-step][::-1]]
    lines = {name: iter(several) for name, several in chosen.items()}
    for name in cycle(TURNS):
        if not lines:
            return
        if name in lines:
            one = next(lines[name], None)
            if one is None:
                del lines[name]
            else:
                yield name, *one


def run(trials: list[Trial], state: State, deadline: float) -> None:
    """Go through the commands in turn, a fault of each; those that take long have a turn in each tenth round."""
    lines = {trial.name: planned(trial) for trial in trials}
    recordings: dict[str, Recording] = {}
    for turn in count(1):
        for trial in trials:
            if not lines or time.monotonic() > deadline:
                return
            if trial.name not in lines or (trial.command.slow and turn % SLOW_TURN):
                continue
            found = next((one for one in lines[trial.name] if not state.has(trial.name, one[0], one[2])), None)
            if found is None:
                del lines[trial.name]
                continue
            fault, strike, at = found
            if fault == "power":
                recording = recordings.get(trial.name) or Recording(trial)
                recordings[trial.name] = recording
                outcomes = list(power_losses(trial, recording, int(at)))
                outcome = Outcome(
                    trial.name,
                    fault,
                    at,
                    f"{len(outcomes)} states",
                    0,
                    [text for one in outcomes for text in one.repaired],
                    [text for one in outcomes for text in one.wrong],
                )
            elif strike is NOTHING:
                outcome = trial.strike(NOTHING, seconds=at)
            else:
                assert strike is not None
                outcome = trial.strike(strike)
            state.add(outcome)
            for text in outcome.wrong:
                sys.stdout.write(f"{trial.name}, {fault} at {at:g} ({outcome.struck}): {text}\n")
                sys.stdout.flush()


def table(state: State) -> list[str]:
    """Return what was done as a Markdown table, and what was wrong."""
    counts = Counter((one["command"], one["fault"]) for one in state.outcomes)
    wrong = Counter(one["command"] for one in state.outcomes if one["wrong"])
    lines = [f"| command | {' | '.join(FAULTS)} | wrong |", f"| --- |{' ---: |' * (len(FAULTS) + 1)}"]
    for command in dict.fromkeys(one["command"] for one in state.outcomes):
        cells = [counts[command, fault] for fault in FAULTS]
        lines.append(f"| {command} | {' | '.join(map(str, cells))} | {wrong[command]} |")
    sums = [sum(counts[command, fault] for command in COMMANDS) for fault in FAULTS]
    return [*lines, f"| all | {' | '.join(map(str, sums))} | {wrong.total()} |"]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="file of what was done; the same command resumes")
    parser.add_argument("--max-seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--command", action="append", choices=sorted(COMMANDS), help="only this; repeatable")
    chosen = parser.parse_args()
    deadline = time.monotonic() + chosen.max_seconds
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    state = State(chosen.state)
    with tempfile.TemporaryDirectory() as name, failing_disk(Path(name)) as disk, bench(Path(name), disk) as made:
        run([Trial(made, command) for command in chosen.command or COMMANDS], state, deadline)
    sys.stdout.write("\n".join(table(state)) + "\n")
    return int(any(one["wrong"] for one in state.outcomes))


if __name__ == "__main__":
    sys.exit(main())
