"""The card of a head: what it predicts, from what, how well, and where its predictions hold."""

import re
import time
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from matlake.errors import HeadError
from matlake.materials.units import quantity_of, unit_of
from matlake.metrics import Intervals, Metrics
from matlake.regress.classification.record import ClassRecord
from matlake.regress.features.feature import Feature
from matlake.regress.heads.baseline import Baseline
from matlake.regress.heads.feature_choice import FeatureChoice
from matlake.regress.targets.bounds import UNBOUNDED, Bounds
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transform_choice import ScaleRecord
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.error_model import ErrorModel
from matlake.regress.uncertainty.group_coverage import GroupCoverage
from matlake.regress.uncertainty.intervals import Interval
from matlake.regress.uncertainty.recalibration import Recalibration
from matlake.store.moment import TableVersion

FORMAT_VERSION: Final = 8
"""1 had no intervals, scores, reference rows, and fewer metrics. 2 was flat and stored metrics twice. 3 had no digest.
4 knew properties as they are only: no transforms, no yes or no. 5 knew layers of encoders as features only. 6 did not
name the versions of tables that a head was trained from. 7 knew encoders of a registry only.
"""

_SEALED: Final = 4  # first format with a digest

_NOTICED: Final = 0.005
"""A gain below it is not worth a number."""

NO_RANKING: Final = 0.1
"""Rank correlation with the error up to which a score says nothing on errors."""

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,99}")


@dataclass(frozen=True)
class TrainingRows:
    """Which rows the head was trained on.

    Attributes:
        sql: The query that selected the rows.
        split: Method that held out the test rows, with its argument.
        split_description: What the split did, for people.
        n_dropped: Rows neither trained nor tested on.
        seed: Seed of split, search and model.
        tables: The versions of datasets and embeddings that they were read from; none for a head older than format 7.
            ``open_lake(path, as_of="head:NAME")`` reads them, as long as the lake has the head.
    """

    sql: str
    split: str
    split_description: str
    n_dropped: int
    seed: int
    tables: tuple[TableVersion, ...] = ()


class Limit(StrEnum):
    """What can end a search."""

    FITS = "fits"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Budget:
    """What a search may cost; it ends with the first limit that is reached.

    Attributes:
        fits: Models fitted in all, one for each fold and candidate.
        seconds: Time after which none is begun; None for no limit. A search that ends so depends on how fast and how
            busy the machine is, not on the seed alone.
    """

    fits: int = 45
    seconds: float | None = None

    def after(self, started: float) -> Self:
        """Return what is left of it, where something else began at a time of ``time.monotonic``."""
        if self.seconds is None:
            return self
        return replace(self, seconds=max(0.0, self.seconds - (time.monotonic() - started)))


@dataclass(frozen=True)
class Candidate:
    """A model with parameters, and its errors in cross-validation.

    Attributes:
        model: Name of the model; ``ensemble`` for a weighted mean of others.
        parameters: Its parameters.
        mae: Mean over folds of the mean absolute error, in the target's unit; of a yes/no property, of the log loss.
        mae_std: Standard deviation over folds.
        folds: Folds that its error is the mean over: fewer than all if it was dropped, or if the budget was spent.
    """

    model: str
    parameters: dict[str, Any]
    mae: float
    mae_std: float
    folds: int


