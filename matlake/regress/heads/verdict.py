"""Whether a head is worth using: better or worse than what needs no training, on the same test rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import GroupBootstrap, Metrics, enough_resamples, percentile_interval
from matlake.regress.heads.baseline import Baseline
from matlake.regress.heads.card import HeadCard
from matlake.regress.targets.kinds import Kind
from matlake.text_tables import rounded

NEAREST: Final = "nearest training material"
FRACTIONS: Final = "same model on element fractions"
KERNEL_ON_FRACTIONS: Final = "kernel-ridge on element fractions"
"""In place of it for a network that takes crystals."""

MEAN: Final = "mean of the training rows"
FOREST: Final = "random forest on magpie"

_NEGLIGIBLE: Final = 1e-4
"""Difference, relative to the error, that says nothing: the same model, fitted twice, differs by rounding."""


class Outcome(StrEnum):
    """Of a comparison, from the side of the head."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "no clear difference"


@dataclass(frozen=True)
class Comparison:
    """A head beside a baseline, on the same test rows.

    Attributes:
        baseline: What it is compared with.
        error: Mean absolute error of the baseline, in the target's unit; of a yes/no property its Brier score.
        difference: Error of the head minus that of the baseline.
        interval: Ends of the 95 % bootstrap interval of the difference, over whole compositions; empty where it is not
            known, as for heads older than it.
        kind: Of the property.
        rows: Test rows compared on; None for all of them.
        remark: What limits the comparison, in words.
        exposed: Rows that the baseline, an encoder, may have been trained on.
    """

    baseline: str
    error: float
    difference: float
    interval: tuple[float, ...] = ()
    kind: Kind = Kind.NUMBER
    rows: int | None = None
    remark: str = ""
    exposed: int = 0

    @property
    def head_error(self) -> float:
        """Error of the head on the same rows."""
        return self.error + self.difference

    @property
    def outcome(self) -> Outcome:
        """Whether the head is better; undecided if other test rows might say otherwise."""
        if abs(self.difference) < _NEGLIGIBLE * self.error:
            return Outcome.UNDECIDED
        low, high = self.interval or (self.difference, self.difference)
        return Outcome.BETTER if high < 0.0 else Outcome.WORSE if low > 0.0 else Outcome.UNDECIDED

    def document(self) -> dict[str, Any]:
        """Return what JSON says of it."""
        return {
            "baseline": self.baseline,
            _KEYS[self.kind]: self.error,
            "difference": self.difference,
            "interval": self.interval,
            "outcome": self.outcome,
            **({} if self.rows is None else {"rows": self.rows, "remark": self.remark, "exposed": self.exposed}),
        }


_KEYS: Final = {Kind.NUMBER: "mae", Kind.YES_NO: "brier"}
_NAMES: Final = {Kind.NUMBER: "MAE", Kind.YES_NO: "Brier score"}
_ROUNDING: Final = 1e-9
"""Errors that differ by less than this share of the head's mean error are equal."""

_ORDER: Final = (Outcome.WORSE, Outcome.UNDECIDED, Outcome.BETTER)


def difference_intervals(
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    baselines: Mapping[str, NDArray[np.float64]],
    groups: NDArray[np.str_],
    seed: int,
    kind: Kind = Kind.NUMBER,
) -> dict[str, tuple[float, ...]]:
    """Return how the errors of a head and of baselines differ, pair by pair over the same resamples of test rows.

    Args:
        y: float64 [m], measured values of the test rows.
        predicted: float64 [m], of the head.
        baselines: Predictions float64 [m] by name.
        groups: [m], composition of each row.
        seed: Of the bootstrap.
        kind: Of the property: errors are absolute, and squared for probabilities.

    Returns:
        The ends of the interval of each difference, by name.
    """
    own = row_errors(y, predicted, kind)
    differences = np.stack([own - row_errors(y, values, kind) for values in baselines.values()])
    # one model fitted twice differs by rounding alone, and that can have one sign in all rows
    differences[np.abs(differences) < _ROUNDING * own.mean()] = 0.0
    resampled = GroupBootstrap(groups, seed, enough_resamples(len(y))).means_of_all(differences)
    return {name: percentile_interval(means) for name, means in zip(baselines, resampled.T, strict=True)}


def comparisons_of(card: HeadCard) -> tuple[Comparison, ...]:
    """Return how a head compares with each baseline that its card has errors of."""
    found = card.evaluation
    baselines = {NEAREST: found.nearest_baseline, FRACTIONS: card.fractions_baseline, MEAN: found.baseline}
    own = error_of(found.metrics, card.kind)
    errors = {name: error_of(metrics, card.kind) for name, metrics in baselines.items() if metrics is not None}
    shown = {FRACTIONS: KERNEL_ON_FRACTIONS} if card.carries_network else {}
    return tuple(
        Comparison(shown.get(name, name), error, own - error, card.difference_intervals.get(name, ()), card.kind)
        for name, error in errors.items()
    ) + tuple(_comparison(card, one) for one in card.more_baselines)


