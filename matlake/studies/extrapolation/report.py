"""What an extrapolation study found: per split and method, ratios, failures."""

from dataclasses import dataclass
from typing import Any

from matlake.studies.extrapolation.error_analysis import FailureReport
from matlake.studies.extrapolation.leakage import Exposure
from matlake.studies.extrapolation.methods import HEAD, NETWORKS
from matlake.studies.measurement import State
from matlake.studies.report import document

Interval = tuple[float, float]


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

    def document(self) -> dict[str, Any]:
        """Return the JSON document of ``evaluate extrapolation``."""
        return document(self)


def decoupled_head(methods: tuple[MethodReport, ...]) -> MethodReport | None:
    """Return the head with the smallest validation error among those with the most seeds; the first of equal ones."""
    heads = [one for one in methods if one.kind == HEAD and one.validation_mae is not None]
    most = max((len(one.seeds) for one in heads), default=0)
    whole = [one for one in heads if len(one.seeds) == most]
    return min(whole, key=lambda one: one.validation_mae or 0.0, default=None)
