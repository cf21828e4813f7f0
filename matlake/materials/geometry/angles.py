"""How many bonds stand at which angle to a bond.

Counts are sums of Gaussians in the cosine of the angle, weighted as the bonds are, so that no angle belongs to one count
or the other. In rock salt a bond has one bond opposite and four at right angles; in diamond three at 109°.
"""

import math

import numpy as np

from matlake.materials.kernels import kernel

NAMES = (
    ("bonds at 180° to a bond", "1"),
    ("bonds at 120° to a bond", "1"),
    ("bonds at 90° to a bond", "1"),
    ("bonds at 60° to a bond", "1"),
    ("bonds at 0° to a bond", "1"),
)
"""The results of ``angle_counts``: at cosines -1, -1/2, 0, 1/2 and 1."""

SPACING = 0.5
WIDTH = 0.3  # a bond at a cosine c counts exp(-((c - centre) / WIDTH)²)


@kernel
def angle_counts(first, vectors, weights):
    """Return float64 [5], the means over atoms of ``NAMES``; weights of bonds as ``surroundings`` returns them."""
    n = len(first) - 1
    counts = np.zeros(5)
    bonds = np.empty(len(weights), dtype=np.int64)
    for i in range(n):
        found = 0
        total = 0.0
        for e in range(first[i], first[i + 1]):
            if weights[e] > 0.0:
                bonds[found] = e
                found += 1
                total += weights[e]
        for a in range(found):
            e = bonds[a]
            for b in range(a):
                f = bonds[b]
                dot = vectors[e, 0] * vectors[f, 0] + vectors[e, 1] * vectors[f, 1] + vectors[e, 2] * vectors[f, 2]
                cosine = dot / (vectors[e, 3] * vectors[f, 3])
                both = 2.0 * weights[e] * weights[f] / (total * n)
                for q in range(5):
                    counts[q] += both * math.exp(-(((cosine + 1.0 - SPACING * q) / WIDTH) ** 2))
    return counts
