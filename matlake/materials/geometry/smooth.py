"""Functions that the parts of the structural descriptor share: none of them jumps when an atom moves a little."""

import math

import numpy as np

from matlake.materials.kernels import kernel


@kernel
def step_down(x, start, end):
    """Return 1 up to ``start``, 0 from ``end`` on, and between them the cubic with no slope at either end."""
    if x <= start:
        return 1.0
    if x >= end:
        return 0.0
    t = (end - x) / (end - start)
    return t * t * (3.0 - 2.0 * t)


@kernel
def outer(vector, tensor, factor):
    """Add ``factor`` times the outer product of a unit vector to the six entries xx, yy, zz, xy, xz, yz of a tensor.

    ``vector`` is [4] with its length last, as ``neighbours.search`` returns it.
    """
    scale = factor / (vector[3] * vector[3])
    tensor[0] += scale * vector[0] * vector[0]
    tensor[1] += scale * vector[1] * vector[1]
    tensor[2] += scale * vector[2] * vector[2]
    tensor[3] += scale * vector[0] * vector[1]
    tensor[4] += scale * vector[0] * vector[2]
    tensor[5] += scale * vector[1] * vector[2]


@kernel
def eigenvalues(tensor):
    """Return the eigenvalues of a symmetric tensor of six entries, ascending (Smith, Commun. ACM 4, 168, 1961)."""
    mean = (tensor[0] + tensor[1] + tensor[2]) / 3.0
    a, b, c = tensor[0] - mean, tensor[1] - mean, tensor[2] - mean
    d, e, f = tensor[3], tensor[4], tensor[5]
    size = math.sqrt((a * a + b * b + c * c + 2.0 * (d * d + e * e + f * f)) / 6.0)
    values = np.full(3, mean)
    if size <= 1e-14 * abs(mean):  # a multiple of the unit tensor, within rounding
        return values
    a, b, c, d, e, f = a / size, b / size, c / size, d / size, e / size, f / size
    half = (a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)) / 2.0
    angle = math.acos(min(1.0, max(-1.0, half))) / 3.0
    values[2] = mean + 2.0 * size * math.cos(angle)
    values[0] = mean + 2.0 * size * math.cos(angle + 2.0 * math.pi / 3.0)
    values[1] = 3.0 * mean - values[0] - values[2]
    return values
