"""One evaluation: every target in turn, what has been measured before taken from the table."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from matlake.encoders.session import onnx_runtime
from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.networks.architectures import COMPOSITION_NETWORKS
from matlake.progress import Tracker, untracked
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import numeric_columns
from matlake.regress.heads.card import check_name
from matlake.regress.heads.model_search import silent
from matlake.store.lake import Lake
from matlake.studies.transfer.configurations import parse_configurations
from matlake.studies.transfer.feature_reader import FeatureReader
from matlake.studies.transfer.fitting import Fitter
from matlake.studies.transfer.ledger import Ledger
from matlake.studies.transfer.measurement import Measurement
from matlake.studies.transfer.report import TargetFacts, TransferReport, summarise
from matlake.studies.transfer.runner import Desk
from matlake.studies.transfer.search import Plan, expected_measurements, search
from matlake.studies.transfer.statistics import Correlations, target_correlations
from matlake.studies.transfer.target_rows import TargetRows, read_target

SMALL: Final = 8000
"""Rows up to which a target gets every configuration and every layer."""


@dataclass(frozen=True)
class TransferRequest:
    """What to evaluate.

    Attributes:
        targets: Numeric property columns; all there are where empty.
        sources: Encoders of compositions; the registered ElemNets where empty.
        configurations: Names, comma-separated; all where None.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        split_column: Column that says ``test`` for the rows to test on.
        embedded: Embedded layers of encoders of crystals, to put beside the others.
        name: Of the evaluation: a later one of the same name goes on from it.
        small: Targets with more rows get fewer configurations and layers.
        folds: Of the cross-validation of what was chosen; 0 for none.
        curves: Whether to measure learning curves.
        seconds: Time after which nothing is begun; None for no limit.
        seed: Of all that is drawn.
    """

    targets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    configurations: str | None = None
    dataset: str | None = None
    where: str | None = None
    split_column: str | None = None
    embedded: tuple[str, ...] = ()
    name: str = "transfer"
    small: int = SMALL
    folds: int = 5
    curves: bool = True
    seconds: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class TransferResult:
    """What an evaluation found.

    Attributes:
        report: The comparison.
        measurements: All measurements of these targets with this plan, made now or before.
        correlations: Of the targets with each other.
        skipped: Target -> why it could not be evaluated.
        left_out: Target -> rows without features.
        made: Measurements made now.
        out_of_time: Whether the budget ended it.
    """

    report: TransferReport
    measurements: tuple[Measurement, ...]
    correlations: Correlations
    skipped: dict[str, str]
    left_out: dict[str, int]
    made: int
    out_of_time: bool

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return self.report.document() | {
            "skipped": self.skipped,
            "left_out": self.left_out,
            "measured": self.made,
            "measurements": len(self.measurements),
            "out_of_time": self.out_of_time,
        }

    def lines(self) -> list[str]:
        """Return the same for people."""
        lines = self.report.lines()
        lines += [f"{name} was not evaluated: {reason}" for name, reason in self.skipped.items()]
        if self.left_out:
            counts = ", ".join(f"{count:,} of {name}" for name, count in self.left_out.items())
            lines.append(f"rows left out, for want of features: {counts}")
        if self.out_of_time:
            lines.append("the budget is spent: cells that are not run are marked; run the same command again to go on")
        return lines


def evaluate_transfer(
    lake: Lake,
    request: TransferRequest,
    note: Callable[[str], None] = silent,
    track: Tracker = untracked,
) -> TransferResult:
    """Compare ways of predicting properties from scratch and by transfer.

    Args:
        lake: The lake.
        request: What to evaluate.
        note: Told what is being done.
        track: Told the number of measurements made, and expected.

    Raises:
        TrainingError: An unknown configuration, target or source, or no target that can be evaluated.
        EncoderError: No such encoder.
        LakeError: The table of the evaluation cannot be read or written.
        MissingExtraError: ONNX Runtime, scikit-learn or matplotlib is not installed; or torch, which networks need.
    """
    check_name(request.name)
    onnx_runtime()
    require_extra("heads", "comparing models")
    require_extra("plots", "the report of a comparison")
    reader, fitter = FeatureReader(lake), Fitter(lake)
    embedded = tuple(f.feature for f in resolve_features(lake, list(request.embedded))) if request.embedded else ()
    request = replace(request, embedded=embedded)
    plan = Plan(
        configurations=parse_configurations(request.configurations),
        sources={name: reader.layers(name) for name in request.sources or _all_sources(lake)},
        embedded=embedded,
        small=request.small,
        folds=request.folds,
        curves=request.curves,
    )
    targets, skipped = _read_targets(lake, request, note)
    expected = {target.name: expected_measurements(plan, len(target.y)) for target in targets}
    measurements: dict[str, Measurement] = {}
    through: dict[str, int] = dict.fromkeys(expected, 0)

    def tell(measured: Measurement) -> None:
        if measured.key not in measurements:
            measurements[measured.key] = measured
            through[measured.target] += 1
            expected[measured.target] = max(expected[measured.target], through[measured.target])
            track(sum(through.values()), sum(expected.values()))

    deadline = None if request.seconds is None else time.monotonic() + request.seconds
    desk = Desk(Ledger(lake, request.name), reader, fitter, request.seed, deadline, tell)
    try:
        for target in targets:
            note(f"{target.name}: {len(target.pool):,} rows to learn from, {len(target.test):,} to test on")
            desk.base(target)
            search(desk, target, plan)
            expected[target.name] = through[target.name]
    finally:
        desk.ledger.write()
    report = summarise(list(measurements.values()), _facts(targets))
    return TransferResult(
        report=report,
        measurements=tuple(measurements.values()),
        correlations=target_correlations({target.name: _by_composition(target) for target in targets}),
        skipped=skipped,
        left_out={target.name: len(target.missing) for target in targets if target.missing},
        made=desk.made,
        out_of_time=desk.out_of_time,
    )


def _all_sources(lake: Lake) -> list[str]:
    cards = [registered.card for registered in lake.list_encoders()]
    return [card.name for card in cards if card.architecture in COMPOSITION_NETWORKS and not card.name.endswith("int8")]


def _read_targets(
    lake: Lake, request: TransferRequest, note: Callable[[str], None]
) -> tuple[list[TargetRows], dict[str, str]]:
    note("reading targets")
    known = numeric_columns(lake)
    for name in request.targets:
        if name not in known:
            raise TrainingError(f"the lake has no numeric column {name!r}", f"columns: {', '.join(known) or 'none'}")
    found: list[TargetRows] = []
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(request.targets or known):
        try:
            found.append(
                read_target(
                    lake,
                    name,
                    dataset=request.dataset,
                    where=request.where,
                    split_column=request.split_column,
                    embedded=request.embedded,
                    seed=request.seed,
                )
            )
        except TrainingError as error:
            skipped[name] = str(error)
    if not found:
        raise TrainingError(
            "there is no target to evaluate" + "".join(f"; {name}: {reason}" for name, reason in skipped.items()),
            "name property columns with --targets",
        )
    return sorted(found, key=lambda target: len(target.y)), skipped


def _facts(targets: list[TargetRows]) -> dict[str, TargetFacts]:
    first: dict[str, str] = {}
    facts = {}
    for target in targets:
        order = np.lexsort((target.y, target.groups))
        values = hashlib.sha256(target.y[order].tobytes() + target.groups[order].tobytes()).hexdigest()
        original = first.setdefault(values, target.name)
        validated = len(target.folds[0])
        facts[target.name] = TargetFacts(
            unit=target.unit,
            n_train=len(target.pool) - validated,
            n_validation=validated,
            n_test=len(target.test),
            n_unseen=int(target.unseen.sum()),
            copy_of=original if original != target.name else "",
        )
    return facts


def _by_composition(target: TargetRows) -> dict[str, float]:
    names, places, counts = np.unique(target.groups, return_inverse=True, return_counts=True)
    means = np.bincount(places.reshape(-1), weights=target.y) / counts
    return dict(zip(names.tolist(), means.tolist(), strict=True))
