"""The steps that both halves of the quickstart take, and how they are told."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from matlake.progress import Tracker
from matlake.regress.result import TrainResult
from matlake.regress.train import TrainRequest, train
from matlake.store.embedder import EmbedReport, embed
from matlake.store.importer import ImportReport, import_table
from matlake.store.lake import Lake

Say = Callable[[str], None]
"""Takes a line."""

Progress = Callable[[str, str], AbstractContextManager[Tracker]]
"""Makes a tracker from a label and a unit."""


def import_sample(lake: Lake, sample: Path, dataset: str, what: str, say: Say, progress: Progress) -> ImportReport:
    """Import a bundled table, and tell how many of ``what`` it holds."""
    with progress("importing", "rows") as track:
        imported = import_table(lake, sample, dataset, track=track)
    say(f"   {imported.rows:,} {what} in the dataset {dataset}")
    return imported


def embed_sample(
    lake: Lake, features: list[str], dataset: str, say: Say, progress: Progress, workers: int
) -> EmbedReport:
    """Embed a dataset, and tell how many vectors that took."""
    with progress("embedding", "rows") as track:
        embedded = embed(lake, features, dataset=dataset, workers=workers, track=track)
    say(f"   {embedded.embedded:,} vectors in {embedded.seconds:.1f} s; {embedded.skipped:,} rows needed none")
    return embedded


def train_head(lake: Lake, request: TrainRequest, say: Say) -> TrainResult:
    """Train a head, and tell what came of it."""
    training = train(lake, request)
    say(indented("\n".join(training.lines())))
    return training


def indented(text: str) -> str:
    """Return lines as they stand below a heading."""
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())
