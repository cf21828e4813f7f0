"""How many neighbours an atom has at which distance, counted by Gaussians in d / (R_i + R_j), R the covalent radii."""

import math

import numpy as np

from matlake.materials.geometry.smooth import step_down
from matlake.materials.kernels import kernel

NAMES = (
    ("neighbours at 0.9 sums of radii", "1"),
    ("neighbours at 1.2 sums of radii", "1"),
    ("neighbours at 1.5 sums of radii", "1"),
    ("neighbours at 1.8 sums of radii", "1"),
    ("neighbours at 2.1 sums of radii", "1"),
)
"""The results of ``radial_counts``."""

NEAREST, SPACING, WIDTH = 0.9, 0.3, 0.2  # a neighbour at x counts exp(-((x - centre) / WIDTH)²)
FADE_A = 1.0  # counts fade out over this distance before the cutoff
_NOTHING = 3.3  # beyond it, a neighbour counts less than 1e-15


@kernel
def radial_counts(numbers, first, neighbours, vectors, table, cutoff):
    """Return float64 [5], the means over atoms of ``NAMES``; arguments as for ``surroundings``."""
    n = len(numbers)
    counts = np.zeros(5)
    narrower = math.exp(-2.0 * (SPACING / WIDTH) ** 2)
    for i in range(n):
        radius = table[numbers[i], 1]
        for e in range(first[i], first[i + 1]):
            ratio = vectors[e, 3] / (radius + table[numbers[neighbours[e]], 1])
            if ratio < _NOTHING:
                x = ratio - NEAREST
                # each Gaussian is the one before times a factor, and that one times a constant
                count = math.exp(-((x / WIDTH) ** 2)) * step_down(vectors[e, 3], cutoff - FADE_A, cutoff) / n
                factor = math.exp((2.0 * x - SPACING) * SPACING / WIDTH**2)
                for q in range(5):
                    counts[q] += count
                    count *= factor
                    factor *= narrower
    return counts
