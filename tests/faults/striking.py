"""One fault and what follows: the command is struck, the lake is looked at, the command runs again."""

import warnings
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from faults.contents import Contents, contents_of, differences, half_done
from faults.disk import LONGEST_S, NOTHING, Event, Run, Strike, bad_sector, full_disk
from faults.scenarios import COMMANDS, Bench

import matlake
from matlake.errors import DamageWarning
from matlake.store.folders import RECORDED
from matlake.store.storage.places import LakePath
from matlake.store.tables.log_entries import LOG


@dataclass(frozen=True)
class Outcome:
    """What became of a fault.

    Attributes:
        command: Name of the command.
        fault: ``kill``, ``ENOSPC``, ``EIO`` or ``power``.
        at: Number of the change that it struck, or seconds.
        struck: What was struck; empty where nothing was.
        code: Exit code of the command that was struck.
        repaired: What ``check --repair`` did.
        wrong: What should not be; empty where all is well.
    """

    command: str
    fault: str
    at: float
    struck: str
    code: int
    repaired: list[str]
    wrong: list[str]

    def document(self) -> dict[str, Any]:
        return asdict(self)


class Trial:
    """A command on its lake, without a fault and with any."""

    def __init__(self, bench: Bench, name: str, *, tidy: bool = True) -> None:
        """Take a command.

        Args:
            bench: Prepared lakes.
            name: Of the command.
            tidy: Look for files that housekeeping leaves, too.
        """
        self.bench, self.name, self.command, self.tidy = bench, name, COMMANDS[name], tidy
        self.lake = bench.folder / "struck" / "lake"

    @property
    def label(self) -> str:
        """Its name in the table of outcomes."""
        return self.name

    @cached_property
    def before(self) -> Contents:
        """What the lake holds before the command."""
        return contents_of(self.bench.prepared(self.command.lake))

    @cached_property
    def clean(self) -> tuple[Run, Contents, dict[str, int]]:
        """The command without a fault: its run, what the lake holds then, and how many files are in which folder."""
        lake = self.bench.fresh(self.command, self.bench.folder / "clean" / "lake")
        run = self.run(lake)
        assert run.code in (0, 3), run.err
        held = contents_of(lake)
        return run, held, files_in(lake) if self.tidy else {}

    @property
    def events(self) -> list[Event]:
        """The changes that the command makes."""
        return self.clean[0].events

    def run(self, lake: Path, strike: Strike = NOTHING, seconds: float = LONGEST_S) -> Run:
        """Run the command on a lake, and count what it changes beside it as well."""
        arguments = ["--lake", lake, *self.bench.filled(self.command.arguments)]
        return self.bench.disk.run(arguments, lake.parent, strike, patch=self.command.patch, seconds=seconds)

    def strikes(self) -> list[Strike]:
        """Return a kill at every change, and a full disk and a bad sector wherever one can show."""
        numbered = list(enumerate(self.events, 1))
        kills = [Strike(number) for number, _ in numbered]
        full = [full_disk(number) for number, event in numbered if event.kind in full_disk(0).kinds]
        bad = [bad_sector(number) for number, event in numbered if event.kind in bad_sector(0).kinds]
        return [*kills, *full, *bad]

    def strike(self, strike: Strike, seconds: float = LONGEST_S) -> Outcome:
        """Let a fault strike, or kill the command after so many seconds; then look, and run the command again."""
        clean = self.clean
        lake = self.bench.fresh(self.command, self.lake)
        run = self.run(lake, strike, seconds)
        wrong = []
        if run.code in (0, 3):
            wrong += [f"said that it was done: {text}" for text in differences(contents_of(lake), clean[1])]
        elif not run.killed:
            wrong += untidy(run)
        struck = run.struck
        return Outcome(
            self.label,
            strike.name,
            strike.at if seconds == LONGEST_S else seconds,
            f"{struck.kind} {_shown(struck.path)}" if struck else "",
            run.code,
            *self.follow(lake, wrong),
        )

    def follow(self, lake: LakePath, wrong: list[str], *, damaged: bool = False) -> tuple[list[str], list[str]]:
        """Look at a lake after a fault, run the command again, and compare with a run without faults.

        Args:
            lake: Its folder.
            wrong: What was found so far.
            damaged: A power loss may cost what was not done, and is repaired first; otherwise nothing may be damaged.

        Returns:
            What was repaired, and what should not be.
        """
        _, after, files = self.clean
        repaired: list[str] = []
        spoilt = self.command.changes is not None
        try:
            if damaged or spoilt:
                repaired = repair(lake)
            moved = damaged and any("was moved to" in text for text in repaired)  # it was named, with what to do
            wrong = wrong + ([] if moved else half_done(contents_of(lake), self.before, after))
            if (lake / "lake.json").exists() and not spoilt:
                report = matlake.check(matlake.open_lake(lake))
                wrong += [f"check: {problem}" for problem in report.damaged]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
            named = damaged and any(text.startswith("damaged: ") for text in repaired)  # and nobody can repair it
            wrong = wrong if named else [*wrong, f"cannot be read: {type(error).__name__}: {error}"]
            repaired += repair(lake)
        again = self.run(lake)
        settled = self.command.refused and self.command.refused in again.err
        if again.code != self.clean[0].code and not settled:
            wrong.append(f"the second run ends with {again.code}: {again.err[-300:]}")
        try:
            wrong += [f"after the second run: {text}" for text in differences(contents_of(lake), after)]
            wrong += [f"left over: {text}" for text in _more(files_in(lake), files)] if self.tidy else []
        except Exception as error:  # noqa: BLE001
            wrong.append(f"after the second run: {type(error).__name__}: {error}")
        return repaired, wrong


def repair(lake: LakePath) -> list[str]:
    """Run ``check --repair`` where there is a lake, and return what it did."""
    if not (lake / "lake.json").exists():
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamageWarning)
        report = matlake.check(matlake.open_lake(lake), repair=True)
    return [*report.repaired, *(f"damaged: {problem}" for problem in report.damaged)]


def files_in(lake: Path) -> dict[str, int]:
    """Count the files of each folder after housekeeping, apart from logs, whose length says nothing."""
    matlake.compact(matlake.open_lake(lake), retention_hours=0)
    counts: dict[str, int] = {}
    for path in lake.rglob("*"):
        folder = path.parent.relative_to(lake).as_posix()
        if path.is_file() and not (path.parent.name == LOG and RECORDED.fullmatch(path.name)):
            counts[folder] = counts.get(folder, 0) + 1
    return counts


def _more(found: dict[str, int], expected: dict[str, int]) -> list[str]:
    return [
        f"{count} files in {folder}, not {expected.get(folder, 0)}"
        for folder, count in sorted(found.items())
        if count > expected.get(folder, 0) and not folder.startswith("damaged")
    ]


def untidy(run: Run) -> list[str]:
    """Name what is wrong with how a command failed: one line says why."""
    wrong = []
    if "Traceback" in run.err:
        wrong.append(f"a traceback: {run.err[-400:]}")
    if sum(line.startswith("error:") for line in run.err.splitlines()) != 1:
        wrong.append(f"not one line of error: {run.err[-400:]}")
    return wrong


def _shown(path: str) -> str:
    return "/".join(Path(path).parts[-3:])
