"""From measurements to a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.materials.units import unit_of
from matlake.studies.extrapolation.bootstrap import Resampled, Resamples, interval, mean_errors
from matlake.studies.extrapolation.error_analysis import FailureReport, Judged, failure_report, ood_scores, pooled
from matlake.studies.extrapolation.leakage import Exposure
from matlake.studies.extrapolation.measurement import Measurement
from matlake.studies.extrapolation.methods import HEAD, MEAN, Way
from matlake.studies.extrapolation.report import (
    FAILED,
    MEASURED,
    NOT_RUN,
    PARTLY,
    REFUSED,
    ExtrapolationReport,
    Ratio,
    SplitReport,
    WayReport,
    decoupled_head,
)
from matlake.studies.extrapolation.tasks import EvaluatedRows, Task


@dataclass(frozen=True)
class Cell:
    """One way in one task.

    Attributes:
        task: The task.
        way: The way.
        measurement: What was measured; None where nothing was.
        refusal: Why it was refused as leakage; empty where it was not.
        exposures: What the way's encoders saw of the tested rows.
        unseen: bool [m], tested rows whose composition none of them can have been trained on.
    """

    task: Task
    way: Way
    measurement: Measurement | None
    refusal: str
    exposures: tuple[Exposure, ...]
    unseen: NDArray[np.bool_]

    def errors(self, y: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return absolute errors of the tested rows, float64 [m]; None where nothing was measured.

        Args:
            y: float64 [n], the target of all rows.
        """
        if self.measurement is None or self.measurement.mae is None:
            return None
        predicted = np.array(self.measurement.predictions, dtype=np.float64)
        return np.abs(predicted - y[self.task.held.test])


def summarise(
    rows: EvaluatedRows,
    tasks: Sequence[Task],
    cells: Sequence[Cell],
    letters: Mapping[str, tuple[str, ...]],
    *,
    seeds: tuple[int, ...],
    few: int,
    policy: str,
    skipped: Mapping[str, str],
) -> ExtrapolationReport:
    """Lay out what was measured.

    Args:
        rows: The rows.
        tasks: Splits and seeds.
        cells: Each way in each task.
        letters: Letter -> features side by side.
        seeds: Seeds asked for.
        few: Training rows from which an element or motif counts as seen.
        policy: What is refused as leakage.
        skipped: Split -> why the rows do not allow it.
    """
    scores = _Scores(rows, letters)
    splits: list[SplitReport] = []
    tested: dict[str, list[Judged]] = {}
    for text in dict.fromkeys(task.split for task in tasks):
        own = [task for task in tasks if task.split == text]
        of_split = [cell for cell in cells if cell.task.split == text]
        report, parts = _split_report(rows, own, of_split, scores, len(seeds))
        splits.append(report)
        for name, found in parts.items():
            tested.setdefault(name, []).append(found)
    return ExtrapolationReport(
        target=rows.target,
        unit=unit_of(rows.target),
        rows=len(rows.matrix.y),
        left_out=len({(row.dataset, row.material_id) for row in rows.matrix.missing}),
        letters=dict(letters),
        seeds=seeds,
        few=few,
        policy=policy,
        splits=tuple(splits),
        skipped=dict(skipped),
        pooled=tuple(failure_report(name, pooled(parts)) for name, parts in tested.items()),
    )


def tested_rows(rows: EvaluatedRows, cell: Cell, scores: NDArray[np.float64]) -> Judged | None:
    """Return what is known of the predictions of a cell; None where nothing was measured."""
    errors, measurement = cell.errors(rows.matrix.y), cell.measurement
    if errors is None or measurement is None:
        return None
    expected = measurement.validation_mae
    return Judged(
        errors=errors,
        scores=scores,
        rarest=cell.task.continuity.rarest,
        discontinuous=cell.task.continuity.discontinuous,
        spread=np.full(len(errors), rows.matrix.y[cell.task.held.train].std()),
        expected=np.full(len(errors), np.nan if expected is None else expected),
    )


class _Scores:
    """Out-of-distribution scores by task and features, each made once."""

    def __init__(self, rows: EvaluatedRows, letters: Mapping[str, tuple[str, ...]]) -> None:
        self._rows, self._letters = rows, letters
        self._known: dict[tuple[str, str], NDArray[np.float64]] = {}

    def of(self, task: Task, letter: str) -> NDArray[np.float64]:
        key = task.digest, letter
        if key not in self._known:
            self._known[key] = ood_scores(self._rows, task, self._letters[letter])
        return self._known[key]


