"""Predictions for many materials, in columns: cheap for a million rows, and read one at a time where there are few."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.classification.label_sets import LabelSets, labels, mixed_labels
from matlake.regress.features.feature import columns_of, places_of_columns
from matlake.regress.heads.storage import Head
from matlake.regress.prediction.results import Failure, Prediction, TrainingNeighbour
from matlake.regress.uncertainty.applicability import (
    FEW,
    UNKNOWN,
    disagreement,
    elements_outside_training,
    low_confidence_reasons,
    outside_ranges,
)
from matlake.regress.uncertainty.estimates import estimate
from matlake.regress.uncertainty.reference_set import SHOWN, Reference

NOT_FINITE: Final = "the head returned a value that is not finite: its file is damaged, or the model diverged"


@dataclass(frozen=True)
class PredictionColumns:
    """What a head predicts for n inputs. One that remembers no training rows leaves all but values and reasons empty.

    Attributes:
        values: float64 [n], in the head's unit; NaN where there is a reason instead.
        reasons: n reasons, or None.
        lower: float64 [n], lower end of the interval; NaN where there is none.
        upper: float64 [n], upper end.
        expected_errors: float64 [n], expected absolute errors, in the head's unit; NaN where there is none.
        ood_scores: float64 [n], out-of-distribution scores; NaN where there is none.
        elements_outside_training: For each input the elements that few training rows hold.
        warnings: For each input the reasons for low confidence.
        near: int32 [n, ``SHOWN``], rows of the reference nearest to the input, nearest first.
        distances: float32 [n, ``SHOWN``], to them; infinite where there are no more, or no prediction.
        coordinates: float32 [n, p], where the inputs lie among the training rows; None where the head remembers none.
        reference: The training rows.
        sets: Of a yes/no property, how sets of labels are made; None for a number.
        columns: float32 [n] each, values of the columns among the head's features; NaN where there is no prediction.
    """

    values: NDArray[np.float64]
    reasons: list[str | None]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    expected_errors: NDArray[np.float64]
    ood_scores: NDArray[np.float64]
    elements_outside_training: list[tuple[str, ...]]
    warnings: list[tuple[str, ...]]
    near: NDArray[np.int32]
    distances: NDArray[np.float32]
    coordinates: NDArray[np.float32] | None
    reference: Reference | None
    sets: LabelSets | None = None
    columns: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @staticmethod
    def empty(reasons: list[str | None], head: Head) -> "PredictionColumns":
        """Return columns to be filled, with the reasons that are known."""
        n, reference = len(reasons), head.reference
        return PredictionColumns(
            values=np.full(n, np.nan),
            reasons=reasons,
            lower=np.full(n, np.nan),
            upper=np.full(n, np.nan),
            expected_errors=np.full(n, np.nan),
            ood_scores=np.full(n, np.nan),
            elements_outside_training=[()] * n,
            warnings=[()] * n,
            near=np.zeros((n, SHOWN), dtype=np.int32),
            distances=np.full((n, SHOWN), np.inf, dtype=np.float32),
            coordinates=None
            if reference is None
            else np.full((n, reference.coordinates.shape[1]), np.nan, dtype=np.float32),
            reference=reference,
            sets=head.card.classes.sets if head.card.classes else None,
            columns={column: np.full(n, np.nan, dtype=np.float32) for column in columns_of(head.card.features)},
        )

    def fill(self, rows: Sequence[int], x: NDArray[np.float32], elements: Sequence[Sequence[str]], head: Head) -> None:
        """Let the head predict for some of the inputs.

        Args:
            rows: Places of m inputs.
            x: float32 [m, d], their features.
            elements: Symbols of the elements in each, in alphabetical order.
            head: The head.
        """
        if not len(rows):
            return
        places = np.asarray(rows)
        values, coordinates, opinions = head.outputs(x)
        others = opinions if coordinates is None else np.c_[opinions, coordinates]
        finite: NDArray[np.bool_] = np.isfinite(np.c_[values, others]).all(axis=1)
        if not finite.all():
            for place in places[~finite]:
                self.reasons[place] = NOT_FINITE
            places, values, opinions, x = places[finite], values[finite], opinions[finite], x[finite]
            coordinates = None if coordinates is None else coordinates[finite]
            elements = [one for one, is_finite in zip(elements, finite, strict=True) if is_finite]
            rows = places.tolist()
        self.values[places] = values
        for place, column in zip(places_of_columns(head.card.features), self.columns.values(), strict=True):
            column[places] = x[:, place]
        interval, domain = head.card.interval, head.card.domain
        if self.reference is None or self.coordinates is None or coordinates is None or domain is None:
            return
        around = self.reference.nearest(coordinates)
        causes: list[tuple[str, ...]] = [()] * len(rows)
        if interval is not None:
            counts = [[domain.element_rows.get(symbol, 0) for symbol in one] for one in elements]
            rarest, card = np.array([min(each) for each in counts]), head.card
            found = estimate(
                values, opinions, around, self.reference, rarest, interval, card.errors, card.space, card.unit
            )
            self.lower[places], self.upper[places] = found.lower, found.upper
            self.expected_errors[places], causes = found.expected_errors, found.causes
        elif self.sets is not None:
            self.expected_errors[places] = np.minimum(values, 1.0 - values)
        self.ood_scores[places] = around.scores
        self.near[places] = around.rows[:, :SHOWN]
        self.distances[places] = around.distances[:, :SHOWN]
        self.coordinates[places] = coordinates
        nearby = (values, *around.label_ranges(self.reference.value))
        near = zip(*(column.tolist() for column in nearby), strict=True)
        for row, symbols, score, due, (value, low, high) in zip(
            rows, elements, around.scores.tolist(), causes, near, strict=True
        ):
            self.elements_outside_training[row] = elements_outside_training(symbols, domain.element_rows)
            few = UNKNOWN if head.card.errors is not None and not due else FEW
            outside = low_confidence_reasons(symbols, score, domain.element_rows, domain.block_rows, few)
            beyond = outside_ranges(self._own(row), domain.column_ranges)
            self.warnings[row] = outside + beyond + self._neighbours_disagree(value, low, high, head) + due

    def _own(self, row: int) -> dict[str, float]:
        """Return the columns' values of an input with the digits that they have, which are those of float32."""
        return {name: float(str(values[row])) for name, values in self.columns.items()}

    def _neighbours_disagree(self, value: float, low: float, high: float, head: Head) -> tuple[str, ...]:
        """Return that the nearest training materials disagree, unless what errors come from says so already."""
        if self.sets is not None:
            return mixed_labels(low, high)
        return () if head.card.errors else disagreement(value, low, high, head.agreement_limit, head.card.unit)

    def results(self, names: Iterable[str | None], start: int = 0) -> Iterator[Prediction | Failure]:
        """Yield what ``result`` returns for each input.

        Args:
            names: What the inputs are called.
            start: Place of the first among all inputs, where these are a part of them.
        """
        for row, name in enumerate(names):
            yield self.result(row, name, start + row)

    def result(self, row: int, name: str | None, place: int | None = None) -> Prediction | Failure:
        """Return the prediction for one of the inputs, or why there is none.

        Args:
            row: Which.
            name: What the input is called.
            place: Its place among all inputs, where these are a part of them.
        """
        reason = self.reasons[row]
        if reason is not None:
            return Failure(row if place is None else place, name, reason)
        labelled = self.labels(self.values[row : row + 1])
        return Prediction(
            name or "",
            float(self.values[row]),
            _number(self.lower[row]),
            _number(self.upper[row]),
            _number(self.ood_scores[row]),
            self.elements_outside_training[row],
            self.warnings[row],
            self.neighbours(row),
            expected_error=_number(self.expected_errors[row]),
            columns=self._own(row),
            **{name: str(column[0]) for name, column in zip(("label", "label_set"), labelled, strict=False)},
        )

    def labels(self, values: NDArray[np.float64]) -> tuple[NDArray[np.str_], ...]:
        """Return the label and the set of labels of probabilities float64 [n], [n] each; nothing for a number."""
        return () if self.sets is None else (labels(values), self.sets.names(values))

    def neighbours(self, row: int) -> tuple[TrainingNeighbour, ...]:
        """Return the training materials nearest to an input."""
        r = self.reference
        if r is None:
            return ()
        return tuple(
            TrainingNeighbour(str(r.dataset[n]), str(r.material_id[n]), str(r.formula[n]), float(r.value[n]), distance)
            for n, distance in zip(self.near[row].tolist(), self.distances[row].tolist(), strict=True)
            if math.isfinite(distance)
        )

    def neighbours_json(self) -> list[str | None]:
        """Return those of each input as a JSON array, as tables hold them; None where there are none."""
        r = self.reference
        if r is None:
            return [None] * len(self.values)
        known = np.isfinite(self.distances)
        starts = {  # each training row is written once, and its distance behind it
            n: json.dumps(
                vars(
                    TrainingNeighbour(str(r.dataset[n]), str(r.material_id[n]), str(r.formula[n]), float(r.value[n]), 0)
                ),
                ensure_ascii=False,
            )[:-2]
            for n in np.unique(self.near[known]).tolist()
        }
        rows = zip(self.near.tolist(), self.distances.tolist(), known.sum(axis=1).tolist(), strict=True)
        return [
            f"[{', '.join([f'{starts[n]}{d!r}}}' for n, d in zip(near[:count], distances, strict=False)])}]"
            if count
            else None
            for near, distances, count in rows
        ]


def _number(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
