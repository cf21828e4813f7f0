"""An extrapolation study: heads on frozen embeddings and networks trained end to end, outside of their training set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from string import ascii_uppercase
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.leakage import Exposure, expose
from matlake.encoders.session import onnx_runtime
from matlake.encoders.training_contents import TrainingContents
from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.progress import SILENT, Progress
from matlake.regress.features.feature import refuse_columns, resolve_features
from matlake.regress.splits import Split
from matlake.regress.targets.transforms import Transform
from matlake.reports import Report
from matlake.store.lake import Lake
from matlake.studies.extrapolation.end_to_end_networks import contents_of_tables, networks_by_name
from matlake.studies.extrapolation.measuring import SCHEMA, MethodRunner
from matlake.studies.extrapolation.methods import (
    FINE_TUNE,
    HEAD,
    MEAN,
    NEAREST,
    SCRATCH,
    ExtrapolationRequest,
    Method,
    Network,
)
from matlake.studies.extrapolation.plots import counts_plot, errors_plot, scores_plot
from matlake.studies.extrapolation.report import Cell, ExtrapolationReport, Summary
from matlake.studies.extrapolation.tables import markdown, report_lines
from matlake.studies.extrapolation.tasks import Task, make_task, read_rows
from matlake.studies.measurement import Measurement
from matlake.studies.report import document
from matlake.studies.rows import StudyRows
from matlake.studies.runner import OUT_OF_TIME, open_runner


@dataclass(frozen=True, repr=False)
class ExtrapolationResult(Report):
    """What a study found.

    Attributes:
        report: The comparison.
        rows: The rows.
        cells: Each method in each task.
        made: Measurements made now.
        out_of_time: Whether something was left out because time was up.
    """

    study: ClassVar[str] = "extrapolation"
    report: ExtrapolationReport
    rows: StudyRows
    cells: tuple[Cell, ...]
    made: int
    out_of_time: bool

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return document(self.report) | {
            "measured": self.made,
            "measurements": sum(cell.measurement is not None for cell in self.cells),
            "out_of_time": self.out_of_time,
        }

    def lines(self) -> list[str]:
        """Return the same for people."""
        return report_lines(self.report) + [OUT_OF_TIME] * self.out_of_time

    def markdown(self) -> str:
        """Return the tables of a page."""
        return markdown(self.report)

    def plots(self) -> dict[str, bytes]:
        """Return all plots for which there is something to draw, as the content of PNG and SVG files by name.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        require_extra("plots", "the report of a comparison")
        return errors_plot(self.report) | counts_plot(self.report) | scores_plot(self.report, self.rows, self.cells)


def evaluate_extrapolation(
    lake: Lake,
    request: ExtrapolationRequest,
    networks: Sequence[Network] = (),
    training_contents: Mapping[str, TrainingContents] | None = None,
    progress: Progress = SILENT,
) -> ExtrapolationResult:
    """Predict the same tested rows by heads on frozen embeddings and by networks trained end to end.

    Args:
        lake: The lake, with the features embedded.
        request: What to evaluate.
        networks: Networks besides those that the request names.
        training_contents: What encoders were trained on, by their sha256, besides what the request's tables say.
        progress: Receives what is being done, and the number of measurements made, and expected.

    Raises:
        TrainingError: An unknown split, model or column, features that are not embedded, or rows that allow no split.
        EncoderError: No such encoder or layer.
        LeakageError: The content of a tested row is among those trained on.
        QueryError: ``where`` is not a predicate over ``materials``.
        SourceError: A training table is not there, or none of these encoders was trained on it.
        LakeError: The table of results cannot be read or written.
        MissingExtraError: ONNX Runtime or scikit-learn is not installed; or torch, for networks.
    """
    splits = request.checked_splits()
    refuse_columns([feature for one in request.features for feature in one], "evaluate extrapolation")
    onnx_runtime()
    require_extra("heads", "comparing models")
    sets = [tuple(f.feature for f in resolve_features(lake, list(features))) for features in request.features]
    letters = dict(zip(ascii_uppercase, dict.fromkeys(sets), strict=False))
    names = list(dict.fromkeys(feature for one in letters.values() for feature in one))
    trained = [*networks, *networks_by_name(lake, request, names)]
    encoders = [LayerRef.parse(feature).encoder for feature in names] + [network.counterpart for network in trained]
    contents = dict(training_contents or {}) | contents_of_tables(lake, request.training_tables, encoders)
    progress.note("reading features and target")
    rows = read_rows(lake, request, resolve_features(lake, names), splits, networks=bool(trained))
    used = [LayerRef.parse(feature).encoder for feature in names] + [one.encoder for one in trained if one.encoder]
    cards = [lake.find_encoder(name).card for name in dict.fromkeys(used)]
    undated = [card for card in cards if card.sha256 not in contents]
    tasks, skipped = _tasks(rows, splits, request, undated, progress)
    leakage = _Leakage(lake, rows, contents, request.policy)
    every = product(tasks, list(_methods(letters, request.models, trained)))
    # quick ones first, then networks, one seed everywhere before the next
    order = sorted(every, key=lambda one: (one[1].is_network, one[1].is_network and one[0].seed))
    refused = {(task.digest, method): why for task, method in order if (why := leakage.refusal(task, method))}
    done = 0

    def notify(_: Measurement) -> None:
        nonlocal done
        done += 1
        progress.track(done, len(order) - len(refused))

    cells = []
    with open_runner(lake, SCHEMA, request.name, request.seconds, notify) as runner:
        by_name = {network.name: network for network in trained}
        measuring = MethodRunner(
            runner, rows, by_name, request.parameters, Transform(request.transform), lake.unfinished
        )
        for task, method in order:
            refusal = refused.get((task.digest, method), "")
            make = not method.is_network or request.network_seeds is None or task.seed < request.network_seeds
            if method.is_network and not refusal and make:
                progress.note(f"{task.split}, seed {task.seed}: {method.name}")
            measurement = None if refusal else measuring.measure(task, method, make=make)
            cells.append(Cell(task, method, measurement, refusal, *leakage.exposures(task, method)))
    report = Summary(rows, letters, request).report(tasks, cells, skipped)
    return ExtrapolationResult(report, rows, tuple(cells), runner.made, runner.out_of_time)


