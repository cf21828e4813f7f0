"""A public benchmark: heads trained and tested on its folds by ``train`` itself, beside the published results."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.session import onnx_runtime
from matlake.extras import require_extra
from matlake.progress import SILENT, Progress
from matlake.regress.features.descriptors import open_descriptor
from matlake.regress.features.feature import Feature, refuse_columns, resolve_features
from matlake.regress.heads.card import Budget
from matlake.regress.heads.model_spec import resolve_model
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train_unsaved
from matlake.regress.regressors import AUTO
from matlake.reports import Report
from matlake.store.embedding.embedder import embed
from matlake.store.lake import Lake
from matlake.studies.matbench.folds import Fold, folds_of
from matlake.studies.matbench.plots import parity_plot
from matlake.studies.matbench.report import MatbenchReport, summarise
from matlake.studies.matbench.request import MatbenchRequest
from matlake.studies.matbench.tables import markdown, report_lines
from matlake.studies.matbench.task_rows import TaskRows, import_task
from matlake.studies.measurement import Measurement
from matlake.studies.report import document
from matlake.studies.results import Schema
from matlake.studies.runner import OUT_OF_TIME, key_of, open_runner

SCHEMA: Final = Schema(
    "benchmarks",
    "key target split seed round method features model parameters fit_rows tested_rows mae rmse validation_mae seconds "
    "error predictions lower upper scores material_ids",
)


@dataclass(frozen=True, repr=False)
class MatbenchResult(Report):
    """What an evaluation found.

    Attributes:
        report: Scores, beside the published ones.
        rows: The rows of the task.
        measurements: One a fold.
        made: Measurements made now.
        out_of_time: Whether something was left out because time was up.
    """

    study: ClassVar[str] = "matbench"
    report: MatbenchReport
    rows: TaskRows
    measurements: tuple[Measurement, ...]
    made: int
    out_of_time: bool

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return document(self.report) | {"measured": self.made, "out_of_time": self.out_of_time}

    def lines(self) -> list[str]:
        """Return the same for people."""
        return report_lines(self.report) + [OUT_OF_TIME] * self.out_of_time

    def markdown(self) -> str:
        """Return the record of the evaluation."""
        return markdown(self.report)

    def plots(self) -> dict[str, bytes]:
        """Return the parity plot of the public folds, as the content of PNG and SVG files by name.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        require_extra("plots", "the report of a benchmark")
        return parity_plot(self.rows, self.measurements)


def evaluate_matbench(lake: Lake, request: MatbenchRequest, progress: Progress = SILENT) -> MatbenchResult:
    """Train and test on each fold of a task with what ``train`` does, and compare with the published results.

    The file becomes the dataset of the task's name; what its features need is embedded. The heads of the folds are
    never saved, their predictions are.

    Args:
        lake: The lake.
        request: What to evaluate.
        progress: Receives what is being done, and the number of folds done, and expected.

    Raises:
        TrainingError: An unknown task, split or model, or rows that do not allow it.
        SourceError: The file cannot be read, or is not that of the task; likewise the validation file.
        EncoderError: No such encoder or layer.
        LakeError: The lake cannot be written.
        HeadError: The name is not valid.
        MissingExtraError: ONNX Runtime or scikit-learn is not installed.
    """
    task = request.checked_task()
    refuse_columns(request.features_of(task), "evaluate matbench")
    onnx_runtime()
    require_extra("heads", "a benchmark")
    features = resolve_features(lake, list(request.features_of(task)))
    rows = import_task(lake, task, request.data, progress)
    if request.model != AUTO:
        resolve_model(lake, request.model, features)
    folds = folds_of(rows, request.splits_of(task), request.folds)
    learned = [feature.feature for feature in features if open_descriptor(lake, feature) is None]
    if learned:
        progress.note(f"embedding with {', '.join(learned)}")
        embed(lake, learned, dataset=rows.dataset, progress=progress)
    done = 0

    def notify(_: Measurement) -> None:
        nonlocal done
        done += 1
        progress.track(done, len(folds))

    name = request.name or task.name
    found = []
    with open_runner(lake, SCHEMA, name, request.seconds, notify) as runner:
        for fold in folds:
            trainer = _FoldTrainer(lake, request, rows, features, fold, progress)
            measurement = runner.measure(trainer.blank(), trainer.measure, at_once=True)
            found += [measurement] if measurement else []
    report = summarise(rows, features, request, folds, found)
    return MatbenchResult(report, rows, tuple(found), runner.made, runner.out_of_time)


@dataclass(frozen=True)
class _FoldTrainer:
    """Trains a head on one fold, and takes its predictions down.

    Attributes:
        lake: The lake.
        request: What to evaluate.
        rows: Of the task.
        features: As resolved.
        fold: What is held out.
        progress: Receives what is being done.
    """

    lake: Lake
    request: MatbenchRequest
    rows: TaskRows
    features: Sequence[Feature]
    fold: Fold
    progress: Progress

    def blank(self) -> Measurement:
        """Return what is measured, with all that it depends on in its key."""
        request, rows = self.request, self.rows
        materials = np.char.add(np.char.add(rows.material_id, rows.composition), rows.y.astype(str)).tolist()
        parts = [rows.task.name, materials, [(each.feature, each.sha256) for each in self.features]]
        parts += [request.model, request.fits, request.seed, self.fold.key]
        parts.append(importlib.metadata.version("matlake"))  # other versions choose other models
        return Measurement(
            key=key_of(parts),
            target=rows.target,
            method="head",
            features=tuple(each.feature for each in self.features),
            split=self.fold.kind,
            seed=request.seed,
            round=self.fold.number,
        )

    def measure(self, blank: Measurement) -> Measurement:
        """Train on the fold and test the head, which is not saved: a run that is killed leaves none behind."""
        rows, request = self.rows, self.request
        self.progress.note(f"{self.fold.split.text}: training")
        (head,) = train_unsaved(
            self.lake,
            TrainRequest(
                rows.target,
                list(request.features_of(rows.task)),
                request.model,
                dataset=rows.dataset,
                where=rows.where,
                split=self.fold.split,
                name=rows.task.name,
                seed=request.seed,
                budget=Budget(fits=request.fits),
            ),
            self.progress,
        )
        card, test = head.files.card, head.test
        return replace(
            blank,
            model=card.model.kind,
            parameters=card.model.parameters,
            fit_rows=card.evaluation.n_train,
            tested_rows=card.evaluation.n_test,
            mae=card.evaluation.metrics.mae,
            rmse=card.evaluation.metrics.rmse,
            validation_mae=card.model.search.candidates[0].mae if card.model.search else None,
            predictions=_as_kept(test.predicted),
            lower=_as_kept(test.lower),
            upper=_as_kept(test.upper),
            scores=_as_kept(test.scores),
            material_ids=tuple(test.material_id.tolist()),
        )


def _as_kept(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return values as the table of results keeps them, so that a run that resumes reports the same as one at once."""
    return tuple(values.astype(np.float32).tolist())
