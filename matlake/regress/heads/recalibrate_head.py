"""``heads calibrate``: intervals and expected errors of a head from labels of a new domain that are in the lake."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.errors import HeadError, Hint, TrainingError
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.labels import count_rows
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.past import find_past, target_of
from matlake.regress.heads.storage import Head, find_encoders, load_head, save_card
from matlake.regress.uncertainty.recalibrate import FEWEST_ROWS, NewLabels, adjust, held_after, held_before
from matlake.regress.uncertainty.recalibration import Recalibration
from matlake.regress.uncertainty.signals import rarest_elements, signals_of
from matlake.reports import Report
from matlake.store.lake import Lake


@dataclass(frozen=True, repr=False)
class RecalibrationResult(Report):
    """A head with new intervals.

    Attributes:
        card: As saved.
        recalibration: What was done.
        level: Share of measured values that intervals are to hold.
    """

    card: HeadCard
    recalibration: Recalibration
    level: float

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {"head": self.card.name, "unit": self.card.unit, "level": self.level, **asdict(self.recalibration)}

    def lines(self) -> list[str]:
        """Return the text for people."""
        done = self.recalibration
        left_out = [f"left out: {count:,} rows {reason}" for reason, count in done.left_out.items() if count]
        return [f"head {self.card.name}, recalibrated", *done.lines(self.card.unit, self.level), *left_out]


def recalibrate_head(lake: Lake, name: str, where: str, seed: int = 0) -> RecalibrationResult:
    """Fit intervals and expected errors of a head to labels of a new domain, and save that in its card.

    The regressor stays. A mean error that is not chance is added to predictions. A second recalibration replaces the
    first. Rows of compositions that the head was trained on are left out.

    Args:
        lake: The lake that holds the head, with its features embedded.
        name: Name of the head.
        where: SQL predicate over ``materials`` that selects the labels.
        seed: Of folds and test.

    Raises:
        HeadError: No such head; or one without expected errors: of yes or no, or older than they are.
        TrainingError: Fewer than ``FEWEST_ROWS`` labels can be used.
        QueryError: ``where`` is not a valid predicate over ``materials``.
        EncoderError: An encoder of the head is missing.
        MissingExtraError: ONNX Runtime is not installed.
    """
    head = load_head(lake, name)
    former = head.card
    head = replace(head, card=_original(former))
    interval, errors = head.card.interval, head.card.errors
    if interval is None or errors is None:
        raise _cannot_be(head.card)
    find_encoders(lake, head.card)
    past = find_past(lake, head.card)
    matrix = read_matrix(lake, target_of(lake, head.card), head.card.features, where=where, training=False)
    trained = np.isin(matrix.groups, sorted(past.compositions))
    unusable = _unusable(head.card, matrix.y)
    rows = np.flatnonzero(~trained & ~unusable)
    left_out = {
        "of compositions that it was trained on": int(trained.sum()),
        "outside of the bounds or the scale of the head": int(np.count_nonzero(unusable & ~trained)),
        "that lack a feature": count_rows(matrix.missing),
    }
    if len(rows) < FEWEST_ROWS:
        raise _too_few(name, len(rows), left_out)
    labels, space = labels_of(head, matrix, rows), head.card.space
    found = adjust(labels, interval, errors, space, seed)
    done = Recalibration(
        where=where,
        rows=len(rows),
        compositions=len(np.unique(labels.groups)),
        left_out=left_out,
        shift=found.shift,
        shift_p_value=found.shift_p_value,
        error_factor=found.error_factor,
        before=held_before(labels, interval, errors, space),
        after=held_after(labels, interval, errors, space, seed),
        former_interval=interval,
        former_errors=errors,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    calibration = head.card.calibration and replace(head.card.calibration, interval=found.interval, errors=found.errors)
    card = replace(head.card, calibration=calibration, recalibration=done)
    save_card(lake, former, card)
    return RecalibrationResult(card, done, found.interval.level)


def _unusable(card: HeadCard, y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which labels float64 [n] a head cannot predict: out of its bounds, or without a logarithm; bool [n]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = card.space.to_fit(y)
    unusable: NDArray[np.bool_] = (card.bounds.limit(y) != y) | ~np.isfinite(scaled)
    return unusable


def _original(card: HeadCard) -> HeadCard:
    """Return a card without its recalibration."""
    done = card.recalibration
    if done is None or card.calibration is None:
        return card
    former = replace(card.calibration, interval=done.former_interval, errors=done.former_errors)
    return replace(card, calibration=former, recalibration=None)


def labels_of(head: Head, matrix: Matrix, rows: NDArray[np.intp]) -> NewLabels:
    """Return predictions of a head for some rows beside what was measured.

    Raises:
        HeadError: It has no expected errors.
    """
    card, reference = head.card, head.reference
    values, coordinates, opinions = head.outputs(matrix.x[rows])
    if reference is None or coordinates is None or card.errors is None or card.domain is None:
        raise _cannot_be(card)
    space, around = card.space, reference.nearest(coordinates)
    counts = np.array([card.domain.element_rows.get(symbol, 0) for symbol in SYMBOLS])
    predicted = space.to_fit(values)
    rarest = rarest_elements(matrix.fractions[rows], counts)
    signals = signals_of(predicted, opinions, around, space.to_fit(reference.value), rarest)
    errors = space.to_fit(matrix.y[rows]) - predicted
    return NewLabels(predicted, errors, card.errors.fitted_errors(signals), matrix.groups[rows])


def _cannot_be(card: HeadCard) -> HeadError:
    reason = "predicts yes or no" if card.classes else "is older than expected errors"
    return HeadError(
        f"head {card.name} {reason}: it has no intervals that could be recalibrated",
        "train a new head, on rows of the new domain as well",
    )


def _too_few(name: str, rows: int, left_out: dict[str, int]) -> TrainingError:
    others = "".join(f"; {count:,} more {reason}" for reason, count in left_out.items() if count)
    return TrainingError(
        f"only {rows} labelled rows to calibrate head {name} on{others}; at least {FEWEST_ROWS} are needed",
        Hint("select or label more rows with where", cli="select or label more rows (--where)"),
    )