@dataclass(frozen=True)
class Search:
    """The search for a model and its parameters, by cross-validation on training rows.

    Attributes:
        candidates: What was tried, best first; those that did not complete all folds come last.
        folds: Number of folds, cut by composition.
        rows: Training rows that took part.
        fits: Models fitted; None for format 1.
        budget: What was allowed; None for format 1.
        stopped_by: The limit that ended the search; None if all there is was tried.
        expected_gain: Share by which as many fits again would lower the error, as estimated; None where it is not.
    """

    candidates: tuple[Candidate, ...]
    folds: int
    rows: int
    fits: int | None = None
    budget: Budget | None = None
    stopped_by: Limit | None = None
    expected_gain: float | None = None

    @property
    def outlook(self) -> str | None:
        """What more fits would gain, for people; None where it is not known."""
        if self.expected_gain is None or self.budget is None:
            return None
        gain = f"about {self.expected_gain:.1%}" if self.expected_gain >= _NOTICED else "less than 0.5 %"
        return f"another {self.budget.fits} fits would lower the cross-validated error by {gain}"

    @property
    def cut_short(self) -> str | None:
        """What a limit has kept the search from, for people; None for a search that did all it was to do."""
        if self.stopped_by is Limit.SECONDS:
            limit = f" of {self.budget.seconds:g} s" if self.budget and self.budget.seconds else ""
            of_all = f" of {self.budget.fits}" if self.budget else ""
            return (
                f"model search cut short by the time limit{limit}, after {self.fits}{of_all} fits: "
                "on a faster or slower machine it may choose another model"
            )
        if self.stopped_by is Limit.FITS and self.candidates[0].folds < self.folds:
            return (
                f"model search cut short by the limit of {self.fits} fits: candidates were compared on "
                f"{self.candidates[0].folds} of {self.folds} folds, or not at all"
            )
        return None

    def document(self) -> dict[str, Any]:
        """Return what ``train --json`` says of it: the errors of the best candidate first."""
        best = self.candidates[0]
        cut_short = {"cut_short": self.cut_short} if self.cut_short else {}
        return {"mae": best.mae, "mae_std": best.mae_std, **asdict(self), **cut_short}


@dataclass(frozen=True)
class ModelRecord:
    """The regressor.

    Attributes:
        kind: Its name.
        parameters: Its parameters.
        search: How they were chosen; None for a head that was fine-tuned.
        parity: Largest difference of the ONNX file from what was fitted, relative to the target's standard deviation.
        features: How the head's features were chosen among those that were named; None where they were not.
        estimator: The class of an estimator of scikit-learn's that its user made; empty for a model with a name.
        chosen_by: The search of scikit-learn's that chose the parameters of an estimator.
    """

    kind: str
    parameters: dict[str, Any]
    search: Search | None = None
    parity: float | None = None
    features: FeatureChoice | None = None
    estimator: str = ""
    chosen_by: str = ""

    @property
    def text(self) -> str:
        """What it is, with its parameters, on one line."""
        if self.estimator:
            chosen = f", chosen by {self.chosen_by}" if self.chosen_by else ""
            return f"{self.estimator}({parameter_text(self.parameters)}){chosen}"
        return f"{self.kind}, {parameter_text(self.parameters) or 'no parameters'}"


@dataclass(frozen=True)
class Evaluation:
    """Errors on one set of test rows.

    Attributes:
        n_train: Rows that the model was fitted to; test rows were never added.
        n_test: Rows that the errors were measured on.
        metrics: Errors of the model.
        intervals: Bootstrap intervals of the metrics.
        baseline: Errors of the mean of the training rows.
        nearest_baseline: Errors of the value of the nearest training material, by the same features; None for format 1.
    """

    n_train: int
    n_test: int
    metrics: Metrics
    intervals: Intervals
    baseline: Metrics
    nearest_baseline: Metrics | None


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve.

    Attributes:
        rows: Training rows that the model was fitted to.
        mae: Mean absolute error on the test rows, in the target's unit.
    """

    rows: int
    mae: float


@dataclass(frozen=True)
class Forgetting:
    """Errors on the test rows of the head that was fine-tuned.

    Attributes:
        rows: Number of them, without compositions that the new head was trained on.
        before: Errors of the old head.
        after: Errors of the new one.
    """

    rows: int
    before: Metrics
    after: Metrics


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning changed.

    Attributes:
        before: Errors of the old head on the test rows.
        forgetting: Errors on the old head's own test rows; None if they cannot be found any more.
    """

    before: Metrics
    forgetting: Forgetting | None