@dataclass(frozen=True)
class _Leakage:
    """Says which tested rows encoders were trained on, and which cells are refused for it."""

    lake: Lake
    rows: StudyRows
    contents: Mapping[str, TrainingContents]
    policy: str
    _known: dict[tuple[str, str], tuple[Exposure, NDArray[np.bool_]]] = field(default_factory=dict)

    def exposures(self, task: Task, method: Method) -> tuple[tuple[Exposure, ...], NDArray[np.bool_]]:
        """Return what each encoder of a method was trained on, and bool [m]: tested rows outside of all of it."""
        found = [self._exposure(task, encoder) for encoder in method.encoders]
        outside = np.ones(len(task.held.test), dtype=bool)
        for _, met in found:
            outside &= ~met
        return tuple(exposure for exposure, _ in found), outside

    def refusal(self, task: Task, method: Method) -> str:
        """Return why a cell is refused; empty where it is not."""
        exposures, _ = self.exposures(task, method)
        return "; ".join(filter(None, (exposure.refusal(self.policy) for exposure in exposures)))

    def _exposure(self, task: Task, encoder: str) -> tuple[Exposure, NDArray[np.bool_]]:
        key = task.digest, encoder
        if key not in self._known:
            card, test = self.lake.find_encoder(encoder).card, task.held.test
            hashes = self.rows.crystal_hashes
            crystals = None if hashes is None else [hashes[row] for row in test.tolist()]
            compositions = self.rows.matrix.groups[test].tolist()
            self._known[key] = expose(card, self.rows.target, compositions, crystals, self.contents.get(card.sha256))
        return self._known[key]


def _tasks(
    rows: StudyRows,
    splits: Sequence[Split],
    request: ExtrapolationRequest,
    undated: Sequence[EncoderCard],
    progress: Progress,
) -> tuple[list[Task], dict[str, str]]:
    """Return the tasks, and for each split that the rows do not allow the reason."""
    tasks: list[Task] = []
    skipped: dict[str, str] = {}
    for split in splits:
        progress.note(f"{split.text}: holding rows out")
        try:
            tasks += [make_task(rows, split, seed, request.few, undated) for seed in range(request.seeds)]
        except TrainingError as error:
            skipped[split.text] = str(error)
    if not tasks:
        raise TrainingError("; ".join(skipped.values()), "name other splits, or select more rows")
    return tasks, skipped


def _methods(
    letters: Mapping[str, tuple[str, ...]], models: Sequence[str], networks: Sequence[Network]
) -> Iterator[Method]:
    yield Method(MEAN)
    encoders = {letter: tuple(dict.fromkeys(LayerRef.parse(f).encoder for f in one)) for letter, one in letters.items()}
    for letter, features in letters.items():
        yield Method(NEAREST, letter, features, "", encoders[letter])
        for model in dict.fromkeys(models):
            yield Method(HEAD, letter, features, model, encoders[letter])
    for network in networks:
        letter = next((key for key, names in encoders.items() if network.counterpart in names), next(iter(letters)))
        kind = SCRATCH if network.encoder is None else FINE_TUNE
        yield Method(kind, letter, (), network.name, (network.encoder,) if network.encoder else ())
