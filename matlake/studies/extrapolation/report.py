"""What an extrapolation study found: per split and method, ratios, failures; made of its measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.leakage import Exposure
from matlake.materials.units import unit_of
from matlake.metrics import percentile_interval
from matlake.regress.features.labels import count_rows
from matlake.studies.extrapolation.error_analysis import FailureReport, RowErrors, failure_report, ood_scores, pooled
from matlake.studies.extrapolation.methods import HEAD, MEAN, NETWORKS, ExtrapolationRequest, Method
from matlake.studies.extrapolation.tasks import Task
from matlake.studies.measurement import Measurement, State
from matlake.studies.rows import StudyRows
from matlake.studies.statistics import Resamples, mean_errors

Interval = tuple[float, float]


Errors = Mapping[int, NDArray[np.float64]]
"""Seed -> absolute errors of the rows that it tests."""


@dataclass(frozen=True)
class MethodReport:
    """What one method comes to on one split.

    Attributes:
        method: Its name.
        kind: See ``Method``.
        letter: Of its features; of a network, of those that its encoder is among.
        model: Name of the regressor or network.
        state: See ``State``.
        reason: Why it was refused or failed; empty otherwise.
        seeds: Seeds measured.
        mae: Mean over these seeds, in the target's unit; None where there is none, as are the following.
        rmse: Likewise.
        mae_interval: Bootstrap interval.
        rmse_interval: Likewise.
        validation_mae: Mean over seeds of the error on training rows that were held out.
        outside_rows: Tested rows, over all seeds, whose composition is outside the training of the method's encoders.
        outside_mae: On those; None where there are none.
        outside_rmse: Likewise.
        fit_rows: Rows fitted to, the mean over seeds.
        seconds: What the measurements took.
        exposures: What its encoders were trained on, for each set of tested rows.
    """

    method: str
    kind: str
    letter: str
    model: str
    state: State
    reason: str = ""
    seeds: tuple[int, ...] = ()
    mae: float | None = None
    rmse: float | None = None
    mae_interval: Interval | None = None
    rmse_interval: Interval | None = None
    validation_mae: float | None = None
    outside_rows: int = 0
    outside_mae: float | None = None
    outside_rmse: float | None = None
    fit_rows: int | None = None
    seconds: float = 0.0
    exposures: tuple[Exposure, ...] = ()


@dataclass(frozen=True)
class Ratio:
    """A network's error over that of the decoupled head, on the seeds that both have: above 1 the head is better.

    Attributes:
        method: Name of the network.
        rmse: Ratio of the RMSEs.
        rmse_interval: Bootstrap interval, from resamples of pairs.
        mae: Ratio of the MAEs.
        mae_interval: Likewise.
    """

    method: str
    rmse: float
    rmse_interval: Interval
    mae: float
    mae_interval: Interval


@dataclass(frozen=True)
class SplitReport:
    """What was found on one split.

    Attributes:
        split: As typed, in one spelling.
        labels: What each seed holds out.
        descriptions: One sentence with the numbers for each different set of tested rows.
        n_train: Training rows, the mean over seeds.
        n_test: Tested rows, likewise.
        n_discontinuous: Of those with an element or motif outside the training set, likewise.
        spread: Standard deviation of the target in the training rows, in its unit, likewise.
        methods: One report a method.
        decoupled: Name of the head with the smallest validation error: what a user who cannot see the test rows would
            take; None where none was measured.
        best_on_test: Name of the head with the smallest RMSE on the tested rows: what hindsight would take.
        ratios: Of each network measured, over ``decoupled``.
        failures: Of each method but the mean, measured.
    """

    split: str
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    n_train: int
    n_test: int
    n_discontinuous: int
    spread: float
    methods: tuple[MethodReport, ...]
    decoupled: str | None
    best_on_test: str | None
    ratios: tuple[Ratio, ...]
    failures: tuple[FailureReport, ...]

    def method(self, name: str) -> MethodReport:
        """Return the report of a method.

        Raises:
            StopIteration: There is no such method.
        """
        return next(one for one in self.methods if one.method == name)

    def failure(self, name: str) -> FailureReport | None:
        """Return when a method fails, where it was measured."""
        return next((failure for failure in self.failures if failure.method == name), None)

    @property
    def shown(self) -> list[str]:
        """The decoupled head and the networks that were measured: what the failure analysis shows."""
        networks = [one.method for one in self.methods if one.kind in NETWORKS and one.rmse is not None]
        return ([self.decoupled] if self.decoupled else []) + networks


@dataclass(frozen=True)
class ExtrapolationReport:
    """What an extrapolation study found.

    Attributes:
        target: Property column.
        unit: Its unit; may be empty.
        rows: Rows that have the target and all features.
        left_out: Rows that have the target and lack a feature.
        letters: Letter -> features side by side.
        seeds: Seeds asked for.
        few: Training rows from which an element or motif counts as known.
        policy: What is refused as leakage.
        splits: One report a split.
        skipped: Split -> why the rows do not allow it.
        pooled: When methods fail, over all splits.
    """

    target: str
    unit: str
    rows: int
    left_out: int
    letters: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    few: int
    policy: str
    splits: tuple[SplitReport, ...]
    skipped: dict[str, str]
    pooled: tuple[FailureReport, ...]

    def split(self, text: str) -> SplitReport:
        """Return the report of a split.

        Raises:
            StopIteration: There is no such split.
        """
        return next(split for split in self.splits if split.split == text)

    @property
    def pooled_shown(self) -> list[FailureReport]:
        """When the methods fail that a split shows, over all splits."""
        shown = {name for split in self.splits for name in split.shown}
        return [found for found in self.pooled if found.method in shown]


def decoupled_head(methods: tuple[MethodReport, ...]) -> MethodReport | None:
    """Return the head with the smallest validation error among those with the most seeds; the first of equal ones."""
    heads = [one for one in methods if one.kind == HEAD and one.validation_mae is not None]
    most = max((len(one.seeds) for one in heads), default=0)
    whole = [one for one in heads if len(one.seeds) == most]
    return min(whole, key=lambda one: one.validation_mae or 0.0, default=None)


@dataclass(frozen=True)
class Cell:
    """One method in one task.

    Attributes:
        task: The task.
        method: The method.
        measurement: What was measured; None where nothing was.
        refusal: Why it was refused as leakage; empty where it was not.
        exposures: What the method's encoders were trained on, held against the tested rows.
        outside: bool [m], tested rows whose composition is outside the training of all of them.
    """

    task: Task
    method: Method
    measurement: Measurement | None
    refusal: str
    exposures: tuple[Exposure, ...]
    outside: NDArray[np.bool_]

    def errors(self, y: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return absolute errors of the tested rows, float64 [m]; None where nothing was measured.

        Args:
            y: float64 [n], the target of all rows.
        """
        if self.measurement is None or self.measurement.mae is None:
            return None
        predicted = np.array(self.measurement.predictions, dtype=np.float64)
        return np.abs(predicted - y[self.task.held.test])


