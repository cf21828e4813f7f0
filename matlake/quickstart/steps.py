"""The steps that both halves of the quickstart take, and how they are told."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from matlake.progress import Tracker
from matlake.regress.heads.card import Budget
from matlake.regress.heads.model_search import FOLDS
from matlake.regress.heads.train import TrainRequest, train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import verdict
from matlake.regress.prediction.results import Prediction
from matlake.regress.regressors import AUTO_MODELS
from matlake.store.embedding.embedder import EmbedReport, embed
from matlake.store.importing.importer import ImportReport, import_table
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


BUDGET: Final = Budget(fits=FOLDS * len(AUTO_MODELS))
"""The default of each model that ``auto`` tries: a first look is to be quick."""


def train_head(lake: Lake, request: TrainRequest, say: Say) -> TrainResult:
    """Train a head, and tell what came of it."""
    training = train(lake, request)
    say(indented("\n".join(training.lines())))
    return training


def told(prediction: Prediction, unit: str) -> str:
    """Return a prediction with its interval and what its out-of-distribution score means."""
    p = prediction
    if p.lower is None or p.upper is None or p.ood_score is None:
        return f"{p.value:.3g} {unit}"
    return f"{p.value:.3g} {unit} [{p.lower:.3g}, {p.upper:.3g}], {verdict(p.ood_score)} ({p.ood_score:.1f})"


def indented(text: str) -> str:
    """Return lines as they stand below a heading."""
    return "\n".join(f"   {line}".rstrip() for line in text.splitlines())