def _split_report(
    rows: EvaluatedRows, tasks: Sequence[Task], cells: Sequence[Cell], scores: _Scores, seeds: int
) -> tuple[SplitReport, dict[str, Judged]]:
    resamples = Resamples({task.seed: task.held.test for task in tasks}, rows.matrix.groups)
    by_way: dict[str, list[Cell]] = {}
    for cell in cells:
        by_way.setdefault(cell.way.name, []).append(cell)
    errors = {
        name: {cell.task.seed: found for cell in own if (found := cell.errors(rows.matrix.y)) is not None}
        for name, own in by_way.items()
    }
    ways = tuple(_way_report(own, errors[name], resamples, seeds) for name, own in by_way.items())
    head = decoupled_head(ways)
    measured = [way for way in ways if way.kind == HEAD and way.rmse is not None]
    hindsight = min(measured, key=lambda way: way.rmse or 0.0, default=None)
    networks = [name for name, own in by_way.items() if own[0].way.is_network]
    ratios = [_ratio(name, errors[name], errors[head.way], resamples) for name in networks] if head else []
    parts: dict[str, Judged] = {}
    for name, own in by_way.items():
        if own[0].way.kind != MEAN:
            measured_cells = [cell for cell in own if cell.task.seed in errors[name]]
            seen = [tested_rows(rows, cell, scores.of(cell.task, cell.way.letter)) for cell in measured_cells]
            if known := [part for part in seen if part is not None]:
                parts[name] = pooled(known)
    failures: tuple[FailureReport, ...] = tuple(failure_report(name, part) for name, part in parts.items())
    report = SplitReport(
        split=tasks[0].split,
        labels=tuple(task.held.label for task in tasks),
        descriptions=tuple(dict.fromkeys(task.held.description for task in tasks)),
        n_train=_mean_count([len(task.held.train) for task in tasks]),
        n_test=_mean_count([len(task.held.test) for task in tasks]),
        n_discontinuous=_mean_count([int(task.continuity.discontinuous.sum()) for task in tasks]),
        spread=float(np.mean([rows.matrix.y[task.held.train].std() for task in tasks])),
        ways=ways,
        decoupled=head.way if head else None,
        best_on_test=hindsight.way if hindsight else None,
        ratios=tuple(ratio for ratio in ratios if ratio is not None),
        failures=failures,
    )
    return report, parts


def _way_report(
    cells: Sequence[Cell], errors: Mapping[int, NDArray[np.float64]], resamples: Resamples, seeds: int
) -> WayReport:
    way = cells[0].way
    exposures = tuple(dict.fromkeys(exposure for cell in cells for exposure in cell.exposures))
    refusal = next((cell.refusal for cell in cells if cell.refusal), "")
    found = [cell.measurement for cell in cells if cell.measurement is not None]
    failure = next((m.error for m in found if m.error), "")
    if not errors:
        state = REFUSED if refusal else FAILED if failure else NOT_RUN
        return WayReport(way.name, way.kind, way.letter, way.model, state, refusal or failure, exposures=exposures)
    resampled: Resampled = resamples.resample(errors)
    mae, rmse = mean_errors(list(errors.values()))
    measured = [m for m in found if m.mae is not None]
    validated = [m.validation_mae for m in measured if m.validation_mae is not None]
    unseen = [errors[cell.task.seed][cell.unseen] for cell in cells if cell.task.seed in errors and cell.unseen.any()]
    unseen_mae, unseen_rmse = mean_errors(unseen) if unseen else (None, None)
    return WayReport(
        way=way.name,
        kind=way.kind,
        letter=way.letter,
        model=way.model,
        state=MEASURED if len(errors) == seeds else PARTLY,
        reason=refusal or failure,
        seeds=tuple(errors),
        mae=mae,
        rmse=rmse,
        mae_interval=interval(resampled.mae),
        rmse_interval=interval(resampled.rmse),
        validation_mae=float(np.mean(validated)) if validated else None,
        unseen_rows=sum(map(len, unseen)),
        unseen_mae=unseen_mae,
        unseen_rmse=unseen_rmse,
        fit_rows=_mean_count([m.fit_rows for m in measured]),
        seconds=float(sum(m.seconds for m in measured)),
        exposures=exposures,
    )


def _ratio(
    name: str,
    network: Mapping[int, NDArray[np.float64]],
    head: Mapping[int, NDArray[np.float64]],
    resamples: Resamples,
) -> Ratio | None:
    common = [seed for seed in network if seed in head]
    if not common:
        return None
    pair = [{seed: errors[seed] for seed in common} for errors in (network, head)]
    (mae, rmse), (head_mae, head_rmse) = (mean_errors(list(errors.values())) for errors in pair)
    if not head_mae:
        return None
    over, under = (resamples.resample(errors) for errors in pair)
    return Ratio(
        name, rmse / head_rmse, interval(over.rmse / under.rmse), mae / head_mae, interval(over.mae / under.mae)
    )


def _mean_count(counts: Sequence[int]) -> int:
    return round(float(np.mean(counts)))
