"""Splits along an order: the target's value, time."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.split import Proposal, Split

TEST_SHARE: Final = 0.2
ENDS: Final = ("high", "low")


def value_split(argument: str | None) -> Split:
    """Return the split that trains on low values of the target and tests on the highest fifth, or the reverse.

    A composition on both sides is tested where its value is extreme; its other rows are dropped, so that no training
    row lies beyond the cut and no test row within it. Forward cross-validation: Xiong et al., Comput. Mater. Sci. 171,
    109203 (2020).
    """
    end = ENDS[0] if argument is None else argument.lower()
    if end not in ENDS:
        raise TrainingError(f"{argument!r} is not an end of the target's range", "value:high or value:low")

    def propose(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - nothing is drawn
        sign = 1.0 if end == "high" else -1.0
        cut = find_cut(sign * matrix.y, TEST_SHARE)
        test = sign * matrix.y > cut
        beyond = "above" if end == "high" else "below"
        yield Proposal(end, f"have a target {beyond} {sign * cut:g}", test)

    return Split(f"value:{end}", propose, propose)


def time_split(argument: str | None) -> Split:
    """Return the split that trains on what was known before a moment and tests on what came after it.

    The moment is one that is named, or the one that leaves the newest fifth. A composition of both sides stays in
    training, for it was known; its later rows are dropped. Sheridan, J. Chem. Inf. Model. 53, 783 (2013).
    """
    column, comparison, moment = (argument or "").partition(">")
    column, moment = column.strip(), moment.strip()
    if not column or bool(comparison) != bool(moment):
        raise TrainingError(
            f"'time:{argument or ''}' does not name a column of times", "time:COLUMN or time:COLUMN>MOMENT"
        )

    def propose(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - nothing is drawn
        times, unknown = read_times(matrix.columns[column], column)
        if unknown.all():
            raise TrainingError(f"{column} is null in all {len(times):,} rows", "choose another column")
        cut = _moment(moment, times.dtype, column) if moment else find_cut(times[~unknown], TEST_SHARE)
        later = f"after {_written(cut)}"
        yield Proposal(later, f"have {column} {later}", times > cut, unknown, column, shared="train")

    return Split(f"time:{column}{comparison}{moment}", propose, propose, (column,), time_column=column)


def find_cut(values: NDArray[Any], share: float) -> Any:
    """Find the value above which a share of the values lies, as nearly as ties allow.

    Args:
        values: [n], numbers or times, none of them null; at least two different ones.
        share: Wanted share of values above the cut.

    Raises:
        TrainingError: All values are equal.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        raise TrainingError(f"all {len(values):,} rows have {_written(distinct[0])}: no row is beyond another")
    above = len(values) - np.cumsum(counts)[:-1]
    nearest = np.argsort(np.abs(above / len(values) - share), kind="stable")[0]
    return distinct[nearest]


def read_times(values: NDArray[Any], column: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return times that can be compared, and which are null; text is read as ISO 8601.

    Args:
        values: [n], the cells of a column.
        column: Its name.

    Raises:
        TrainingError: They are not times.
    """
    if values.dtype.kind == "M":
        return values, np.isnat(values)
    if values.dtype.kind in "iuf":
        return values, np.isnan(values.astype(np.float64))
    try:
        times = np.array(["NaT" if value is None else value for value in values.tolist()], dtype="datetime64[us]")
    except (ValueError, TypeError) as error:
        raise TrainingError(
            f"column {column!r} does not hold times: {error}",
            "name a column of numbers, dates, or text such as 2021-05-31",
        ) from error
    return times, np.isnat(times)


def _moment(text: str, dtype: np.dtype[Any], column: str) -> Any:
    try:
        return np.datetime64(text) if dtype.kind == "M" else float(text)
    except ValueError as error:
        kind = "date such as 2021-05-31" if dtype.kind == "M" else "number, as those of the column are"
        raise TrainingError(f"{text!r} cannot be compared with {column}", f"give a {kind}") from error


def _written(value: Any) -> str:
    return str(value) if isinstance(value, np.datetime64) else f"{value:.12g}"
