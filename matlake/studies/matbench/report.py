"""What an evaluation on a task found: scores by kind of folds, whether intervals hold, and the published results."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import measure, rank_correlation
from matlake.regress.features.feature import Feature
from matlake.regress.uncertainty.applicability import FARTHEST
from matlake.regress.uncertainty.conformal import LEVEL
from matlake.studies.matbench.folds import PUBLIC, Fold
from matlake.studies.matbench.published import SOURCE, Published
from matlake.studies.matbench.request import MatbenchRequest
from matlake.studies.matbench.task_rows import TaskRows
from matlake.studies.measurement import Measurement

MAE, BALANCED_ACCURACY = "MAE", "balanced accuracy"


@dataclass(frozen=True)
class KindReport:
    """What was found on one kind of folds.

    Attributes:
        kind: ``public``, ``clusters``, or a split as typed.
        folds: Folds there are.
        measured: Folds measured.
        scores: Of each of these, the task's score.
        score: Their mean, as the leaderboard takes it; None where none was measured, as are the following.
        score_std: Standard deviation of the score over folds.
        rmse: Root of the mean squared error, the mean over folds; None of a class.
        roc_auc: Of a class: area under the curve of the probabilities, the mean over folds.
        log_loss: Of a class, over all rows tested.
        tested: Rows tested, over all folds.
        apart: Of those, rows whose composition is in no training row.
        apart_score: The score on these, over all of them at once.
        coverage: Share of rows whose interval holds the value; None of a class.
        mean_width: Mean width of the intervals, in the target's unit.
        beyond: Share of rows with an out-of-distribution score above 1.
        error_near: Mean absolute error of the rows at most there.
        error_beyond: Of the rows above.
        score_correlation: Rank correlation of out-of-distribution score and absolute error.
        models: Kinds of models that the folds chose.
        seconds: What the measurements took.
        failures: Fold -> why it failed.
    """

    kind: str
    folds: int
    measured: int
    scores: tuple[float, ...] = ()
    score: float | None = None
    score_std: float | None = None
    rmse: float | None = None
    roc_auc: float | None = None
    log_loss: float | None = None
    tested: int = 0
    apart: int | None = None
    apart_score: float | None = None
    coverage: float | None = None
    mean_width: float | None = None
    beyond: float | None = None
    error_near: float | None = None
    error_beyond: float | None = None
    score_correlation: float | None = None
    models: tuple[str, ...] = ()
    seconds: float = 0.0
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatbenchReport:
    """What was found on a task.

    Attributes:
        task: Its name.
        target: Column of the target.
        unit: Of the target.
        metric: What the score is.
        rows: Rows of the file that belong to the task.
        rows_expected: Rows of the benchmark's file; None for a set without published folds.
        failed: Of the rows, those that are not valid materials; they are trained and tested on nowhere.
        features: ``NAME@LAYER`` of each.
        model: As asked for.
        seed: Seeds everything random except folds.
        level: Share of values that intervals are meant to hold.
        kinds: One report for each kind of folds.
        published: The best published results on the public folds, best first; none unless the rows are theirs.
        source: Where those are from.
        place: Among them, from 1; None where there is nothing to compare.
    """

    task: str
    target: str
    unit: str
    metric: str
    rows: int
    rows_expected: int | None
    failed: int
    features: tuple[str, ...]
    model: str
    seed: int
    level: float
    kinds: tuple[KindReport, ...]
    published: tuple[Published, ...]
    source: str
    place: int | None

    @property
    def public(self) -> KindReport | None:
        """What was found on the public folds, where all of them were measured."""
        return next((one for one in self.kinds if one.kind == PUBLIC and one.measured == one.folds), None)


def summarise(
    rows: TaskRows,
    features: Sequence[Feature],
    request: MatbenchRequest,
    folds: Sequence[Fold],
    found: Sequence[Measurement],
) -> MatbenchReport:
    """Lay out what was measured.

    Args:
        rows: Of the task.
        features: As resolved.
        request: What was asked for.
        folds: All folds.
        found: The measurements of some or all of them.
    """
    kinds = tuple(
        _kind(rows, kind, sum(fold.kind == kind for fold in folds), [one for one in found if one.split == kind])
        for kind in dict.fromkeys(fold.kind for fold in folds)
    )
    published = rows.task.published if rows.is_complete else ()
    public = next((one.score for one in kinds if one.kind == PUBLIC and one.measured == one.folds), None)
    place = None
    if published and public is not None:
        better = [one.score > public if rows.task.yes_no else one.score < public for one in published]
        place = 1 + sum(better)
    return MatbenchReport(
        task=rows.task.name,
        target=rows.target,
        unit=rows.task.unit,
        metric=BALANCED_ACCURACY if rows.task.yes_no else MAE,
        rows=len(rows),
        rows_expected=rows.task.rows,
        failed=int((~rows.valid).sum()),
        features=tuple(feature.feature for feature in features),
        model=request.model,
        seed=request.seed,
        level=LEVEL,
        kinds=kinds,
        published=published,
        source=SOURCE if published else "",
        place=place,
    )


@dataclass(frozen=True)
class _Tested:
    """The tested rows of one fold.

    Attributes:
        y: float64 [m].
        predicted: float64 [m].
        inside: bool [m], whether the interval holds the value.
        widths: float64 [m], of the intervals.
        scores: float64 [m], out-of-distribution scores.
        apart: bool [m], whether the composition is in no row of another fold.
    """

    y: NDArray[np.float64]
    predicted: NDArray[np.float64]
    inside: NDArray[np.bool_]
    widths: NDArray[np.float64]
    scores: NDArray[np.float64]
    apart: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: TaskRows, one: Measurement) -> "_Tested":
        places = {name: place for place, name in enumerate(rows.material_id.tolist())}
        tested = np.array([places[name] for name in one.material_ids], dtype=np.intp)
        others = np.ones(len(rows), dtype=bool)
        others[tested] = False
        lower, upper, y = np.array(one.lower), np.array(one.upper), rows.y[tested]
        return cls(
            y,
            np.array(one.predictions, dtype=np.float64),
            (lower <= y) & (y <= upper),
            upper - lower,
            np.array(one.scores),
            ~np.isin(rows.composition[tested], rows.composition[others & rows.valid]),
        )

    @classmethod
    def together(cls, parts: Sequence["_Tested"]) -> "_Tested":
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def errors(self) -> NDArray[np.float64]:
        return np.abs(self.predicted - self.y)


def _kind(rows: TaskRows, kind: str, folds: int, found: Sequence[Measurement]) -> KindReport:
    measured = [one for one in found if one.is_measured]
    failures = tuple(f"fold {one.round + 1}: {one.error}" for one in found if one.error)
    if not measured:
        return KindReport(kind, folds, 0, failures=failures)
    parts = [_Tested.of(rows, one) for one in measured]
    every = _Tested.together(parts)
    yes_no = rows.task.yes_no
    scores = [_score(part.y, part.predicted, yes_no=yes_no) for part in parts]
    apart = every.apart if kind == PUBLIC else None
    beyond = every.scores > FARTHEST
    return KindReport(
        kind=kind,
        folds=folds,
        measured=len(measured),
        scores=tuple(scores),
        score=float(np.mean(scores)),
        score_std=float(np.std(scores)),
        rmse=None if yes_no else float(np.mean([measure(part.y, part.predicted).rmse for part in parts])),
        roc_auc=float(np.mean([_roc_auc(part) for part in parts])) if yes_no else None,
        log_loss=_log_loss(every) if yes_no else None,
        tested=len(every.y),
        apart=None if apart is None else int(apart.sum()),
        apart_score=None
        if apart is None or not apart.any()
        else _score(every.y[apart], every.predicted[apart], yes_no=yes_no),
        coverage=None if yes_no else float(every.inside.mean()),
        mean_width=None if yes_no else float(every.widths.mean()),
        beyond=float(beyond.mean()),
        error_near=_mean(every.errors[~beyond]),
        error_beyond=_mean(every.errors[beyond]),
        score_correlation=rank_correlation(every.scores, every.errors),
        models=tuple(dict.fromkeys(one.model for one in measured)),
        seconds=float(sum(one.seconds for one in measured)),
        failures=failures,
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _score(y: NDArray[np.float64], predicted: NDArray[np.float64], *, yes_no: bool) -> float:
    """Return the mean absolute error, or of a class the balanced accuracy of predicted probabilities."""
    if not yes_no:
        return measure(y, predicted).mae
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(y > 0, predicted > 0.5))  # noqa: PLR2004 - more likely than not


def _roc_auc(part: _Tested) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(part.y > 0, part.predicted))


def _log_loss(part: _Tested) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(part.y > 0, part.predicted))