@dataclass(frozen=True)
class Calibration:
    """Prediction intervals, and what they hold of the test rows.

    Attributes:
        interval: How intervals are made.
        coverage: Share of measured values in their interval.
        mean_width: In the target's unit.
        errors: How expected errors are made; None in cards older than them.
        below: Share of measured values below their interval; None in cards older than it, as all that follows.
        above: Share of measured values above it.
        error_correlation: Rank correlation of expected and real absolute error; None also if one does not vary.
        warned: Share of test rows whose prediction carries a warning.
        far_coverage: Share of measured values in their interval, of training rows predicted by fits that had their
            clusters of compositions left out; None also if there were too few compositions.
        worst_groups: Groups of materials whose intervals hold least, of training rows predicted by fits without their
            composition.
    """

    interval: Interval
    coverage: float
    mean_width: float
    errors: ErrorModel | None = None
    below: float | None = None
    above: float | None = None
    error_correlation: float | None = None
    warned: float | None = None
    far_coverage: float | None = None
    worst_groups: tuple[GroupCoverage, ...] = ()


@dataclass(frozen=True)
class ApplicabilityDomain:
    """The training set as predictions are compared with it, and how far that explained errors on the test rows.

    Attributes:
        element_rows: Number of training rows that hold an element.
        block_rows: Number of training rows of each set of blocks of the periodic table that elements are in, such as
            ``spd``; empty in cards older than it.
        rank_correlation: Of absolute error and out-of-distribution score; None if one of them does not vary.
        beyond: Share of scores above 1.
        width_correlation: Of absolute error and width of the interval; None if one of them does not vary, or in cards
            older than it.
        reference_sha256: Digest of the file of reference rows.
        reference_rows: Number of them.
        column_ranges: Smallest, middle and largest value over training rows of each column among the features.
    """

    element_rows: dict[str, int]
    block_rows: dict[str, int]
    rank_correlation: float | None
    beyond: float | None
    width_correlation: float | None = None
    reference_sha256: str = ""
    reference_rows: int = 0
    column_ranges: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def range_of(self, column: str) -> str:
        """Return the values of a column in the training rows, for people."""
        smallest, _, largest = self.column_ranges[column]
        return f"{smallest:g} to {largest:g} {unit_of(column)}".rstrip()

    @property
    def score_ranks_errors(self) -> bool:
        """Whether larger scores went with larger errors on the test rows."""
        return self.rank_correlation is not None and self.rank_correlation > NO_RANKING


@dataclass(frozen=True)
class Provenance:
    """When and with what a head was made.

    Attributes:
        created: Time of training, ISO 8601 with offset.
        tool_versions: Versions that made the file.
    """

    created: str
    tool_versions: dict[str, str]


