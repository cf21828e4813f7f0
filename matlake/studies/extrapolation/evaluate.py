"""One extrapolation: every way in every task, what has been measured before taken from the table."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from string import ascii_uppercase
from typing import Any, Final

import numpy as np

from matlake.encoders.registry import split_feature
from matlake.encoders.session import onnx_runtime
from matlake.encoders.training_contents import TrainingContents
from matlake.errors import TrainingError
from matlake.extras import require_extra
from matlake.progress import Tracker, untracked
from matlake.regress.features.feature import resolve_features
from matlake.regress.heads.card import check_name
from matlake.regress.heads.model_search import silent
from matlake.regress.regressors import named_model
from matlake.regress.splits import parse_split
from matlake.regress.uncertainty.applicability import FEW
from matlake.store.lake import Lake
from matlake.studies.extrapolation.leakage import LABELS, POLICIES, Exposure, expose
from matlake.studies.extrapolation.measurement import Measurement, open_ledger
from matlake.studies.extrapolation.methods import (
    DEFAULT_MODELS,
    FINE_TUNE,
    HEAD,
    MEAN,
    NEAREST,
    SCRATCH,
    Network,
    Way,
)
from matlake.studies.extrapolation.report import ExtrapolationReport
from matlake.studies.extrapolation.runner import CHOSEN, DEFAULT, Desk
from matlake.studies.extrapolation.summary import Cell, summarise
from matlake.studies.extrapolation.tasks import EvaluatedRows, Task, make_task, read_rows

UNFINISHED: Final = "unfinished"
"""Folder of a lake with trainings that were stopped."""


@dataclass(frozen=True)
class ExtrapolationRequest:
    """What to evaluate.

    Attributes:
        target: Numeric property column.
        splits: As typed for ``train --split``.
        features: Sets of ``NAME`` or ``NAME@LAYER``; each set side by side is what heads are fitted to.
        models: Regressors of the catalogue.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        seeds: How many seeds, from 0.
        network_seeds: With how many of them networks are trained; None for all. What was measured with others is shown.
        parameters: ``CHOSEN`` by cross-validation on training rows, or the catalogue's ``DEFAULT``.
        few: Training rows from which an element or motif counts as seen.
        policy: What is refused as leakage, one of ``exposure.POLICIES``.
        name: Of the evaluation: a later one of the same name goes on from it.
        seconds: Time after which nothing is begun; None for no limit.
    """

    target: str
    splits: tuple[str, ...]
    features: tuple[tuple[str, ...], ...]
    models: tuple[str, ...] = DEFAULT_MODELS
    dataset: str | None = None
    where: str | None = None
    seeds: int = 3
    network_seeds: int | None = None
    parameters: str = CHOSEN
    few: int = FEW
    policy: str = LABELS
    name: str = "extrapolation"
    seconds: float | None = None


@dataclass(frozen=True)
class ExtrapolationResult:
    """What an evaluation found.

    Attributes:
        report: The comparison.
        rows: The rows.
        cells: Each way in each task.
        made: Measurements made now.
        out_of_time: Whether the budget ended it.
    """

    report: ExtrapolationReport
    rows: EvaluatedRows
    cells: tuple[Cell, ...]
    made: int
    out_of_time: bool

    def document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        measured = [cell.measurement for cell in self.cells if cell.measurement is not None]
        return self.report.document() | {
            "measured": self.made,
            "measurements": len(measured),
            "out_of_time": self.out_of_time,
        }

    def lines(self) -> list[str]:
        """Return the same for people."""
        lines = self.report.lines()
        if self.out_of_time:
            lines.append("the budget is spent: what is not run is marked; run the same command again to go on")
        return lines


def evaluate_extrapolation(
    lake: Lake,
    request: ExtrapolationRequest,
    networks: Sequence[Network] = (),
    seen: Mapping[str, TrainingContents] | None = None,
    note: Callable[[str], None] = silent,
    track: Tracker = untracked,
) -> ExtrapolationResult:
    """Predict the same tested rows by heads on frozen embeddings and by networks trained end to end.

    Args:
        lake: The lake, with the features embedded.
        request: What to evaluate.
        networks: Ways of training networks end to end.
        seen: What encoders were trained on, by their sha256, where that is known.
        note: Told what is being done.
        track: Told the number of measurements made, and expected.

    Raises:
        TrainingError: An unknown split, model or column, features that are not embedded, or rows that allow no split.
        EncoderError: No such encoder or layer.
        LeakageError: The content of a tested row is among those trained on.
        QueryError: ``where`` is no predicate over ``materials``.
        LakeError: The table of the evaluation cannot be read or written.
        MissingExtraError: ONNX Runtime, scikit-learn or matplotlib is not installed.
    """
    splits = _checked(request)
    onnx_runtime()
    require_extra("heads", "comparing models")
    require_extra("plots", "the report of a comparison")
    sets = [tuple(f.feature for f in resolve_features(lake, list(features))) for features in request.features]
    letters = dict(zip(ascii_uppercase, dict.fromkeys(sets), strict=False))
    features = resolve_features(lake, list(dict.fromkeys(feature for one in letters.values() for feature in one)))
    note("reading features and target")
    rows = read_rows(
        lake,
        request.target,
        features,
        dataset=request.dataset,
        where=request.where,
        splits=splits,
        networks=bool(networks),
    )
    ways = list(_ways(letters, request.models, networks))
    seeds = tuple(range(request.seeds))
    tasks: list[Task] = []
    skipped: dict[str, str] = {}
    for split in splits:
        try:
            note(f"{split.text}: setting rows aside")
            tasks += [make_task(rows, split, seed, request.few) for seed in seeds]
        except TrainingError as error:
            tasks = [task for task in tasks if task.split != split.text]
            skipped[split.text] = str(error)
    if not tasks:
        raise TrainingError("; ".join(skipped.values()), "name other splits, or select more rows")
    judge = _Judge(lake, rows, seen or {}, request.policy)
    order = [(task, way) for task in tasks for way in ways if not way.is_network]
    order += [
        (task, way)
        for seed in seeds  # one seed everywhere before the next
        for task, way in product(tasks, ways)
        if way.is_network and task.seed == seed
    ]
    refused = {(task.digest, way): why for task, way in order if (why := judge.refusal(task, way))}
    done = 0

    def tell(_: Measurement) -> None:
        nonlocal done
        done += 1
        track(done, len(order) - len(refused))

    desk = Desk(
        ledger=open_ledger(lake, request.name),
        rows=rows,
        networks={network.name: network for network in networks},
        parameters=request.parameters,
        unfinished=lake.path / UNFINISHED,
        deadline=None if request.seconds is None else time.monotonic() + request.seconds,
        tell=tell,
    )
    cells = []
    try:
        for task, way in order:
            refusal = refused.get((task.digest, way), "")
            make = not way.is_network or request.network_seeds is None or task.seed < request.network_seeds
            if way.is_network and not refusal and make:
                note(f"{task.split}, seed {task.seed}: {way.name}")
            measurement = None if refusal else desk.measure(task, way, make=make)
            exposures, unseen = judge.exposures(task, way)
            cells.append(Cell(task, way, measurement, refusal, exposures, unseen))
    finally:
        desk.ledger.write()
    report = summarise(
        rows, tasks, cells, letters, seeds=seeds, few=request.few, policy=request.policy, skipped=skipped
    )
    return ExtrapolationResult(report, rows, tuple(cells), desk.made, desk.out_of_time)


class _Judge:
    """Says what encoders saw of tested rows, and which cells are refused for it."""

    def __init__(self, lake: Lake, rows: EvaluatedRows, seen: Mapping[str, TrainingContents], policy: str) -> None:
        self._lake, self._rows, self._seen, self._policy = lake, rows, seen, policy
        self._known: dict[tuple[str, str], tuple[Exposure, Any]] = {}

    def exposures(self, task: Task, way: Way) -> tuple[tuple[Exposure, ...], Any]:
        """Return what each encoder of a way saw, and bool [m]: tested rows that none of them can have seen."""
        found = [self._exposure(task, encoder) for encoder in way.encoders]
        unseen = np.ones(len(task.held.test), dtype=bool)
        for _, met in found:
            unseen &= ~met
        return tuple(exposure for exposure, _ in found), unseen

    def refusal(self, task: Task, way: Way) -> str:
        """Return why a cell is refused; empty where it is not."""
        exposures, _ = self.exposures(task, way)
        return "; ".join(filter(None, (exposure.refusal(self._policy) for exposure in exposures)))

    def _exposure(self, task: Task, encoder: str) -> tuple[Exposure, Any]:
        key = task.digest, encoder
        if key not in self._known:
            card, test = self._lake.find_encoder(encoder).card, task.held.test
            hashes = self._rows.crystal_hashes
            crystals = None if hashes is None else [hashes[row] for row in test.tolist()]
            compositions = self._rows.matrix.groups[test].tolist()
            self._known[key] = expose(card, self._rows.target, compositions, crystals, self._seen.get(card.sha256))
        return self._known[key]


def _checked(request: ExtrapolationRequest) -> list[Any]:
    """Return the splits after checking all that can be checked without the lake."""
    check_name(request.name)
    if not request.splits or not request.features or not all(request.features):
        raise TrainingError("an extrapolation needs splits and features", "name them with --splits and --features")
    if len(request.features) > len(ascii_uppercase):
        raise TrainingError(f"{len(request.features)} sets of features are too many", "name at most 26")
    if request.policy not in POLICIES:
        raise TrainingError(f"unknown leakage policy {request.policy!r}", f"policies: {', '.join(POLICIES)}")
    if request.parameters not in (CHOSEN, DEFAULT):
        raise TrainingError(f"parameters are {CHOSEN!r} or {DEFAULT!r}, not {request.parameters!r}")
    if request.seeds < 1:
        raise TrainingError("at least one seed is needed", "give --seeds 3")
    for model in request.models:
        named_model(model)
    return list({split.text: split for split in map(parse_split, request.splits)}.values())


def _ways(letters: Mapping[str, tuple[str, ...]], models: Sequence[str], networks: Sequence[Network]) -> Iterator[Way]:
    yield Way(MEAN)
    encoders = {letter: tuple(dict.fromkeys(split_feature(f)[0] for f in one)) for letter, one in letters.items()}
    for letter, features in letters.items():
        yield Way(NEAREST, letter, features, "", encoders[letter])
        for model in dict.fromkeys(models):
            yield Way(HEAD, letter, features, model, encoders[letter])
    for network in networks:
        letter = next((key for key, names in encoders.items() if network.counterpart in names), next(iter(letters)))
        kind = SCRATCH if network.encoder is None else FINE_TUNE
        yield Way(kind, letter, (), network.name, (network.encoder,) if network.encoder else ())
