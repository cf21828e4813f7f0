"""Splits by time against encoders trained later: tested rows that are not new to the encoder.

A head that is trained on the past and tested on the future is tested honestly only if its features come from the past,
too. Published weights have mostly been trained on all that a database held when they were made.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.encoders.training_record import TrainingScope
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.ordered import read_times
from matlake.regress.splits.split import HeldOut, Split

_YEARS: Final = (1000, 3000)
"""Numbers between these are years."""


def describe_training_dates(held: HeldOut, split: Split, matrix: Matrix, cards: Iterable[EncoderCard]) -> HeldOut:
    """Add to the description of a split by time which encoders may have been trained on tested rows.

    Args:
        held: The rows.
        split: The split that held them out; any but one by time is described as it was.
        matrix: The rows that were split.
        cards: Of the encoders that features are from.
    """
    if split.time_column is None:
        return held
    times, _ = read_times(matrix.columns[split.time_column], split.time_column)
    found = filter(None, (_training_dates(card, times[held.test]) for card in cards))
    return replace(held, description="; ".join([held.description, *found]))


def _training_dates(card: EncoderCard, tested: NDArray[Any]) -> str:
    """Return what the card says of when its training data are from; empty where no tested row can be among them."""
    training = card.training
    if training.teachers:
        found = (_by_rule(f"the teacher {one.name} of {card.name}", one.scope, tested) for one in training.teachers)
        return "; ".join(filter(None, found))
    if card.is_descriptor:
        return ""
    if training.scope is not None:
        return _by_rule(card.name, training.scope, tested)
    if training.columns is not None and training.columns.held_out:
        source = training.database or "its table"
        return f"{card.name} was trained on {source} without the compositions of rows where {training.columns.held_out}"
    return f"the card of {card.name} has no date of its training data, which may hold all of them"


def _by_rule(name: str, scope: TrainingScope | None, tested: NDArray[Any]) -> str:
    """Return how many tested rows a rule covers; empty for none."""
    if scope is None:
        return f"the card of {name} has no date of its training data, which may hold all of them"
    rows = _not_newer(tested, scope.last_day)
    several = f"{rows:,} of them" if rows < len(tested) else "all of them"
    return f"{name} was trained on {scope.text} and may have been trained on {several}" if rows else ""


def _not_newer(times: NDArray[Any], last: date | None) -> int:
    """Return how many of the times may be at or before a day; numbers that are not years may all be."""
    if last is None:
        return len(times)
    if times.dtype.kind == "M":
        return int(np.count_nonzero(times < np.datetime64(last) + np.timedelta64(1, "D")))
    years = bool(((times >= _YEARS[0]) & (times < _YEARS[1])).all())
    return int(np.count_nonzero(np.floor(times) <= last.year)) if years else len(times)
