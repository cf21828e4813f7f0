"""The steps that both halves of the quickstart take, and what they print."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matlake.interrupts import release
from matlake.progress import Progress
from matlake.regress.heads.card import Budget
from matlake.regress.heads.model_search import FOLDS
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import Predictions, interval_text, trust_text
from matlake.regress.prediction.results import Prediction
from matlake.regress.regressors import AUTO, AUTO_MODELS
from matlake.store.embedding.embedder import embed
from matlake.store.importing.importer import import_table
from matlake.store.lake import Lake
from matlake.store.sql_output import result_table
from matlake.store.storage.places import write_whole
from matlake.text_tables import plain_lines, rounded

BUDGET: Final = Budget(fits=FOLDS * len(AUTO_MODELS))
"""The default of each model that ``auto`` tries: a first look is to be quick."""

DATA: Final = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Sample:
    """A table that comes with the package, and what is done with it.

    Attributes:
        file: The table.
        dataset: Name of the dataset.
        rows: What its rows are, for people.
        layers: What is embedded.
        features: What the head is trained on: layers, and descriptors, which need no embedding.
        target: Property that is learned.
        head: Name of the head.
        where: Predicate of the rows that are learned from; all without.
        model: Its kind of model.
    """

    file: Path
    dataset: str
    rows: str
    layers: list[str]
    features: list[str]
    target: str
    head: str
    where: str | None = None
    model: str = AUTO


@dataclass(frozen=True)
class Steps:
    """Takes the steps on one sample, and prints what comes of each.

    Attributes:
        lake: The lake.
        sample: The sample.
        say: Prints a line.
        progress: Makes a bar from a label and a unit.
        workers: Threads that embed.
    """

    lake: Lake
    sample: Sample
    say: Callable[[str], None]
    progress: Callable[[str, str], AbstractContextManager[Progress]]
    workers: int

    def import_sample(self) -> int:
        """Import the table and return its number of rows."""
        with self.progress("importing", "rows") as progress:
            imported = import_table(self.lake, self.sample.file, self.sample.dataset, progress=progress)
        release()
        self.show([f"{imported.rows:,} {self.sample.rows} in the dataset {self.sample.dataset}"])
        return imported.rows

    def embed(self) -> int:
        """Embed the dataset and return the number of new vectors."""
        sample = self.sample
        with self.progress("embedding", "rows") as progress:
            report = embed(self.lake, sample.layers, dataset=sample.dataset, workers=self.workers, progress=progress)
        self.show([f"{report.embedded:,} vectors in {report.seconds:.1f} s; {report.skipped:,} rows needed none"])
        return report.embedded

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Run a query and return its rows."""
        found = self.lake.query(statement)
        self.show(result_table(found).lines())
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows

    def train(self) -> TrainResult:
        """Train the head."""
        sample = self.sample
        training = train(
            self.lake,
            TrainRequest(
                sample.target,
                sample.features,
                sample.model,
                dataset=sample.dataset,
                where=sample.where,
                name=sample.head,
                budget=BUDGET,
            ),
        )
        release()
        self.show(plain_lines(training.lines()))
        return training

    def show_prediction(self, name: str, prediction: Prediction, answer: Predictions, literature: str) -> None:
        """Print a prediction with its interval, what says more about its error, and the literature's value.

        Args:
            name: What the material is called.
            prediction: Its prediction.
            answer: All predictions.
            literature: What the literature says.
        """
        p, mae, unit = prediction, answer.mae, answer.unit
        score_ranks = bool(answer.score_ranks_errors)
        beside = trust_text(p, mae, unit, score_ranks=score_ranks)
        text = f"{name}: {rounded(p.value, mae)} {unit} {interval_text(p, mae)}, {literature}"
        self.show([f"{text}; {'score' if score_ranks else 'interval width'} {beside}"])
        self.show([f"  doubtful: {warning}" for warning in p.warnings])

    def show_notes(self, answer: Predictions) -> None:
        """Print what a reader of the predictions has to know about the head."""
        self.show([f"note: {note}" for note in answer.notes])

    def save_plots(self, drawn: Mapping[str, bytes]) -> list[str]:
        """Save plots, and print and return their paths."""
        folder = self.lake.plots
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in drawn.items():
            write_whole(folder / name, content)
        plots = [str(folder / name) for name in drawn]
        self.show(plots)
        return plots

    def show(self, lines: Sequence[str]) -> None:
        """Print lines below a heading."""
        if lines:
            self.say("\n".join(f"   {line}".rstrip() for line in lines))
