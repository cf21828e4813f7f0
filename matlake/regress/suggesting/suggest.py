"""What to measure next: a batch of materials of the lake, with the reason for each."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import HeadError
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.storage import Head
from matlake.regress.heads.verdict import head_notes
from matlake.regress.prediction.predict_dataset import load_current_heads
from matlake.regress.prediction.results import Prediction, predictions_to_arrow
from matlake.regress.prediction.stored_rows import Block, open_rows
from matlake.regress.suggesting.acquisition import ERROR_TO_SPREAD, HIGHEST_VALUES, Float, Goal, Wanted, spreads_of
from matlake.regress.suggesting.batch import best_values, farthest, largest_errors
from matlake.regress.suggesting.candidates import (
    Candidates,
    Measured,
    predict_finalists,
    read_candidates,
    read_measured,
)
from matlake.reports import TableReport
from matlake.store.lake import Lake
from matlake.store.predictions import stale_note
from matlake.text_tables import Column, Line, TextTable, rounded

FINALISTS: Final = 4096
"""Candidates that a batch is chosen among, those worth most by themselves. What a choice takes from the others is never
less than nothing, so that no other candidate could be worth more than the last of them."""

_CHANCES: Final = {
    Wanted.HIGHEST: "to exceed the best measured value",
    Wanted.LOWEST: "to be below the best measured value",
    Wanted.NEAR: "to be nearer than the best measured value",
    Wanted.BETWEEN: "to be in the range",
    Wanted.LIKELY: "to be yes",
    Wanted.UNLIKELY: "to be no",
}


class Purpose(StrEnum):
    """What measurements are for."""

    VALUE = "value"
    UNCERTAINTY = "uncertainty"
    DIVERSITY = "diversity"


@dataclass(frozen=True)
class SuggestRequest:
    """What to suggest.

    Attributes:
        head: Name of the head.
        n: Number of materials.
        purpose: ``value``: find materials with the values that are wanted; ``uncertainty``: improve the head where its
            expected errors are largest; ``diversity``: explore far from all training materials.
        goal: Which values are wanted, for ``value``.
        dataset: Only materials of this dataset.
        where: Only materials that this SQL predicate selects.
    """

    head: str
    n: int = 20
    purpose: str = "value"
    goal: Goal = HIGHEST_VALUES
    dataset: str | None = None
    where: str | None = None

    def __post_init__(self) -> None:
        """Make the text a purpose.

        Raises:
            HeadError: There is no such purpose.
        """
        if self.purpose not in list(Purpose):
            raise HeadError(f"unknown purpose {self.purpose!r}", f"purposes: {', '.join(Purpose)}")
        object.__setattr__(self, "purpose", Purpose(self.purpose))


@dataclass(frozen=True)
class Suggestion:
    """A material to measure.

    Attributes:
        prediction: What the head predicts for it.
        score: What its measurement was worth when it was chosen: for ``value`` the expected improvement, or the
            probability for a range; for ``uncertainty`` the standard deviation of the error; for ``diversity`` the
            distance to what was measured and to those before it.
        reason: Why, in words.
    """

    prediction: Prediction
    score: float
    reason: str

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        found = self.prediction.document()
        return {"dataset": found["dataset"], "material_id": found["input"], "formula": found["formula"]} | {
            **{key: value for key, value in found.items() if key not in ("input", "doubts", "novelties")},
            "score": self.score,
            "reason": self.reason,
        }


@dataclass(frozen=True, repr=False)
class Suggestions(TableReport):
    """A batch of materials to measure.

    Attributes:
        head: Name of the head.
        target: Property predicted.
        unit: Its unit.
        purpose: What measurements are for.
        goal: Which values are wanted, in words; None where that does not matter.
        best_measured: The best value known, in the unit; None likewise.
        candidates: Materials that were considered.
        measured: Materials left out because their composition was measured.
        lacking: Materials left out because they lack a feature.
        suggestions: Best first; each is chosen as if those before it had been measured.
        notes: What a reader has to know, in words.
        mae: Mean absolute error of the head on its test rows.
    """

    head: str
    target: str
    unit: str
    purpose: Purpose
    goal: str | None
    best_measured: float | None
    candidates: int
    measured: int
    lacking: int
    suggestions: list[Suggestion]
    notes: tuple[str, ...]
    mae: float

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {**vars(self), "suggestions": [one.document() for one in self.suggestions]}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        best = "" if self.best_measured is None else f"; best measured: {self._with_unit(self.best_measured)}"
        columns = (Column("material"), Column("formula"), Column("value", "right"), Column("why"))
        rows = [
            (f"{p.dataset}/{p.shown}", p.formula, self._with_unit(p.value), one.reason)
            for one in self.suggestions
            for p in (one.prediction,)
        ]
        doubts = [
            f"{p.formula} is doubtful: {'; '.join(p.warnings)}"
            for one in self.suggestions
            for p in (one.prediction,)
            if p.warnings
        ]
        return [
            f"to measure next for {self.goal or self.purpose}, of {self.candidates:,} candidates{best}",
            TextTable(columns, rows),
            *doubts,
            *(f"note: {note}" for note in self.notes),
        ]

    def to_arrow(self) -> pa.Table:
        """Return the suggestions, best first: what their predictions hold, ``score`` and ``reason``."""
        found = predictions_to_arrow([one.prediction for one in self.suggestions], []).drop_columns(["failure"])
        found = found.append_column("score", pa.array([one.score for one in self.suggestions], pa.float64()))
        return found.append_column("reason", pa.array([one.reason for one in self.suggestions], pa.string()))

    def _with_unit(self, value: float) -> str:
        return f"{rounded(value, self.mae)} {self.unit}".rstrip()


def suggest(lake: Lake, request: SuggestRequest) -> Suggestions:
    """Suggest which materials of the lake to measure next.

    Candidates are those whose composition was not measured, as far as the head's training and test rows tell, and that
    have its features. Predictions that are saved and not stale are used; the rest is predicted from stored vectors.

    Raises:
        LakeError: There is no such dataset.
        QueryError: ``where`` is not a predicate over ``materials``.
        HeadError: See ``predict_dataset``; or the head has no intervals, or nothing is left to suggest.
    """
    opened, (digest,) = load_current_heads(lake, [request.head])
    head, card = opened.head, opened.head.card
    if head.reference is None:
        raise HeadError(f"head {card.name} is older than intervals and distances", "train the head again")
    measured = read_measured(lake, head)
    with open_rows(lake, opened, request.dataset, request.where) as rows:
        found = read_candidates(rows, digest, measured)
        if not len(found.rows):
            raise HeadError(
                f"no material is left to suggest: {found.measured:,} were measured, {found.lacking:,} lack a feature",
                "import materials that were not measured, and embed them",
            )
        chooser = _Chooser(head, request, measured)
        finalists = found.rows[chooser.finalists(found)]
        suggestions = chooser.choose(predict_finalists(rows, finalists))
    goal = chooser.goal_text if request.purpose == Purpose.VALUE else None
    return Suggestions(
        head=card.name,
        target=card.target,
        unit=card.unit,
        purpose=Purpose(request.purpose),
        goal=goal,
        best_measured=None if goal is None else chooser.best,
        candidates=len(found.rows),
        measured=found.measured,
        lacking=found.lacking,
        suggestions=suggestions,
        notes=(*head_notes(card), *_notes(lake, card, measured, found)),
        mae=card.evaluation.metrics.mae,
    )


def _notes(lake: Lake, card: HeadCard, measured: Measured, found: Candidates) -> list[str]:
    notes = stale_note(lake, card.name)
    if found.from_saved:
        notes.append(f"{found.from_saved:,} of the predictions were saved before")
    if found.lacking:
        notes.append(f"{found.lacking:,} materials lack a feature and were not considered: embed them")
    if not measured.found:
        notes.append(
            f"the rows that head {card.name} was trained on are not in this lake: "
            f"{len(measured.values):,} that the head keeps were compared"
        )
    return notes


class _Chooser:
    """Chooses a batch for a request, and says why."""

    def __init__(self, head: Head, request: SuggestRequest, measured: Measured) -> None:
        self._head, self._request = head, request
        self._goal = request.goal if head.card.interval is not None else request.goal.of_classes()
        self.best = self._goal.best(measured.values)
        if request.purpose == Purpose.VALUE:
            self._goal = self._goal.within(head.card.bounds, self.best)

    @property
    def goal_text(self) -> str:
        """Which values are wanted, in words."""
        card, goal = self._head.card, self._goal
        if goal.wanted in (Wanted.LIKELY, Wanted.UNLIKELY):
            return f"what is {goal.wanted} to be {card.target}"
        if goal.wanted is Wanted.NEAR:
            return f"{card.target} near {goal.low:g} {card.unit}".rstrip()
        if goal.wanted is Wanted.BETWEEN:
            return f"{card.target} from {goal.low:g} to {goal.high:g} {card.unit}".rstrip()
        return f"the {goal.wanted} {card.target}"

    def finalists(self, found: Candidates) -> NDArray[np.int64]:
        """Return places of the candidates that are worth most by themselves."""
        numbers = found.numbers
        if self._request.purpose == Purpose.DIVERSITY:
            worth = numbers["ood_score"]  # the mean distance to five is no less than that to the nearest
        else:
            spreads = self._spreads(numbers["value"], numbers["lower"], numbers["upper"], numbers["expected_error"])
            worth = spreads
            if self._request.purpose == Purpose.VALUE:
                worth = self._goal.worth(numbers["value"], spreads, self.best)
        most = max(FINALISTS, 10 * self._request.n)
        order: NDArray[np.int64] = np.argsort(-worth, kind="stable")[:most]
        return order

    def choose(self, blocks: list[Block]) -> list[Suggestion]:
        """Choose a batch among candidates, each as if those before it had been measured."""
        reference, n = self._head.reference, self._request.n
        assert reference is not None  # noqa: S101 - looked at before
        there = [(block, row) for block in blocks for row, why in enumerate(block.predicted[0].reasons) if why is None]
        values, lower, upper, errors, coordinates = (
            np.stack([getattr(block.predicted[0], name)[row] for block, row in there])
            for name in ("values", "lower", "upper", "expected_errors", "coordinates")
        )
        spreads = self._spreads(values, lower, upper, errors)
        if self._request.purpose == Purpose.DIVERSITY:
            places, scores = farthest(coordinates, reference.coordinates, n)
        elif self._request.purpose == Purpose.UNCERTAINTY:
            places, scores = largest_errors(spreads, coordinates, n)
        else:
            places, scores = best_values(self._goal, values, spreads, coordinates, self.best, n)
        chances = self._goal.chance(values, spreads, self.best)
        suggestions = []
        for place, score in zip(places, scores, strict=True):
            prediction = _prediction(*there[place])
            error = float(spreads[place]) / ERROR_TO_SPREAD
            suggestions.append(
                Suggestion(prediction, score, self._reason(prediction, score, error, float(chances[place])))
            )
        return suggestions

    def _spreads(self, values: Float, lower: Float, upper: Float, expected_errors: Float) -> Float:
        interval = self._head.card.interval
        if interval is None:
            return np.sqrt(values * (1.0 - values))  # of yes or no
        return spreads_of(values, lower, upper, expected_errors, interval.level)

    def _reason(self, prediction: Prediction, score: float, error: float, chance: float) -> str:
        """Say why a material was chosen.

        Args:
            prediction: What the head predicts for it.
            score: What its measurement was worth when it was chosen.
            error: Its expected absolute error, in the unit.
            chance: Probability that its value is better than the best known one, or is wanted.
        """
        card = self._head.card
        nearest = next(iter(prediction.nearest), None)
        near = "" if nearest is None else f"; nearest training material {nearest.formula} ({nearest.distance:.2g})"
        if self._request.purpose == Purpose.DIVERSITY:
            return f"{score:.2g} from what was measured and from those above, where 1 is far{near}"
        expected = f"expected error {rounded(error, card.evaluation.metrics.mae)} {card.unit}".rstrip()
        if self._request.purpose == Purpose.UNCERTAINTY:
            return f"{expected}, {error / card.evaluation.metrics.mae:.2g} times that of the test rows{near}"
        return f"{chance:.0%} {_CHANCES[self._goal.wanted]}, {expected}{near}"


def _prediction(block: Block, row: int) -> Prediction:
    """Return the prediction for a material of a block."""
    dataset, name, formula = (block.materials[column][row].as_py() for column in ("dataset", "material_id", "formula"))
    found = block.predicted[0].result(row, name)
    assert isinstance(found, Prediction)  # noqa: S101 - rows that fail are left out
    return replace(found, dataset=dataset, formula=formula)
