"""Parts of padded tables that several kinds of graphs have in common."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.kernels import kernel

_NOWHERE_A: Final = 1.0  # length of what belongs to nobody: every basis function is finite there


def distinct_lengths(distances: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the distinct distances, nobody's last, and the place of each distance among them."""
    lengths, index = np.unique(distances.astype(np.float32), return_inverse=True)
    return np.append(lengths, np.float32(_NOWHERE_A)), index.astype(np.int64)


def with_nobody(values: NDArray[np.integer], nobody: int) -> NDArray[np.int64]:
    """Return values with one more at the end, of the edge that belongs to nobody."""
    return np.append(values, nobody).astype(np.int64)


def pool_matrix(offsets: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the matrix that takes the mean over each crystal: dense, since it costs less than any gather."""
    pool = np.zeros((len(offsets) - 1, len(weights)), dtype=np.float32)
    pool[np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), np.arange(len(weights))] = weights
    return pool


@kernel
def spread(offsets, values, table):
    """Write the rows of a ragged array into a padded table."""
    for row in range(len(offsets) - 1):
        for k in range(offsets[row], offsets[row + 1]):
            table[row, k - offsets[row]] = values[k]


@kernel
def spread_blocks(offsets, values, heights, table):
    """Write blocks [height, width] into the corners of a padded table."""
    for row in range(len(heights)):
        width = (offsets[row + 1] - offsets[row]) // max(1, heights[row])
        start = offsets[row]
        for p in range(heights[row]):
            for q in range(width):
                table[row, p, q] = values[start + p * width + q]


@kernel
def spread_triples(offsets, values, sizes, table):
    """Write blocks [size, size, degrees] into the corners of a padded table [rows, degrees, widest, widest]."""
    degrees = table.shape[1]
    for row in range(len(sizes)):
        at = offsets[row]
        for p in range(sizes[row]):
            for q in range(sizes[row]):
                for degree in range(degrees):
                    table[row, degree, p, q] = values[at]
                    at += 1


@kernel
def message_pairs(edge_offsets, neighbours):
    """Return the atoms of each pair that messages run between, and the pair of each message."""
    atoms = len(edge_offsets) - 1
    targets = np.empty(len(neighbours), dtype=np.int64)
    sources = np.empty(len(neighbours), dtype=np.int64)
    pairs = np.empty(len(neighbours), dtype=np.int64)
    known = np.full(atoms, -1, dtype=np.int64)  # of each source, its last pair
    count = 0
    for target in range(atoms):
        for message in range(edge_offsets[target], edge_offsets[target + 1]):
            source = neighbours[message]
            if known[source] < 0 or targets[known[source]] != target:
                targets[count], sources[count] = target, source
                known[source] = count
                count += 1
            pairs[message] = known[source]
    return targets[:count], sources[:count], pairs
