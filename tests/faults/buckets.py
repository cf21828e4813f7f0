"""Commands that write to a lake in a bucket, whose store fails: every request once, in each way that requests fail."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from faults.contents import Contents, contents_of, differences
from faults.disk import LONGEST_S, NOTHING, Run, Strike
from faults.scenarios import Bench
from faults.striking import Outcome, Trial, untidy
from object_store import Fault, ObjectStore, Request

from matlake.store.storage.places import LakePath, lake_path
from matlake.store.storage.remote_path import RemotePath

WRITING: Final = ("PUT", "POST", "DELETE")

WAYS: Final[dict[str, tuple[str, ...]]] = {
    "error": ("GET", "HEAD", *WRITING),
    "cut": ("GET", *WRITING),
    "lost answer": WRITING,
}
"""How requests fail once, and which: an error of the store, a connection that is cut within the body, and an answer
that does not come though what was asked is done."""


@contextmanager
def leads_to(store: ObjectStore, cache: Path) -> Iterator[None]:
    """Let this process find the store, too."""
    variables = store.environment | {"MATLAKE_CACHE": str(cache)}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class BucketTrial(Trial):
    """A command on a lake in a bucket."""

    def __init__(self, bench: Bench, name: str, store: ObjectStore) -> None:
        super().__init__(bench, name, tidy=False)
        self.store = store

    @property
    def label(self) -> str:
        return f"{self.name} (bucket)"

    def placed(self) -> RemotePath:
        """Put the lake that the command finds into a new bucket: a copy of a lake is a lake."""
        folder = self.bench.fresh(self.command, self.bench.folder / "to be copied" / "lake")
        place = lake_path(f"s3://{self.store.make_bucket()}/lake")
        assert isinstance(place, RemotePath)
        for file in sorted(folder.rglob("*") if folder.exists() else []):
            if file.is_file():
                place.joinpath(*file.relative_to(folder).parts).upload(file)
        return place

    def run(self, lake: LakePath, strike: Strike = NOTHING, seconds: float = LONGEST_S) -> Run:
        del strike
        arguments = ["--lake", str(lake), *self.bench.filled(self.command.arguments)]
        environment = {**self.store.environment, "MATLAKE_CACHE": os.environ["MATLAKE_CACHE"]}
        return self.bench.disk.run(arguments, patch=self.command.patch, seconds=seconds, environment=environment)

    @cached_property
    def clean(self) -> tuple[Run, Contents, dict[str, int]]:
        place = self.placed()
        with self.store.recording() as requests:
            run = self.run(place)
        assert run.code in (0, 3), run.err
        self.requests: list[Request] = requests
        return run, contents_of(place), {}

    def faults(self) -> list[tuple[str, int]]:
        """Return how which request may fail: the fault, and the number of the request among those that it concerns."""
        assert self.clean
        return [
            (way, number)
            for way, methods in WAYS.items()
            for number in range(sum(request.method in methods for request in self.requests))
        ]

    def fail(self, way: str, number: int) -> Outcome:
        """Let one request fail: it is tried again, or the command ends with one line."""
        fault = Fault(way, WAYS[way], after=number)  # type: ignore[arg-type]
        place = self.placed()
        with self.store.failing(fault):
            run = self.run(place)
        return self._outcome(way, number, place, run, "struck" if fault.happened else "")

    def kill(self, seconds: float) -> Outcome:
        """Kill the command after so many seconds."""
        place = self.placed()
        return self._outcome("kill", seconds, place, self.run(place, seconds=seconds), "")

    def truncate(self, seed: int) -> Outcome:
        """Cut an object in half after the command is done: it is named and repaired, or made again."""
        place = self.placed()
        run = self.run(place)
        dice = random.Random(f"{self.name} {seed}")  # noqa: S311 - the same objects in every run
        objects = [path for path, _ in place.objects() if path.suffix in (".parquet", ".json", ".onnx")]
        of_datasets = "" if self.name.startswith("import") else "/datasets/"  # which only another import mends
        path = dice.choice(
            [one for one in objects if one.name != "lake.json" and not (of_datasets and of_datasets in str(one))]
        )
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        wrong = []
        try:
            wrong += [f"read silently: {text}" for text in differences(contents_of(place), self.clean[1])]
        except Exception:  # noqa: BLE001 - it was said: damage, or an error
            wrong = []
        repaired, after = self.follow(place, wrong, damaged=True)
        return Outcome(self.label, "truncated", seed, str(path)[-60:], run.code, repaired, after)

    def _outcome(self, fault: str, at: float, place: RemotePath, run: Run, struck: str) -> Outcome:
        wrong = []
        if run.code in (0, 3):
            wrong += [f"said that it was done: {text}" for text in differences(contents_of(place), self.clean[1])]
        elif not run.killed:
            wrong += untidy(run)
        return Outcome(self.label, fault, at, struck, run.code, *self.follow(place, wrong))
