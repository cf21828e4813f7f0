"""The prediction for one material: a value, how far it can be trusted, what it rests on; or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

_NUMBERS: Final = ("value", "lower", "upper", "expected_error", "ood_score")

LISTED: Final = 100
"""Inputs without a prediction that reports on large tables list."""


@dataclass(frozen=True)
class TrainingNeighbour:
    """A training material near to the one that is predicted.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        formula: Its formula.
        value: Its measured value, in the head's unit.
        distance: To the predicted material, in the scale of the out-of-distribution score: 1 is far for training rows.
    """

    dataset: str
    material_id: str
    formula: str
    value: float
    distance: float


@dataclass(frozen=True)
class Prediction:
    """A predicted value.

    Attributes:
        input: The formula as given; of a structure its file or id.
        value: In the head's unit.
        lower: Lower end of the interval, in the head's unit; None for a head older than intervals.
        upper: Upper end.
        ood_score: Mean distance to the nearest training rows; 1.0 is the 95th percentile of training rows themselves.
            None for a head older than scores.
        elements_outside_training: Elements that fewer than ``applicability.FEW`` training rows hold.
        warnings: Low-confidence reasons, in words; empty where the rule of ``applicability`` finds none, and for a head
            older than scores.
        nearest: The nearest training materials, nearest first.
        label: Of a yes/no property, ``yes`` or ``no``: the more probable one; the value is the probability of yes.
        label_set: Of a yes/no property, ``yes``, ``no`` or ``yes or no``: what cannot be excluded.
        columns: Values of the columns among the head's features.
        expected_error: Expected absolute error, in the head's unit; None for a head that has none.
        dataset: Dataset of a material of the lake, whose id is ``input``; None for anything else.
        formula: Its formula.
    """

    input: str
    value: float
    lower: float | None = None
    upper: float | None = None
    ood_score: float | None = None
    elements_outside_training: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    nearest: tuple[TrainingNeighbour, ...] = ()
    expected_error: float | None = None
    dataset: str | None = None
    formula: str | None = None
    label: str | None = None
    label_set: str | None = None
    columns: Mapping[str, float] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The input with its columns, for people."""
        return ", ".join([self.input, *(f"{name} {value:g}" for name, value in self.columns.items())])

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract; ``doubts`` is what ``warnings`` was called before."""
        material = {} if self.dataset is None else {"dataset": self.dataset, "formula": self.formula}
        labels = {} if self.label is None else {"label": self.label, "label_set": self.label_set}
        return {
            "input": self.input,
            **material,
            **({"columns": dict(self.columns)} if self.columns else {}),
            "value": self.value,
            **labels,
            "lower": self.lower,
            "upper": self.upper,
            "expected_error": self.expected_error,
            "ood_score": self.ood_score,
            "novelties": self.elements_outside_training,
            "doubts": self.warnings,
            "warnings": self.warnings,
            "nearest": [vars(neighbour) for neighbour in self.nearest],
        }


@dataclass(frozen=True)
class Failure:
    """An input without a prediction.

    Attributes:
        row: Its place among the inputs, from 0.
        input: As given; None for an empty cell.
        reason: What is wrong with it.
    """

    row: int
    input: str | None
    reason: str


def predictions_to_arrow(predictions: Sequence[Prediction], failed: Sequence[Failure]) -> pa.Table:
    """Return predictions and failures as one table, a row for each input, in their order.

    Args:
        predictions: In the order of their inputs.
        failed: The inputs between them that have none; their columns are null but the first and ``failure``.

    Returns:
        ``input``, or for materials of a lake ``material_id``, ``dataset`` and ``formula``; columns among the features;
        ``value``, ``label`` and ``label_set`` for a yes/no property, ``lower``, ``upper``, ``expected_error``,
        ``ood_score``; ``elements_outside_training`` and ``warnings``, a list each; ``failure``, why there is no
        prediction.
    """
    places = {failure.row for failure in failed}
    order = sorted(set(range(len(predictions) + len(failed))) - places)[: len(predictions)]
    by_row: dict[int, Prediction | Failure] = dict(zip(order, predictions, strict=True))
    by_row |= {failure.row: failure for failure in failed}
    inputs = [by_row[row] for row in sorted(by_row)]
    of_lake = any(one.dataset is not None for one in predictions)
    columns = {"material_id" if of_lake else "input": _column(inputs, "input", pa.string())}
    for name in ("dataset", "formula"):
        if of_lake:
            columns[name] = _column(inputs, name, pa.string())
    for name in dict.fromkeys(name for one in predictions for name in one.columns):
        columns[name] = pa.array([getattr(one, "columns", {}).get(name) for one in inputs], pa.float64())
    for name in _NUMBERS:
        columns[name] = _column(inputs, name, pa.float64())
        if name == "value" and any(one.label is not None for one in predictions):
            columns |= {label: _column(inputs, label, pa.string()) for label in ("label", "label_set")}
    for name in ("elements_outside_training", "warnings"):
        columns[name] = _column(inputs, name, pa.list_(pa.string()))
    columns["failure"] = _column(inputs, "reason", pa.string())
    return pa.table(columns)


def _column(inputs: Sequence[Prediction | Failure], name: str, kind: pa.DataType) -> pa.Array:
    return pa.array([getattr(one, name, None) for one in inputs], kind)