def _comparison(card: HeadCard, one: Baseline) -> Comparison:
    error, own = error_of(one.metrics, card.kind), error_of(one.head_metrics, card.kind)
    return Comparison(one.name, error, own - error, one.interval, card.kind, one.rows, one.remark, one.exposed)


def error_name(kind: Kind) -> str:
    """Return what the errors of a verdict are: ``MAE``, or of a yes/no property ``Brier score``."""
    return _NAMES[kind]


def row_errors(y: NDArray[np.float64], predicted: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    """Return the errors whose mean that is, float64 [n]: absolute ones, or squared ones of probabilities.

    Args:
        y: float64 [n], measured values.
        predicted: float64 [n].
        kind: Of the property.
    """
    errors: NDArray[np.float64] = np.abs(predicted - y)
    return errors**2 if kind is Kind.YES_NO else errors


def error_of(metrics: Metrics, kind: Kind) -> float:
    """Return the error that a verdict compares."""
    return metrics.brier if kind is Kind.YES_NO and metrics.brier is not None else metrics.mae


def overall(card: HeadCard) -> Outcome:
    """Return the outcome that counts: worse if the head is worse than any baseline, better if better than all.

    An encoder that may have been trained on the very rows cannot make a head worse, but leaves it in doubt.
    """
    found = comparisons_of(card)
    outcomes = {Outcome.UNDECIDED if one.exposed and one.outcome is Outcome.WORSE else one.outcome for one in found}
    return next(outcome for outcome in _ORDER if outcome in outcomes)


def verdict_text(card: HeadCard) -> str:
    """Say how a head compares with baselines, worst first: ``worse than the … (MAE 0.66 against 0.45 eV); …``."""
    parts = []
    for outcome in _ORDER:
        names = [_compared_text(found, card.unit) for found in comparisons_of(card) if found.outcome is outcome]
        if names:
            link = "from" if outcome is Outcome.UNDECIDED else "than"
            parts.append(f"{outcome} {link} {', '.join(names)}")
    return "; ".join(parts)


def _compared_text(found: Comparison, unit: str) -> str:
    """Return a baseline with both errors: ``the mean of the training rows (MAE 0.66 against 0.45 eV)``."""
    digits = found.head_error / 10.0
    errors = f"{_NAMES[found.kind]} {rounded(found.head_error, digits)} against {rounded(found.error, digits)} {unit}"
    remark = f"; {found.remark}" if found.remark else ""
    name = found.baseline if "@" in found.baseline else f"the {found.baseline}"
    return f"{name} ({errors.rstrip()}{remark})"


def verdict_lines(card: HeadCard) -> list[str]:
    """Return the verdict for people, and what follows if the head is worse than a baseline."""
    lines = [f"verdict: {verdict_text(card)}"]
    if overall(card) is Outcome.WORSE:
        lines.append("do not use this head as it is")
    return lines + [f"try: {suggestion}" for suggestion in card.suggestions]


def verdict_document(card: HeadCard) -> dict[str, Any]:
    """Return what JSON says of it: the outcome that counts, and the text."""
    return {"outcome": overall(card), "text": verdict_text(card), "try": list(card.suggestions)}


def head_notes(card: HeadCard) -> tuple[str, ...]:
    """Return what a reader of any prediction of a head has to know about the head."""
    notes = []
    weak = [found for found in comparisons_of(card) if found.outcome is not Outcome.BETTER]
    if weak:
        notes.append(f"verdict on this head: {verdict_text(card).partition('; better')[0]}")
    if card.recalibration is not None:
        done = card.recalibration
        notes.append(f"intervals are those of materials like the {done.rows:,} rows selected by {done.where}")
    domain = card.domain
    if domain is not None and not domain.score_ranks_errors:
        notes.append(ranking_text(card))
    return tuple(notes)


def recalibration_lines(card: HeadCard) -> list[str]:
    """Return what a card says of a recalibration, for people; nothing where there was none."""
    done, interval = card.recalibration, card.interval
    return [] if done is None or interval is None else done.lines(card.unit, interval.level)


def ranking_text(card: HeadCard) -> str:
    """Say whether the out-of-distribution score of a head ranked the errors on its test rows.

    Empty for a head without scores.
    """
    domain = card.domain
    if domain is None:
        return ""
    score, width = domain.rank_correlation, domain.width_correlation
    if domain.score_ranks_errors:
        return f"the out-of-distribution score ranks errors on the test rows (rank correlation {score:.2f})"
    known = "it cannot be measured" if score is None else f"rank correlation {score:.2f}"
    beside = "" if width is None else f", that of the interval's width {width:.2f}"
    see = "the probability" if card.kind is Kind.YES_NO else "the interval"
    return f"the out-of-distribution score does not rank errors on the test rows ({known}{beside}): see {see}"
