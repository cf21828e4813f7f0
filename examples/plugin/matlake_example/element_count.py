"""A split by the number of elements: does a head that was trained on binaries hold for ternaries?"""

from collections.abc import Iterator

import numpy as np

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import Method, Proposal, Split


def element_count_split(argument: str | None) -> Split:
    """Return the split that tests materials of a number of elements; None for the most frequent number above one."""
    if argument is not None and not (argument.isdecimal() and int(argument) > 0):
        raise TrainingError(f"{argument!r} is not a number of elements", "type element-count:3")

    def proposals(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - nothing is drawn
        counts = (matrix.fractions > 0).sum(axis=1)
        found, rows = np.unique(counts[counts > 1], return_counts=True)
        wanted = found[np.argsort(-rows, kind="stable")].tolist() if argument is None else [int(argument)]
        for number in wanted:
            yield Proposal(f"{number} elements", f"are of {number} elements", counts == number)

    text = "element-count" if argument is None else f"element-count:{int(argument)}"
    return Split(text, proposals, proposals)


ELEMENT_COUNT = Method("element-count[:NUMBER]", element_count_split)
