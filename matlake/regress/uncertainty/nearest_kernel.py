"""The inner loop of ``nearest``, in a module of its own: numba is imported when the first distance is measured."""

from typing import Any

import numpy as np

from matlake.materials.kernels import kernel


@kernel
def smallest(values: Any, columns: Any, found: Any) -> None:
    """Write the columns of the k smallest finite values of each row, ascending; of equal ones the first."""
    n, m = values.shape
    k = columns.shape[1]
    for i in range(n):
        count = 0
        bound = np.inf  # to be among the k, a value must be below it
        for j in range(m):
            value = values[i, j]
            if value < bound:
                place = count if count < k else k - 1
                while place > 0 and value < values[i, columns[i, place - 1]]:
                    columns[i, place] = columns[i, place - 1]
                    place -= 1
                columns[i, place] = j
                count = min(count + 1, k)
                if count == k:
                    bound = values[i, columns[i, k - 1]]
        for place in range(count):
            found[i, place] = True
