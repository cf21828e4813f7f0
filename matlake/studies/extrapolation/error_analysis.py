"""When predictions fail: by what has been trained on, by the out-of-distribution score, and by a rule made of both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import rank_correlation
from matlake.regress.uncertainty.applicability import FARTHEST
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.regress.uncertainty.nearest import nearest_rows
from matlake.regress.uncertainty.reference_set import NEAREST, scores
from matlake.studies.extrapolation.tasks import Task
from matlake.studies.rows import StudyRows

BINS: Final = (0, 1, 5, 10, 30, 100, 300)
"""Training rows from which each bin of an error by element count begins."""

Ends = tuple[int, int | None]
"""Fewest and most training rows of a bin."""


@dataclass(frozen=True)
class RowErrors:
    """Predictions of one method for the tested rows of some tasks, and what can be known before trusting them.

    Attributes:
        errors: float64 [m], absolute errors in the target's unit.
        scores: float64 [m], out-of-distribution scores, as ``predict`` gives them.
        rarest: int64 [m], training rows with the row's rarest element.
        discontinuous: bool [m], an element or the motif is outside the training set.
        spread: float64 [m], standard deviation of the target in the training rows.
        expected: float64 [m], validation error of the method; NaN where it has none.
    """

    errors: NDArray[np.float64]
    scores: NDArray[np.float64]
    rarest: NDArray[np.int64]
    discontinuous: NDArray[np.bool_]
    spread: NDArray[np.float64]
    expected: NDArray[np.float64]

    @property
    def trusted(self) -> NDArray[np.bool_]:
        """Whether the rule lets a prediction pass: nothing new in it, and a score of at most 1."""
        return ~self.discontinuous & (self.scores <= FARTHEST)


@dataclass(frozen=True)
class Group:
    """Errors of some rows.

    Attributes:
        rows: Their number.
        mae: Mean absolute error; None of no rows, as are the following.
        rmse: Root of the mean squared error.
        failed: Share of rows whose error is larger than the standard deviation of the target in the training rows: the
            prediction says less than their mean does.
        over_expected: MAE over the validation error; None where there is none.
    """

    rows: int
    mae: float | None = None
    rmse: float | None = None
    failed: float | None = None
    over_expected: float | None = None


@dataclass(frozen=True)
class Bin:
    """Rows whose rarest element is in so many training rows.

    Attributes:
        first: Fewest training rows.
        last: Most; None without limit.
        group: Errors.
    """

    first: int
    last: int | None
    group: Group


@dataclass(frozen=True)
class FailureReport:
    """When the predictions of one method fail.

    Attributes:
        method: Its name.
        everything: All rows.
        continuous: Rows of elements and motifs that the training set has.
        discontinuous: Others.
        by_count: By the number of training rows with the rarest element; bins without rows are left out.
        near: Rows with an out-of-distribution score of at most 1.
        far: Others.
        trusted: Rows that the rule lets pass.
        low_confidence: Others.
        score_correlation: Spearman's, of score and absolute error; None where one does not vary.
        count_correlation: Spearman's, of the rarest element's training rows and absolute error.
        caught: Share of the failed rows that the rule does not let pass; None where none failed.
    """

    method: str
    everything: Group
    continuous: Group
    discontinuous: Group
    by_count: tuple[Bin, ...]
    near: Group
    far: Group
    trusted: Group
    low_confidence: Group
    score_correlation: float | None
    count_correlation: float | None
    caught: float | None

    def in_bins(self, bins: Sequence[Ends]) -> list[Group]:
        """Return the errors in some bins by count, of no rows in those that it lacks."""
        own = {(one.first, one.last): one.group for one in self.by_count}
        return [own.get(ends, Group(0)) for ends in bins]


def bins_of(reports: Iterable[FailureReport]) -> list[Ends]:
    """Return the bins by count that any report has, ascending."""
    return sorted({(one.first, one.last) for report in reports for one in report.by_count})


def ood_scores(rows: StudyRows, task: Task, features: Sequence[str]) -> NDArray[np.float64]:
    """Return the out-of-distribution scores of tested rows, float64 [m], as a head on these features gives them."""
    part = rows.part(features)
    remembered = choose_reference(part, task.held.train, task.seed)
    distances, _ = nearest_rows(remembered.projection.apply(part.x[task.held.test]), remembered.coordinates, NEAREST)
    return scores(distances)


def pooled(parts: Sequence[RowErrors]) -> RowErrors:
    """Return the rows of several tasks as one."""
    return RowErrors(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(RowErrors)))


def failure_report(method: str, tested: RowErrors) -> FailureReport:
    """Say when predictions fail."""
    trusted = tested.trusted
    failed = tested.errors > tested.spread
    lasts = [*(following - 1 for following in BINS[1:]), None]
    place = np.digitize(tested.rarest, BINS) - 1
    bins = [Bin(BINS[i], lasts[i], _group(tested, place == i)) for i in np.unique(place)]
    return FailureReport(
        method=method,
        everything=_group(tested, np.ones(len(trusted), dtype=bool)),
        continuous=_group(tested, ~tested.discontinuous),
        discontinuous=_group(tested, tested.discontinuous),
        by_count=tuple(bins),
        near=_group(tested, tested.scores <= FARTHEST),
        far=_group(tested, tested.scores > FARTHEST),
        trusted=_group(tested, trusted),
        low_confidence=_group(tested, ~trusted),
        score_correlation=rank_correlation(tested.scores, tested.errors),
        count_correlation=rank_correlation(tested.rarest.astype(np.float64), tested.errors),
        caught=float(np.mean(~trusted[failed])) if failed.any() else None,
    )


def _group(tested: RowErrors, chosen: NDArray[np.bool_]) -> Group:
    if not chosen.any():
        return Group(0)
    errors, expected = tested.errors[chosen], tested.expected[chosen]
    mae = float(errors.mean())
    known = bool(np.isfinite(expected).all()) and float(expected.mean()) > 0.0
    return Group(
        rows=len(errors),
        mae=mae,
        rmse=float(np.sqrt(np.mean(errors**2))),
        failed=float(np.mean(errors > tested.spread[chosen])),
        over_expected=mae / float(expected.mean()) if known else None,
    )
