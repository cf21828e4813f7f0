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
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any

from faults.buckets import WAYS, BucketTrial, leads_to
from faults.disk import NOTHING, failing_disk
from faults.power import Recording, power_losses
from faults.scenarios import COMMANDS, IN_A_BUCKET, bench
from faults.striking import Outcome, Trial
from object_store import object_store

SLOW_STEP = 5
"""Of a command that takes many seconds, one change of so many is struck."""

SLOW_TURN = 10

AT_RANDOM = 8
"""Kills of each command by the clock."""

CUT_OBJECTS = 4

TURNS = ("kill", "ENOSPC", "kill", "EIO", "kill", "kill", "power")
BUCKET_TURNS = ("kill", *WAYS, "truncated")
FAULTS = tuple(dict.fromkeys((*TURNS, *BUCKET_TURNS)))

Planned = tuple[str, float, Callable[[], Outcome]]
"""A fault: what, at which change or request or after how many seconds, and what lets it strike."""


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


def planned(trial: Trial) -> Iterator[Planned]:
    """Yield the faults of a command, those of each kind in an order that soon has some of everywhere."""
    rng = random.Random(trial.name)  # noqa: S311 - the same order in every run
    chosen: dict[str, list[Planned]] = {name: [] for name in FAULTS}
    if isinstance(trial, BucketTrial):
        for way, number in trial.faults():
            chosen[way].append((way, number, partial(trial.fail, way, number)))
        cut = CUT_OBJECTS if trial.name.startswith(("import", "embed")) else 0  # another run makes what was lost again
        chosen["truncated"] = [("truncated", seed, partial(trial.truncate, seed)) for seed in range(cut)]
        killed: Callable[[float], Outcome] = trial.kill
    else:
        for strike in trial.strikes():
            chosen[strike.name].append((strike.name, strike.at, partial(trial.strike, strike)))
        killed = partial(trial.strike, NOTHING)
    step = SLOW_STEP if trial.command.slow else 1
    for several in chosen.values():
        rng.shuffle(several)
        del several[len(several) // step :]
    if not isinstance(trial, BucketTrial):
        chosen["power"] = [("power", at, loss) for at, loss in _power(trial, step)]
    for _ in range(AT_RANDOM):
        seconds = rng.uniform(0.05, 1.0)
        chosen["kill"].insert(0, ("kill", seconds, partial(killed, seconds)))
    yield from _in_turn(chosen, BUCKET_TURNS if isinstance(trial, BucketTrial) else TURNS)


def _power(trial: Trial, step: int) -> Iterator[tuple[int, Callable[[], Outcome]]]:
    recorded: list[Recording] = []

    def lose(at: int) -> Outcome:
        if not recorded:
            recorded.append(Recording(trial))
        outcomes = list(power_losses(trial, recorded[0], at))
        repaired, wrong = ([text for one in outcomes for text in getattr(one, name)] for name in ("repaired", "wrong"))
        return Outcome(trial.name, "power", at, f"{len(outcomes)} states", 0, repaired, wrong)

    for at in range(len(trial.events) + 1)[::-step][::-1]:
        yield at, partial(lose, at)


def _in_turn(chosen: dict[str, list[Planned]], turns: Iterable[str]) -> Iterator[Planned]:
    lines = {name: iter(several) for name, several in chosen.items() if several}
    for name in cycle(turns):
        if not lines:
            return
        if name in lines:
            one = next(lines[name], None)
            if one is None:
                del lines[name]
            else:
                yield one


def run(trials: list[Trial], state: State, faults: Collection[str], deadline: float) -> None:
    """Go through the commands in turn, a fault of each; those that take long have a turn in each tenth round."""
    lines = {trial.label: planned(trial) for trial in trials}
    for turn in count(1):
        for trial in trials:
            if not lines or time.monotonic() > deadline:
                return
            if trial.label not in lines or (trial.command.slow and turn % SLOW_TURN):
                continue
            left = (one for one in lines[trial.label] if one[0] in faults and not state.has(trial.label, *one[:2]))
            found = next(left, None)
            if found is None:
                del lines[trial.label]
                continue
            outcome = found[2]()
            state.add(outcome)
            for text in outcome.wrong:
                sys.stdout.write(f"{trial.label}, {outcome.fault} at {outcome.at:g} ({outcome.struck}): {text}\n")
                sys.stdout.flush()


def table(state: State) -> list[str]:
    """Return what was done as a Markdown table, and what was wrong."""
    counts = Counter((one["command"], one["fault"]) for one in state.outcomes)
    wrong = Counter(one["command"] for one in state.outcomes if one["wrong"])
    names = dict.fromkeys(one["command"] for one in state.outcomes)
    lines = [f"| command | {' | '.join(FAULTS)} | wrong |", f"| --- |{' ---: |' * (len(FAULTS) + 1)}"]
    for name in names:
        cells = [counts[name, fault] for fault in FAULTS]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {wrong[name]} |")
    sums = [sum(counts[name, fault] for name in names) for fault in FAULTS]
    return [*lines, f"| all | {' | '.join(map(str, sums))} | {wrong.total()} |"]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="file of what was done; the same command resumes")
    parser.add_argument("--max-seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--command", action="append", choices=sorted(COMMANDS), help="only this; repeatable")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this; repeatable")
    parser.add_argument("--place", choices=("folder", "bucket"), help="only lakes in a folder, or in a bucket")
    chosen = parser.parse_args()
    deadline = time.monotonic() + chosen.max_seconds
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    state, names = State(chosen.state), chosen.command or COMMANDS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = stack.enter_context(bench(folder, stack.enter_context(failing_disk(folder))))
        store = stack.enter_context(object_store())
        stack.enter_context(leads_to(store, folder / "cache"))
        trials: list[Trial] = [] if chosen.place == "bucket" else [Trial(made, name) for name in names]
        if chosen.place != "folder":
            trials += [BucketTrial(made, name, store) for name in names if name in IN_A_BUCKET]
        run(trials, state, chosen.fault or FAULTS, deadline)
    sys.stdout.write("\n".join(table(state)) + "\n")
    return int(any(one["wrong"] for one in state.outcomes))


if __name__ == "__main__":
    sys.exit(main())
