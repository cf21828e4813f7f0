"""How many contacts of an atom stand at which angle to a contact.

Counts are sums of Gaussians in the cosine of the angle, weighted as the contacts are, so that no angle jumps from one
count to another. In copper a contact has one contact opposite, four at 120°, two at 90° and four at 60°.
"""

import math

import numpy as np

from matlake.materials.kernels import kernel

NAMES = (
    ("contacts at 180° to a contact", "1"),
    ("contacts at 120° to a contact", "1"),
    ("contacts at 90° to a contact", "1"),
    ("contacts at 60° to a contact", "1"),
    ("contacts at 0° to a contact", "1"),
)
"""The results of ``angle_counts``: at cosines -1, -1/2, 0, 1/2 and 1."""

SPACING = 0.5
WIDTH = 0.3  # a contact at a cosine c counts exp(-((c - centre) / WIDTH)²)


@kernel
def angle_counts(first, vectors, weights):
    """Return float64 [5], the means over atoms of ``NAMES``; weights of contacts as ``surroundings`` returns them."""
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
