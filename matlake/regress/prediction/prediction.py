"""What a head answers: a value, how far it can be trusted, and what it rests on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Neighbour:
    """A training material near to what was asked about.

    Attributes:
        dataset: Its dataset.
        material_id: Its id.
        formula: Its formula.
        value: Its measured value, in the head's unit.
        distance: From what was asked about, in the scale of the out-of-distribution score: 1 is far for training rows.
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
        novelties: What is plainly new: elements that fewer than ``doubts.FEW`` training rows hold.
        doubts: What speaks against trusting the value, in words; empty where the rule of ``doubts`` lets it pass, and
            for a head older than scores.
        nearest: The nearest training materials, nearest first.
    """

    input: str
    value: float
    lower: float | None = None
    upper: float | None = None
    ood_score: float | None = None
    novelties: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    nearest: tuple[Neighbour, ...] = ()


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
