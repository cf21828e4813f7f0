"""A transfer study: methods from scratch and by transfer, searched on each target by its validation rows."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from matlake.encoders.session import onnx_runtime
from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.materials.units import unit_of
from matlake.networks.architectures import COMPOSITION_NETWORKS
from matlake.progress import SILENT, Progress
from matlake.regress.features.feature import refuse_columns, resolve_features
from matlake.regress.features.matrix import numeric_columns
from matlake.regress.heads.card import check_name
from matlake.reports import Report
from matlake.store.lake import Lake
from matlake.studies.measurement import Measurement
from matlake.studies.runner import OUT_OF_TIME, open_runner
from matlake.studies.statistics import Correlations, target_correlations
from matlake.studies.transfer.configurations import TransferRequest, parse_configurations
from matlake.studies.transfer.plots import draw_transfer_plots
from matlake.studies.transfer.report import TargetFacts, TransferReport, summarise
from matlake.studies.transfer.search import Plan, expected_measurements, search
from matlake.studies.transfer.stages import SCHEMA
from matlake.studies.transfer.tables import markdown, report_lines
from matlake.studies.transfer.target_rows import FeatureReader, TargetRows, read_target
from matlake.studies.transfer.trials import Fitter, TrialRunner


@dataclass(frozen=True, repr=False)
class TransferResult(Report):
    """What a study found.

    Attributes:
        report: The comparison.
        measurements: All measurements of these targets with this plan, made now or before.
        correlations: Of the targets with each other.
        skipped: Target -> why it could not be evaluated.
        left_out: Target -> rows without features.
        made: Measurements made now.
        out_of_time: Whether something was left out because time was up.
    """

    study: ClassVar[str] = "transfer"
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
        lines = report_lines(self.report)
        lines += [f"{name} was not evaluated: {reason}" for name, reason in self.skipped.items()]
        if self.left_out:
            counts = ", ".join(f"{count:,} of {name}" for name, count in self.left_out.items())
            lines.append(f"rows left out because they lack a feature: {counts}")
        return lines + [OUT_OF_TIME] * self.out_of_time

    def markdown(self) -> str:
        """Return the tables of a page."""
        return markdown(self.report)

    def plots(self) -> dict[str, bytes]:
        """Return all plots for which there is something to draw, as the content of PNG and SVG files by name.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        require_extra("plots", "the report of a comparison")
        return draw_transfer_plots(self.measurements, self.report, self.correlations)


def evaluate_transfer(
    lake: Lake,
    request: TransferRequest,
    progress: Progress = SILENT,
) -> TransferResult:
    """Compare learning from scratch with transfer from pretrained encoders, property by property.

    Args:
        lake: The lake.
        request: What to evaluate.
        progress: Receives what is being done, and the number of measurements made, and expected.

    Raises:
        TrainingError: An unknown configuration, target or source, or no target that can be evaluated.
        EncoderError: No such encoder.
        LakeError: The table of results cannot be read or written.
        MissingExtraError: ONNX Runtime or scikit-learn is not installed; or torch, for networks.
    """
    check_name(request.name)
    refuse_columns(request.features, "evaluate transfer")
    onnx_runtime()
    require_extra("heads", "comparing models")
    reader, fitter = FeatureReader(lake), Fitter(lake)
    features = tuple(f.feature for f in resolve_features(lake, list(request.features))) if request.features else ()
    request = replace(request, features=features)
    sources = {name: reader.layers(name) for name in request.sources or _all_sources(lake)}
    plan = Plan(request, parse_configurations(request.configurations), sources)
    targets, skipped = _read_targets(lake, request, progress)
    expected = {target.name: expected_measurements(plan, len(target.y)) for target in targets}
    measurements: dict[str, Measurement] = {}
    through: dict[str, int] = dict.fromkeys(expected, 0)

    def notify(measured: Measurement) -> None:
        if measured.key not in measurements:
            measurements[measured.key] = measured
            through[measured.target] += 1
            expected[measured.target] = max(expected[measured.target], through[measured.target])
            progress.track(sum(through.values()), sum(expected.values()))

    with open_runner(lake, SCHEMA, request.name, request.seconds, notify) as runner:
        for target in targets:
            progress.note(f"{target.name}: {len(target.pool):,} rows to learn from, {len(target.test):,} to test on")
            trials = TrialRunner(runner, reader, fitter, target, request.seed)
            trials.base()
            search(trials, plan)
            expected[target.name] = through[target.name]
    return TransferResult(
        report=summarise(list(measurements.values()), _facts(targets)),
        measurements=tuple(measurements.values()),
        correlations=target_correlations({target.name: _by_composition(target) for target in targets}),
        skipped=skipped,
        left_out={target.name: len(target.data.matrix.missing) for target in targets if target.data.matrix.missing},
        made=runner.made,
        out_of_time=runner.out_of_time,
    )


def _all_sources(lake: Lake) -> list[str]:
    cards = [registered.card for registered in lake.registered_encoders()]
    return [card.name for card in cards if card.architecture in COMPOSITION_NETWORKS and not card.name.endswith("int8")]


def _read_targets(lake: Lake, request: TransferRequest, progress: Progress) -> tuple[list[TargetRows], dict[str, str]]:
    progress.note("reading targets")
    known = numeric_columns(lake)
    for name in request.targets:
        if name not in known:
            raise TrainingError(f"the lake has no numeric column {name!r}", f"columns: {', '.join(known) or 'none'}")
    found: list[TargetRows] = []
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(request.targets or known):
        try:
            found.append(read_target(lake, name, request))
        except TrainingError as error:
            skipped[name] = str(error)
    if not found:
        reasons = "".join(f"; {name}: {reason}" for name, reason in skipped.items())
        raise TrainingError(f"no target can be evaluated{reasons}", "name property columns as targets")
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
            unit=unit_of(target.name),
            n_train=len(target.pool) - validated,
            n_validation=validated,
            n_test=len(target.test),
            n_outside=int(target.outside.sum()),
            copy_of=original if original != target.name else "",
        )
    return facts


def _by_composition(target: TargetRows) -> dict[str, float]:
    names, places, counts = np.unique(target.groups, return_inverse=True, return_counts=True)
    means = np.bincount(places.reshape(-1), weights=target.y) / counts
    return dict(zip(names.tolist(), means.tolist(), strict=True))