@dataclass(frozen=True, repr=False)
class HeadCard:
    """Everything known about a head apart from its weights and its reference rows.

    Attributes:
        name: Name in the lake.
        target: Property predicted.
        unit: Its unit; empty if the column's name states none.
        features: Embedded layers, with the digests of their encoders, and columns that make up the input, in order.
        training: The rows.
        model: The regressor.
        evaluation: Errors of this very file on the test rows.
        fractions_baseline: Errors of the same model on element fractions, on the same rows.
        random_evaluation: The same model fitted and measured on a random split; None if the split is random.
        learning_curve: The same model fitted to parts of the training rows, ascending.
        fine_tuning: What fine-tuning changed; None for a head trained from scratch.
        calibration: Its intervals; None for format 1, and for a yes/no property.
        domain: Its applicability domain; None for format 1.
        provenance: Its making.
        difference_intervals: Ends of the 95 % bootstrap interval of the head's mean absolute error minus that of a
            baseline, by the name of the baseline (see ``verdict``); empty for a head older than them.
        bounds: That predictions and intervals keep to.
        transform: What was learned in place of the target.
        scale: On which scale it was learned, and why; None for the property as it is.
        is_expression: Whether the target is an SQL expression, not a column.
        weighting: What says how much each row counts, in words; empty where all count alike.
        classes: Of a yes/no property, how probabilities and sets of labels are made; None for a number.
        more_baselines: Besides the nearest material, element fractions and the mean; none for a head older than them.
        suggestions: What to try where the head is not better than all baselines.
        recalibration: On labels of a new domain; None if there was none.
        sha256: Digest of the ONNX file, hexadecimal.
        format_version: Version of the schema in which the card was written.
    """

    name: str
    target: str
    unit: str
    features: tuple[Feature, ...]
    training: TrainingRows
    model: ModelRecord
    evaluation: Evaluation
    fractions_baseline: Metrics
    random_evaluation: Evaluation | None
    learning_curve: tuple[CurvePoint, ...]
    fine_tuning: FineTuning | None
    calibration: Calibration | None
    domain: ApplicabilityDomain | None
    provenance: Provenance
    difference_intervals: dict[str, tuple[float, ...]] = field(default_factory=dict)
    bounds: Bounds = UNBOUNDED
    transform: Transform = Transform.NONE
    scale: ScaleRecord | None = None
    is_expression: bool = False
    weighting: str = ""
    classes: ClassRecord | None = None
    more_baselines: tuple[Baseline, ...] = ()
    suggestions: tuple[str, ...] = ()
    recalibration: Recalibration | None = None
    sha256: str = ""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        """Read the transform from the text of a card."""
        object.__setattr__(self, "transform", Transform(self.transform))

    def __repr__(self) -> str:
        """Say in a line which head it is of."""
        features = " + ".join(feature.feature for feature in self.features)
        return f"<card of head {self.name}: {self.target}, {self.model.kind} on {features}>"

    @property
    def quantity(self) -> str:
        """What is predicted, for people."""
        return self.target if self.is_expression else quantity_of(self.target)

    @property
    def space(self) -> TargetSpace:
        """The scale on which the target was fitted, and its bounds."""
        link = self.classes.link if self.classes else None
        return TargetSpace(self.transform, self.bounds, self.kind, link)

    @property
    def carries_network(self) -> bool:
        """Whether it is a network that was fine-tuned, which it carries as an encoder of its own."""
        return any(feature.carried_by for feature in self.features)

    @property
    def network_source(self) -> str:
        """Name of the encoder that its network was fine-tuned from; empty for other heads."""
        return self.model.kind.partition(":")[2] if self.carries_network else ""

    @property
    def kind(self) -> Kind:
        """Whether the head predicts a number, or the probability of yes."""
        return Kind.YES_NO if self.classes else Kind.NUMBER

    @property
    def interval(self) -> Interval | None:
        """How intervals are made; None for format 1, and for a yes/no property."""
        return self.calibration.interval if self.calibration else None

    def shifted(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the graph predicts, float64 [n], with the shift of a recalibration."""
        if self.errors is None or self.errors.shift == 0.0:
            return values
        return self.space.to_property(self.space.to_fit(values) + self.errors.shift)

    @property
    def errors(self) -> ErrorModel | None:
        """How expected errors are made; None for heads older than them, and for a yes/no property."""
        return self.calibration.errors if self.calibration else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of a card of an older format."""
        if self.format_version >= _SEALED:
            return ()
        return (f"the card has format {self.format_version}, without a digest: an edit of it would go unnoticed",)

    @property
    def full_curve(self) -> tuple[CurvePoint, ...]:
        """The learning curve with the head itself as its last point."""
        return (*self.learning_curve, CurvePoint(self.evaluation.n_train, self.evaluation.metrics.mae))


def check_name(name: str) -> None:
    """Raise HeadError unless a name is safe as a folder."""
    if not NAME_PATTERN.fullmatch(name):
        raise HeadError(f"{name!r} is not a valid head name", "use letters, digits, '.', '_', '+' and '-'")


def parameter_text(parameters: dict[str, Any]) -> str:
    """Return parameters on one line, without digests; members of an ensemble with their weights."""
    if isinstance(parameters.get("members"), list):
        return " + ".join(
            f"{member['weight']:.2g} {member['model']}({parameter_text(member['parameters'])})"
            for member in parameters["members"]
        )
    return ", ".join(f"{key}={_value_text(value)}" for key, value in parameters.items() if not key.endswith("sha256"))


def _value_text(value: Any) -> str:
    """Return a parameter in words; a model that is a part of another one with its own parameters."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, dict) and "model" in value:
        return f"{value['model']}({parameter_text(value['parameters'])})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
