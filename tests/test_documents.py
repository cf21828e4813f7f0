"""Dataclasses survive the way through JSON, and what does not fit is named."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pytest

from matlake.documents import from_document


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Point:
    x: float
    colour: Colour | None = None


@dataclass(frozen=True)
class Shape:
    name: str
    points: tuple[Point, ...]
    notes: dict[str, list[int]]
    anything: Any = None


SHAPE = Shape("line", (Point(1.5, Colour.RED), Point(2.0)), {"a": [1, 2]}, {"free": [None, "text"]})


def test_nested_dataclasses_survive_the_way_through_json() -> None:
    assert from_document(Shape, json.loads(json.dumps(asdict(SHAPE)))) == SHAPE


def test_whole_numbers_are_floats_too_and_defaults_may_be_left_out() -> None:
    point = from_document(Point, {"x": 2})
    assert (point, type(point.x)) == (Point(2.0), float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 1}, "Shape.name is int, not str"),
        ({"points": {}}, "Shape.points is dict, not list"),
        ({"points": [{"x": "1"}]}, r"Shape.points\[0\].x is str, not float"),
        ({"points": [{"x": 1.0, "colour": "green"}]}, "'green' is not a valid Colour"),
        ({"points": [{"x": 1.0, "y": 2.0}]}, r"Shape.points\[0\] has the unknown fields y"),
        ({"points": [{}]}, "lacks the fields x"),
        ({"notes": {"a": [None]}}, r"Shape.notes.a\[0\] is NoneType, not int"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        from_document(Shape, asdict(SHAPE) | {"points": [], "notes": {}} | change)
