"""Answers to single rows, and how they become one document.

Rows are written as JSON in the thread that computes them, one by one, so that the event loop never stalls on a large
answer.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from matlake.materials.formula import MAX_LENGTH

_SHOWN: Final = 40


class Outcome(NamedTuple):
    """What came of a row.

    Attributes:
        text: JSON of its answer; empty where there is a reason instead.
        reason: Why there is no answer.
    """

    text: str
    reason: str | None = None


def dumps(document: Any) -> str:
    """Return JSON that every reader takes: no NaN, no infinity.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def assemble(start: str, name: str, inputs: Sequence[str | None], outcomes: Sequence[Outcome]) -> tuple[bytes, int]:
    """Put a document together.

    Args:
        start: JSON of an object: what stands before the rows.
        name: Under which the rows with an answer are.
        inputs: What each row is called.
        outcomes: Of the same rows.

    Returns:
        The document ``{**start, name: [...], "failed": [...]}``, and the number of failed rows.
    """
    failed = [
        {"row": row, "input": _shortened(called), "reason": outcome.reason}
        for row, (called, outcome) in enumerate(zip(inputs, outcomes, strict=True))
        if outcome.reason is not None
    ]
    rows = ", ".join([outcome.text for outcome in outcomes if outcome.reason is None])
    reasons = dumps(failed) if failed else "[]"
    return f'{start[:-1]}, "{name}": [{rows}], "failed": {reasons}}}'.encode(), len(failed)


def _shortened(called: str | None) -> str | None:
    """Keep megabytes that are no formula from going back and forth."""
    return called if called is None or len(called) <= MAX_LENGTH else f"{called[:_SHOWN]}…"