@dataclass(frozen=True)
class Summary:
    """Lays out what was measured.

    Attributes:
        rows: The rows.
        letters: Letter -> features side by side.
        request: What was asked for.
    """

    rows: StudyRows
    letters: Mapping[str, tuple[str, ...]]
    request: ExtrapolationRequest
    _scores: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)

    def report(self, tasks: Sequence[Task], cells: Sequence[Cell], skipped: Mapping[str, str]) -> ExtrapolationReport:
        """Return the report.

        Args:
            tasks: Splits and seeds.
            cells: Each method in each task.
            skipped: Split -> why the rows do not allow it.
        """
        splits: list[SplitReport] = []
        parts: dict[str, list[RowErrors]] = {}
        for text in dict.fromkeys(task.split for task in tasks):
            of_split = [cell for cell in cells if cell.task.split == text]
            report, tested = self._split([task for task in tasks if task.split == text], of_split)
            splits.append(report)
            for name, found in tested.items():
                parts.setdefault(name, []).append(found)
        return ExtrapolationReport(
            target=self.rows.target,
            unit=unit_of(self.rows.target),
            rows=len(self.rows.matrix.y),
            left_out=count_rows(self.rows.matrix.missing),
            letters=dict(self.letters),
            seeds=tuple(range(self.request.seeds)),
            few=self.request.few,
            policy=self.request.policy,
            splits=tuple(splits),
            skipped=dict(skipped),
            pooled=tuple(failure_report(name, pooled(found)) for name, found in parts.items()),
        )

    def _split(self, tasks: Sequence[Task], cells: Sequence[Cell]) -> tuple[SplitReport, dict[str, RowErrors]]:
        y = self.rows.matrix.y
        resamples = Resamples({task.seed: task.held.test for task in tasks}, self.rows.matrix.groups)
        own: dict[str, list[Cell]] = {}
        for cell in cells:
            own.setdefault(cell.method.name, []).append(cell)
        errors: dict[str, Errors] = {
            name: {cell.task.seed: found for cell in of_method if (found := cell.errors(y)) is not None}
            for name, of_method in own.items()
        }
        methods = tuple(self._method(of_method, errors[name], resamples) for name, of_method in own.items())
        head = decoupled_head(methods)
        heads = [one for one in methods if one.kind == HEAD and one.rmse is not None]
        hindsight = min(heads, key=lambda one: one.rmse or 0.0, default=None)
        networks = [name for name, of_method in own.items() if of_method[0].method.is_network]
        ratios = [ratio_of(name, errors[name], errors[head.method], resamples) for name in networks] if head else []
        parts = {
            name: pooled([self._tested_rows(cell) for cell in of_method if cell.task.seed in errors[name]])
            for name, of_method in own.items()
            if errors[name] and of_method[0].method.kind != MEAN
        }
        failures: tuple[FailureReport, ...] = tuple(failure_report(name, part) for name, part in parts.items())
        report = SplitReport(
            split=tasks[0].split,
            labels=tuple(task.held.label for task in tasks),
            descriptions=tuple(dict.fromkeys(task.held.description for task in tasks)),
            n_train=_mean_count([len(task.held.train) for task in tasks]),
            n_test=_mean_count([len(task.held.test) for task in tasks]),
            n_discontinuous=_mean_count([int(task.continuity.discontinuous.sum()) for task in tasks]),
            spread=float(np.mean([y[task.held.train].std() for task in tasks])),
            methods=methods,
            decoupled=head.method if head else None,
            best_on_test=hindsight.method if hindsight else None,
            ratios=tuple(ratio for ratio in ratios if ratio is not None),
            failures=failures,
        )
        return report, parts

    def _method(self, cells: Sequence[Cell], errors: Errors, resamples: Resamples) -> MethodReport:
        method = cells[0].method
        exposures = tuple(dict.fromkeys(exposure for cell in cells for exposure in cell.exposures))
        refusal = next((cell.refusal for cell in cells if cell.refusal), "")
        found = [cell.measurement for cell in cells if cell.measurement is not None]
        failure = next((m.error for m in found if m.error), "")
        state = State.REFUSED if refusal else State.FAILED if failure else State.NOT_RUN
        named = (method.name, method.kind, method.letter, method.model)
        report = MethodReport(*named, state, refusal or failure, exposures=exposures)
        if not errors:
            return report
        resampled = resamples.resample(errors)
        mae, rmse = mean_errors(list(errors.values()))
        measured = [m for m in found if m.mae is not None]
        validated = [m.validation_mae for m in measured if m.validation_mae is not None]
        outside = [errors[c.task.seed][c.outside] for c in cells if c.task.seed in errors and c.outside.any()]
        outside_mae, outside_rmse = mean_errors(outside) if outside else (None, None)
        return replace(
            report,
            state=State.MEASURED if len(errors) == self.request.seeds else State.PARTLY,
            seeds=tuple(errors),
            mae=mae,
            rmse=rmse,
            mae_interval=percentile_interval(resampled.mae),
            rmse_interval=percentile_interval(resampled.rmse),
            validation_mae=float(np.mean(validated)) if validated else None,
            outside_rows=sum(map(len, outside)),
            outside_mae=outside_mae,
            outside_rmse=outside_rmse,
            fit_rows=_mean_count([m.fit_rows for m in measured]),
            seconds=float(sum(m.seconds for m in measured)),
        )

    def _tested_rows(self, cell: Cell) -> RowErrors:
        """Return what is known of the predictions of a cell that was measured."""
        y, task, errors = self.rows.matrix.y, cell.task, cell.errors(self.rows.matrix.y)
        assert errors is not None and cell.measurement is not None  # noqa: PT018, S101 - the caller has looked
        expected = cell.measurement.validation_mae
        place = task.digest, cell.method.letter
        if place not in self._scores:
            self._scores[place] = ood_scores(self.rows, task, self.letters[cell.method.letter])
        return RowErrors(
            errors=errors,
            scores=self._scores[place],
            rarest=task.continuity.rarest,
            discontinuous=task.continuity.discontinuous,
            spread=np.full(len(errors), y[task.held.train].std()),
            expected=np.full(len(errors), np.nan if expected is None else expected),
        )


def ratio_of(name: str, network: Errors, head: Errors, resamples: Resamples) -> Ratio | None:
    """Return the errors of one method over those of another on the seeds that both have; None where there are none.

    Args:
        name: Of the first, a network.
        network: Its errors.
        head: Those of the second.
        resamples: Of the rows that both test.
    """
    common = [seed for seed in network if seed in head]
    if not common:
        return None
    pair = [{seed: errors[seed] for seed in common} for errors in (network, head)]
    (mae, rmse), (head_mae, head_rmse) = (mean_errors(list(errors.values())) for errors in pair)
    if not head_mae:
        return None
    over, under = (resamples.resample(errors) for errors in pair)
    rmse_interval, mae_interval = percentile_interval(over.rmse / under.rmse), percentile_interval(over.mae / under.mae)
    return Ratio(name, rmse / head_rmse, rmse_interval, mae / head_mae, mae_interval)


def _mean_count(counts: Sequence[int]) -> int:
    return round(float(np.mean(counts)))
