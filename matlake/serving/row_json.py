"""Answers to single rows, and how they become one document.

Rows are written as JSON in the thread that computes them, one by one, so that the event loop never stalls on a large
answer.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from matlake.materials.formula import MAX_LENGTH

_SHOWN: Final = 40


class RowJson(NamedTuple):
    """The answer to a row.

    Attributes:
        text: Its JSON; empty if there is a reason instead.
        reason: Why the row failed.
    """

    text: str
    reason: str | None = None


def dumps(document: Any) -> str:
    """Return JSON that every reader takes: no NaN, no infinity.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def join_rows(start: str, name: str, inputs: Sequence[str | None], rows: Sequence[RowJson]) -> tuple[bytes, int]:
    """Put a document together.

    Args:
        start: JSON of an object: the fields before the rows.
        name: Field of the rows.
        inputs: Names of the rows.
        rows: Their answers.

    Returns:
        The document ``{**start, name: [...], "failed": [...]}``, and the number of failed rows.
    """
    failed = [
        {"row": row, "input": _shortened(called), "reason": answer.reason}
        for row, (called, answer) in enumerate(zip(inputs, rows, strict=True))
        if answer.reason is not None
    ]
    texts = ", ".join([answer.text for answer in rows if answer.reason is None])
    reasons = dumps(failed) if failed else "[]"
    return f'{start[:-1]}, "{name}": [{texts}], "failed": {reasons}}}'.encode(), len(failed)


def _shortened(called: str | None) -> str | None:
    """Keep megabytes that are not a formula from going back and forth."""
    return called if called is None or len(called) <= MAX_LENGTH else f"{called[:_SHOWN]}…"
