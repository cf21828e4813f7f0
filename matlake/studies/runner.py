"""The runner of studies: what has been measured is looked up, the rest is measured while there is time."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from matlake.errors import MatlakeError
from matlake.store.lake import Lake
from matlake.studies.measurement import Measurement
from matlake.studies.results import Results, Schema

KEY_VERSION: Final = 1
"""Raised when the same method gives another number than before: older measurements are then made again."""

OUT_OF_TIME: Final = "time is up: what was not run is marked; run the same command again to resume"

_FAILURES: Final = (MatlakeError, ValueError, ArithmeticError, np.linalg.LinAlgError, MemoryError)


class OutOfTimeError(Exception):
    """Time is up in the middle of a training, which the next run resumes."""


@dataclass
class Runner:
    """Makes the measurements of one evaluation.

    Attributes:
        results: What has been measured.
        deadline: ``time.monotonic()`` after which measurements are only looked up; None for none.
        notify: Called with each measurement, made now or before.
        made: Measurements made now.
        out_of_time: Whether something was left out because time was up.
    """

    results: Results
    deadline: float | None
    notify: Callable[[Measurement], None]
    made: int = 0
    out_of_time: bool = False

    @property
    def is_late(self) -> bool:
        """Whether time is up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def check(self) -> None:
        """Raise OutOfTimeError when time is up."""
        if self.is_late:
            raise OutOfTimeError

    def measure(
        self,
        blank: Measurement,
        fit: Callable[[Measurement], Measurement],
        *,
        make: bool = True,
        takes_time: bool = True,
        at_once: bool = False,
    ) -> Measurement | None:
        """Return a measurement from the table of results, or make it if there is time; a failure is one, too.

        Args:
            blank: What is measured, with its key.
            fit: Completes it.
            make: Whether to make one that the table lacks.
            takes_time: Whether it is left out when time is up.
            at_once: Whether it is written at once.

        Returns:
            None where it was not made.
        """
        found = self.results.find(blank.key)
        if found is None and not make:
            return None
        if found is None:
            if takes_time and self.is_late:
                self.out_of_time = True
                return None
            started = time.monotonic()
            try:
                found = fit(blank)
            except OutOfTimeError:
                self.out_of_time = True
                return None
            except _FAILURES as error:
                found = replace(blank, error=f"{type(error).__name__}: {error}")
            found = replace(found, seconds=time.monotonic() - started)
            self.results.add(found, at_once=at_once)
            self.made += 1
        self.notify(found)
        return found


@contextmanager
def open_runner(
    lake: Lake, schema: Schema, name: str, seconds: float | None, notify: Callable[[Measurement], None]
) -> Iterator[Runner]:
    """Open the table of results; what was measured is written at the end, however it ends.

    Args:
        lake: The lake.
        schema: Of the table.
        name: Of the evaluation.
        seconds: Time after which nothing is begun; None for no limit.
        notify: Called with each measurement.

    Raises:
        LakeError: The table cannot be read or written.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    runner = Runner(Results(lake, schema, name), deadline, notify)
    try:
        yield runner
    finally:
        runner.results.write()


def key_of(parts: Sequence[Any]) -> str:
    """Return the key of a measurement.

    Args:
        parts: All that its numbers depend on.
    """
    return hashlib.sha256(json.dumps([KEY_VERSION, *parts], sort_keys=True).encode()).hexdigest()
