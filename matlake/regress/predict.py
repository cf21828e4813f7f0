"""Prediction for a few formulas or structure files, and what a prediction is."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matlake.errors import SourceError
from matlake.regress.predictor import Predictor, Row, open_predictor
from matlake.store.lake import Lake


@dataclass(frozen=True)
class Prediction:
    """A predicted value.

    Attributes:
        input: The formula as given; of a structure its file or id.
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


def predict(lake: Lake, head_name: str, formulas: Sequence[str]) -> Predictions:
    """Predict for a few formulas; one that cannot be read does not stop the others.

    Raises:
        HeadError: See ``open_predictor``; or the head needs crystals.
        EncoderError: Likewise.
        MissingExtraError: Likewise.
    """
    predictor = open_predictor(lake, head_name)
    values, reasons = predictor.predict(formulas)
    return collect(predictor, zip(formulas, values.tolist(), reasons, strict=True))


def predict_structures(lake: Lake, head_name: str, paths: Sequence[Path]) -> Predictions:
    """Predict for structure files; one that cannot be read does not stop the others.

    Args:
        lake: The lake.
        head_name: Name of the head.
        paths: CIF or POSCAR files, or anything else with structures that can be imported. A structure is called by
            the path of its file, followed by its id where the file holds several.

    Raises:
        HeadError: See ``open_predictor``.
        EncoderError: Likewise.
        MissingExtraError: Likewise.
    """
    from matlake.regress.inputs import open_structures  # readers of structures take a second to import

    predictor = open_predictor(lake, head_name)
    rows: list[Row] = []
    for path in paths:
        try:
            answers = [row for some in open_structures(path).answer(predictor) for row in some.rows()]
        except SourceError as error:
            rows.append((str(path), math.nan, str(error)))
            continue
        several = len(answers) > 1
        rows += [(f"{path}: {name}" if several else str(path), value, reason) for name, value, reason in answers]
    return collect(predictor, rows)


def collect(predictor: Predictor, rows: Iterable[Row]) -> Predictions:
    """Sort rows into those with a prediction and those without."""
    predictions, failed = [], []
    for place, (name, value, reason) in enumerate(rows):
        if reason is None:
            predictions.append(Prediction(name or "", value))
        else:
            failed.append(Refusal(place, name, reason))
    card = predictor.head.card
    return Predictions(card.name, card.target, card.unit, predictions, failed)
