"""Prediction for new compositions: formula -> element fractions -> encoders -> head. Needs no scikit-learn."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.errors import FormulaError
from matlake.materials.formula import Composition, check_elements, element_fractions, parse_formula
from matlake.regress.head import Head, check_encoder, load_head
from matlake.store.lake import Lake

CHUNK_ROWS: Final = 4096
"""Rows encoded at once: bounds the memory, whatever the number of formulas."""


@dataclass(frozen=True)
class Predictor:
    """A head with the encoders that it was trained on.

    Attributes:
        head: The head.
        encoders: One for each of the card's features, in that order.
    """

    head: Head
    encoders: tuple[Encoder, ...]

    def predict(self, formulas: Sequence[object]) -> tuple[NDArray[np.float64], list[str | None]]:
        """Predict for formulas.

        Args:
            formulas: n formulas; what is no formula does not stop the others.

        Returns:
            float64 [n] in the card's unit, NaN where there is a reason instead; and the n reasons or None.
        """
        values = np.full(len(formulas), np.nan)
        reasons: list[str | None] = []
        for start in range(0, len(formulas), CHUNK_ROWS):
            compositions: list[Composition] = []
            rows = []
            for row, formula in enumerate(formulas[start : start + CHUNK_ROWS], start=start):
                try:
                    composition = parse_formula(formula)
                    check_elements(composition)
                except FormulaError as error:
                    reasons.append(str(error))
                else:
                    reasons.append(None)
                    compositions.append(composition)
                    rows.append(row)
            values[rows] = self._values(element_fractions(compositions))
        return values, reasons

    def _values(self, fractions: NDArray[np.float32]) -> NDArray[np.float64]:
        features = zip(self.encoders, self.head.card.features, strict=True)
        return self.head.predict(
            np.concatenate([encoder.encode(fractions, feature.layer) for encoder, feature in features], axis=1)
        )


@dataclass(frozen=True)
class Prediction:
    """A predicted value.

    Attributes:
        input: The formula as given.
        value: In the head's unit.
    """

    input: str
    value: float


@dataclass(frozen=True)
class Refusal:
    """An input without a prediction.

    Attributes:
        row: Its place among the inputs, from 0.
        input: As given; None for an empty cell.
        reason: What is wrong with it.
    """

    row: int
    input: str | None
    reason: str


@dataclass(frozen=True)
class Predictions:
    """What a head says.

    Attributes:
        head: Name of the head.
        target: Property predicted.
        unit: Unit of the values.
        predictions: In the order of the inputs.
        failed: Inputs without a prediction.
    """

    head: str
    target: str
    unit: str
    predictions: list[Prediction]
    failed: list[Refusal]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the text for people."""
        width = max((len(p.input) for p in self.predictions), default=0)
        lines = [f"{self.target} by head {self.head}, in {self.unit or 'no unit'}"]
        lines += [f"  {p.input:<{width}}  {p.value:>10.4g} {self.unit}".rstrip() for p in self.predictions]
        return lines + refusal_lines(self.failed, len(self.failed))


def refusal_lines(failed: list[Refusal], count: int) -> list[str]:
    """Return lines on inputs without a prediction, of which ``failed`` may be the first few."""
    if not count:
        return []
    shown = [f"  row {refusal.row}: {refusal.reason}" for refusal in failed]
    return [f"{count:,} without a prediction", *shown, *(["  …"] if len(failed) < count else [])]


def open_predictor(lake: Lake, head_name: str) -> Predictor:
    """Open a head and its encoders, after checking that they are those it was trained on.

    Raises:
        HeadError: No such head, a damaged one, or another encoder under the same name.
        EncoderError: An encoder is missing or damaged.
        MissingExtraError: ONNX Runtime is not installed.
    """
    threads = os.cpu_count() or 1
    head = load_head(lake.path, head_name, threads=threads)
    opened: dict[str, Encoder] = {}
    for feature in head.card.features:
        shelved = lake.find_encoder(feature.encoder)
        check_encoder(head.card, feature, shelved.card)
        if feature.encoder not in opened:
            opened[feature.encoder] = open_encoder(shelved.folder, threads=threads)
    return Predictor(head, tuple(opened[feature.encoder] for feature in head.card.features))


def predict(lake: Lake, head_name: str, formulas: Sequence[str]) -> Predictions:
    """Predict for a few formulas; one that cannot be read does not stop the others.

    Raises:
        HeadError: See ``open_predictor``.
        EncoderError: Likewise.
        MissingExtraError: Likewise.
    """
    predictor = open_predictor(lake, head_name)
    values, reasons = predictor.predict(formulas)
    predictions, failed = [], []
    for row, (formula, value, reason) in enumerate(zip(formulas, values.tolist(), reasons, strict=True)):
        if reason is None:
            predictions.append(Prediction(formula, value))
        else:
            failed.append(Refusal(row, formula, reason))
    card = predictor.head.card
    return Predictions(card.name, card.target, card.unit, predictions, failed)
