"""Whether a head is worth using: better or worse than what needs no training, on the same test rows."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import GroupBootstrap, enough_resamples, percentile_interval
from matlake.regress.heads.card import Comparison, HeadCard, Outcome
from matlake.text_tables import rounded

NEAREST: Final = "nearest training material"
FRACTIONS: Final = "same model on element fractions"
MEAN: Final = "mean of the training rows"

_ORDER: Final = (Outcome.WORSE, Outcome.UNDECIDED, Outcome.BETTER)


def compare(
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    baselines: Mapping[str, NDArray[np.float64]],
    groups: NDArray[np.str_],
    seed: int,
) -> tuple[Comparison, ...]:
    """Compare a head with baselines, pair by pair over the same resamples of test rows.

    Args:
        y: float64 [m], measured values of the test rows.
        predicted: float64 [m], of the head.
        baselines: Predictions float64 [m] by name.
        groups: [m], composition of each row.
        seed: Of the bootstrap.
    """
    own = np.abs(predicted - y)
    errors = [np.abs(values - y) for values in baselines.values()]
    differences = np.stack([own - other for other in errors])
    resampled = GroupBootstrap(groups, seed, enough_resamples(len(y))).means_of_all(differences)
    return tuple(
        Comparison(name, float(other.mean()), float(difference.mean()), percentile_interval(means))
        for name, other, difference, means in zip(baselines, errors, differences, resampled.T, strict=True)
    )


def comparisons_of(card: HeadCard) -> tuple[Comparison, ...]:
    """Return the comparisons of a card; of an older one what its errors say, without intervals."""
    if card.comparisons:
        return card.comparisons
    found = card.evaluation
    baselines = {NEAREST: found.nearest_baseline, FRACTIONS: card.fractions_baseline, MEAN: found.baseline}
    return tuple(
        Comparison(name, metrics.mae, found.metrics.mae - metrics.mae)
        for name, metrics in baselines.items()
        if metrics is not None
    )


def overall(card: HeadCard) -> Outcome:
    """Return the outcome that counts: worse if the head is worse than any baseline, better if better than all."""
    outcomes = {found.outcome for found in comparisons_of(card)}
    return next(outcome for outcome in _ORDER if outcome in outcomes)


def verdict_text(card: HeadCard) -> str:
    """Say how a head compares with baselines, worst first: ``worse than … (MAE 0.66 against 0.45 eV); better than …``."""
    mae, unit = card.evaluation.metrics.mae, card.unit
    parts = []
    for outcome in _ORDER:
        names = [
            f"the {found.baseline} (MAE {rounded(mae, mae)} against {rounded(found.mae, mae)} {unit}".rstrip() + ")"
            for found in comparisons_of(card)
            if found.outcome is outcome
        ]
        if names:
            link = "from" if outcome is Outcome.UNDECIDED else "than"
            parts.append(f"{outcome} {link} {', '.join(names)}")
    return "; ".join(parts)


def verdict_lines(card: HeadCard) -> list[str]:
    """Return the verdict for people, and what follows if the head is worse than a baseline."""
    lines = [f"verdict: {verdict_text(card)}"]
    if overall(card) is Outcome.WORSE:
        lines.append("do not use this head: try other features, another model or more training rows")
    return lines


def verdict_document(card: HeadCard) -> dict[str, Any]:
    """Return what JSON says of it: the outcome that counts, and the text."""
    return {"outcome": overall(card), "text": verdict_text(card)}


def head_notes(card: HeadCard) -> tuple[str, ...]:
    """Return what a reader of any prediction of a head has to know about the head."""
    notes = []
    weak = [found for found in comparisons_of(card) if found.outcome is not Outcome.BETTER]
    if weak:
        notes.append(f"this head is {verdict_text(card).partition('; better')[0]} on its test rows")
    domain = card.domain
    if domain is not None and not domain.score_ranks_errors:
        notes.append(ranking_text(card))
    return tuple(notes)


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
    return f"the out-of-distribution score does not rank errors on the test rows ({known}{beside}): see the interval"
