"""The attributes of Magpie as an ONNX graph over element fractions.

A composition holds few of the elements, so the graph first takes each row's elements, as many as the batch's richest
composition has, and computes with those alone. All of it is in float64: differences of nearly equal numbers would
cost float32 more digits than the attributes are promised to.

Source: Ward et al., npj Comput. Mater. 2, 16028 (2016), with the conventions of matminer's ``Stoichiometry``,
``ElementProperty``, ``ValenceOrbital`` and ``IonProperty``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.encoders.card import Layer
from matlake.encoders.composition_encoder import CHARGE_NEUTRAL, FRACTIONS
from matlake.export.descriptors import as_model

NORMS: Final = (0, 2, 3, 5, 7, 10)
STATISTICS: Final = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
_MODE_RELATIVE: Final = 1e-5
_MODE_ABSOLUTE: Final = 1e-8
"""Fractions that are nearer than that are equally frequent, by matminer's use of ``numpy.isclose``."""


@dataclass
class _Nodes:
    """Nodes and constants of a graph in the making; outputs are named by their place."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node and return the name of its output, or the names of its outputs."""
        names = [f"{operator.lower()}_{len(self.nodes)}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values: NDArray[Any] | float | Sequence[int]) -> str:
        """Add a constant: float64, or int64 from whole numbers."""
        name = f"constant_{len(self.constants)}"
        array = np.array(values)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def double(self, values: str) -> str:
        """Turn numbers into float64."""
        return str(self.add("Cast", values, to=TensorProto.DOUBLE))

    def sum_over(self, values: str, axis: int) -> str:
        """Sum over an axis, which stays."""
        return str(self.add("ReduceSum", values, self.constant([axis]), keepdims=1))

    def least(self, values: str, counted: str, axis: int) -> str:
        """Return the minimum over an axis, which stays, of the values that count."""
        infinite = self.constant(np.inf)
        chosen = self.add("Where", counted, values, infinite)
        return str(self.add("ReduceMin", chosen, self.constant([axis]), keepdims=1))

    def largest(self, values: str, counted: str, axis: int) -> str:
        """Return the maximum over an axis, which stays, of the values that count."""
        chosen = self.add("Where", counted, values, self.constant(-np.inf))
        return str(self.add("ReduceMax", chosen, self.constant([axis]), keepdims=1))

    def unsqueeze(self, values: str, axis: int) -> str:
        """Insert an axis of length one."""
        return str(self.add("Unsqueeze", values, self.constant([axis])))


def magpie_graph(
    properties: NDArray[np.float64],
    valences: Sequence[int],
    all_valences: int,
    electronegativity: NDArray[np.float64],
    layer: Layer,
) -> onnx.ModelProto:
    """Build the graph.

    Args:
        properties: float64 [86, p], a column for each property of the elements.
        valences: Columns with the numbers of valence electrons in s, p, d and f orbitals.
        all_valences: Column with the number of all valence electrons.
        electronegativity: float64 [86].
        layer: The output.

    Returns:
        A model with the inputs ``fractions`` float32 [batch, 86] and ``charge_neutral`` float32 [batch, 1], and an
        output float32 [batch, 6 + 6 p + 4 + 3]: norms, statistics of the properties, shares of valence electrons, and
        whether an ionic compound is possible, with the largest and the mean ionic character of a pair of elements.
    """
    g = _Nodes()
    held = g.add("Greater", FRACTIONS, _zero(g))
    count = g.sum_over(g.add("Cast", held, to=TensorProto.INT64), 1)
    most = g.add("Reshape", g.add("ReduceMax", count, keepdims=0), g.constant([1]))
    fractions, elements = g.add("TopK", FRACTIONS, most, axis=1, outputs=2)
    present = g.add("Greater", fractions, _zero(g))
    weights = g.double(fractions)
    weights = g.add("Div", weights, g.sum_over(weights, 1))
    statistics, means = _statistics(g, properties, elements, weights, present)
    parts = [
        _norms(g, weights, g.double(count)),
        statistics,
        g.add(
            "Div",
            g.add("Gather", means, g.constant(list(valences)), axis=1),
            g.add("Gather", means, g.constant([all_valences]), axis=1),
        ),
        g.double(CHARGE_NEUTRAL),
        *_ionic_character(g, electronegativity, elements, weights, present),
    ]
    attributes = g.add("Concat", *parts, axis=1)
    g.nodes.append(helper.make_node("Cast", [attributes], [layer.output], to=TensorProto.FLOAT))
    return as_model(g.nodes, g.constants, {FRACTIONS: len(properties), CHARGE_NEUTRAL: 1}, layer)


def _zero(g: _Nodes) -> str:
    return g.constant(np.zeros((), dtype=np.float32))


def _norms(g: _Nodes, weights: str, count: str) -> str:
    """Return the p-norms of the fractions; the norm with p = 0 is the number of elements."""
    powers: dict[int, str] = {1: weights}
    for power, (a, b) in {2: (1, 1), 3: (2, 1), 5: (3, 2), 7: (5, 2), 10: (5, 5)}.items():
        powers[power] = g.add("Mul", powers[a], powers[b])
    roots = [g.add("Pow", g.sum_over(powers[p], 1), g.constant(1.0 / p)) for p in NORMS if p]
    return str(g.add("Concat", count, *roots, axis=1))


def _statistics(
    g: _Nodes, properties: NDArray[np.float64], elements: str, weights: str, present: str
) -> tuple[str, str]:
    """Return the statistics of each property side by side, [batch, 6 p], and the means, [batch, p]."""
    values = g.add("Gather", g.constant(properties), elements, axis=0)
    shares, counted = g.unsqueeze(weights, 2), g.unsqueeze(present, 2)
    lowest, highest = g.least(values, counted, 1), g.largest(values, counted, 1)
    mean = g.sum_over(g.add("Mul", values, shares), 1)
    deviation = g.add("Abs", g.add("Sub", values, mean))
    largest = g.add("ReduceMax", shares, g.constant([1]), keepdims=1)
    bound = g.add("Sub", g.add("Mul", largest, g.constant(1 - _MODE_RELATIVE)), g.constant(_MODE_ABSOLUTE))
    stacked = g.add(
        "Concat",
        lowest,
        highest,
        g.add("Sub", highest, lowest),
        mean,
        g.sum_over(g.add("Mul", deviation, shares), 1),
        g.least(values, g.add("GreaterOrEqual", shares, bound), 1),
        axis=1,
    )
    by_property = g.add("Flatten", g.add("Transpose", stacked, perm=[0, 2, 1]), axis=1)
    return str(by_property), str(g.add("Squeeze", mean, g.constant([1])))


def _ionic_character(
    g: _Nodes, electronegativity: NDArray[np.float64], elements: str, weights: str, present: str
) -> tuple[str, str]:
    """Return the largest and the mean ionic character 1 - exp(-(χᵢ - χⱼ)²/4) of pairs of elements, [batch, 1] each.

    The pair with the largest is the one with the largest difference. The mean counts each pair of different elements
    once, with the product of both fractions.
    """
    values = g.add("Gather", g.constant(electronegativity), elements, axis=0)
    span = g.add("Sub", g.largest(values, present, 1), g.least(values, present, 1))
    pairs = _character(g, g.add("Sub", g.unsqueeze(values, 1), g.unsqueeze(values, 2)))
    shared = g.add("Mul", g.unsqueeze(weights, 1), g.unsqueeze(weights, 2))
    total = g.add("ReduceSum", g.add("Mul", pairs, shared), g.constant([1, 2]), keepdims=0)
    mean = g.unsqueeze(g.add("Mul", total, g.constant(0.5)), 1)
    return _character(g, span), mean


def _character(g: _Nodes, difference: str) -> str:
    squared = g.add("Mul", difference, difference)
    return str(g.add("Sub", g.constant(1.0), g.add("Exp", g.add("Mul", squared, g.constant(-0.25)))))
