"""ONNX graphs of everything but trees, computed in float64, but for deep networks.

Usual conversions compute in float32. ONNX Runtime's SVMRegressor then errs by 7e-4 of a standard deviation with 3,000
support vectors of 1,024 features; squared distances from |a|² + |b|² - 2ab lose half of float32's digits; and linear
models leave none of them where coefficients are large and opposite, as collinear embeddings make them.

Each function takes a regressor's features as float64 [n, d], or float32 [n, d] for deep networks, and returns the
standardised target as float64 [n, 1].
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
import spox.opset.ai.onnx.v20 as op
from numpy.typing import NDArray
from spox import Tensor, Var, argument, build

from matlake.regress.regressors.elemnet_numpy import Dense, Layers
from matlake.regress.regressors.gaussian_process import MaternBlocks
from matlake.regress.regressors.ir_net_numpy import EPSILON, ResidualNetwork
from matlake.regress.regressors.kernels import DistanceKernel, Kernel, KernelExpansion
from matlake.regress.regressors.neighbours import Neighbours
from matlake.regress.regressors.scaling import LIMIT, Scaler
from matlake.regress.uncertainty.opinions import Opinion

OPSET: Final = 20
IR_VERSION: Final = 10
INPUT: Final = "features"

ACTIVATIONS: Final = {"relu": op.relu, "tanh": op.tanh, "logistic": op.sigmoid}


def features_input(n_features: int) -> Var:
    """Return the input of a head, float32 [n, d]."""
    return argument(Tensor(np.float32, ("n", n_features)))


def build_model(features: Var, outputs: Mapping[str, Var]) -> onnx.ModelProto:
    """Return the model that computes some outputs from ``features``.

    Constants become initializers. One that several parts of the graph hold, such as a scaler or the rows of kernel
    machines in an ensemble, is kept once.

    Args:
        features: Of ``features_input``.
        outputs: Variables by the names of the outputs.
    """
    model = build({INPUT: features}, dict(outputs))
    names: dict[bytes, str] = {}
    kept_as: dict[str, str] = {}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensor = node.attribute[0].t
            tensor.ClearField("name")
            kept_as[node.output[0]] = names.setdefault(tensor.SerializeToString(), node.output[0])
            if kept_as[node.output[0]] == node.output[0]:
                tensor.name = node.output[0]
                model.graph.initializer.append(tensor)
        else:
            node.input[:] = [kept_as.get(name, name) for name in node.input]
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[0].dim_param = "n"
    for domain in model.opset_import:
        domain.version = domain.version if domain.domain else OPSET
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def standardise(scaler: Scaler, features: Var) -> Var:
    """Return what ``scaler.transform`` makes of ``features``, float64 [n, d]."""
    scaled = op.div(op.sub(op.cast(features, to=np.float64), op.const(scaler.mean)), op.const(scaler.scale))
    return op.clip(scaled, op.const(-LIMIT), op.const(LIMIT))


def linear(z: Var, slopes: NDArray[Any], intercept: float) -> Var:
    """Return z·v + b of slopes [d] and an intercept."""
    return op.add(op.matmul(z, _column(slopes)), op.const([float(intercept)]))


def kernel_machine(z: Var, machine: KernelExpansion) -> Var:
    """Return Σᵢ wᵢ·k(z, pᵢ) + z·v + b, where k is the machine's kernel of distances."""
    if not len(machine.points):
        return linear(z, machine.slopes, machine.intercept)
    values = _kernel(z, machine.points, machine.kernel)
    weighted = op.matmul(op.const(np.reshape(machine.weights, (1, -1)), np.float64), values)
    together = op.add(op.transpose(weighted, perm=[1, 0]), op.matmul(z, _column(machine.slopes)))
    return op.add(together, op.const([machine.intercept]))


def opinion_of(z: Var, opinion: Opinion) -> Var:
    """Return a second opinion, on the fitted scale."""
    parts = [_cut(z, columns, axis=1) for columns in opinion.columns]
    points = op.matmul(parts[0] if len(parts) == 1 else op.concat(parts, axis=1), op.const(opinion.matrix))
    return kernel_machine(points, opinion.machine)


def nearest_neighbours(z: Var, neighbours: Neighbours) -> Var:
    """Return the mean target of the nearest points."""
    squares = op.transpose(_squared_distances(z, neighbours.points), perm=[1, 0])
    _, nearest = op.top_k(squares, op.const([neighbours.count]), axis=1, largest=False)
    return op.reduce_mean(op.gather(op.const(neighbours.targets), nearest), op.const([1]), keepdims=True)


def perceptron(z: Var, layers: Sequence[tuple[NDArray[Any], NDArray[Any]]], activation: str) -> Var:
    """Return a network of layers, each with weights [inputs, outputs] and biases [outputs].

    Args:
        z: Its input.
        layers: In order.
        activation: One of ``ACTIVATIONS``, after all layers but the last.
    """
    for number, (weights, biases) in enumerate(layers):
        hidden = ACTIVATIONS[activation](z) if number else z
        z = op.add(op.matmul(hidden, op.const(weights, np.float64)), op.const(biases, np.float64))
    return z


def relu_network(x: Var, layers: Layers) -> Var:
    """Return a ReLU network in float32, in which it was trained: weights in float64 would be 37 MB."""
    for number, layer in enumerate(layers):
        x = _dense(op.relu(x) if number else x, layer)
    return op.cast(x, to=np.float64)


def residual_network(x: Var, network: ResidualNetwork) -> Var:
    """Return a residual network in float32, in which it was trained."""
    for block in network.blocks:
        inner = _dense(x, block.dense)
        if block.norm is not None:
            scale, shift = block.norm
            inner, *_ = op.layer_normalization(inner, op.const(scale), op.const(shift), epsilon=EPSILON)
        x = op.add(op.relu(inner), x if block.shortcut is None else _dense(x, block.shortcut))
    return op.cast(_dense(x, network.output), to=np.float64)


def _dense(x: Var, layer: Dense) -> Var:
    return op.gemm(x, op.const(layer[0]), op.const(layer[1]))


def _column(values: NDArray[Any]) -> Var:
    return op.const(np.reshape(values, (-1, 1)), np.float64)


def _kernel(z: Var, points: NDArray[np.float32], kernel: DistanceKernel) -> Var:
    """Return what ``kernel.between`` does, without its linear part, for m points and n rows, float64 [m, n]."""
    if isinstance(kernel, MaternBlocks):
        return _matern_blocks(z, points, kernel)
    assert isinstance(kernel, Kernel)  # noqa: S101 - there are no others
    gamma = kernel.gamma or 0.0
    if not kernel.blocks:
        return op.exp(op.mul(_squared_distances(z, points), op.const(-gamma)))
    parts = kernel.parts()
    multiples = [gamma * times for _, times in parts]
    squares = _block_squares(z, points, [columns for columns, _ in parts], multiples)
    share = op.const(1.0 / len(parts))
    alone = op.mul(op.sum([_rational_quadratic(one) for one in squares]), share)
    together = _rational_quadratic(op.mul(op.sum(squares), share))
    return op.mul(op.add(alone, together), op.const(0.5))


def _matern_blocks(z: Var, points: NDArray[np.float32], kernel: MaternBlocks) -> Var:
    parts = kernel.parts()
    squares = _block_squares(z, points, [columns for columns, _, _ in parts], [times for _, _, times in parts])
    values = []
    for square, (_, weight, _) in zip(squares, parts, strict=True):
        r = op.sqrt(square)
        polynomial = op.add(op.add(r, op.const(1.0)), op.mul(square, op.const(1.0 / 3.0)))
        values.append(op.mul(op.mul(polynomial, op.exp(op.neg(r))), op.const(weight)))
    return op.sum(values)


def _block_squares(
    z: Var, points: NDArray[np.float32], blocks: Sequence[slice], multiples: Sequence[float]
) -> list[Var]:
    """Return for each block of columns a multiple of the squared distances [m, n] of m points to n rows.

    The points are kept whole and cut in the graph: members of an ensemble share them, in blocks or not.
    """
    whole, squares = op.const(points), []
    for columns, times in zip(blocks, multiples, strict=True):
        own = _cut(z, columns, axis=1)
        squared = _distances_to(own, _cut(whole, columns, axis=1), points[:, columns])
        squares.append(op.mul(squared, op.const(float(times))))
    return squares


def _rational_quadratic(squares: Var) -> Var:
    return op.reciprocal(op.add(squares, op.const(1.0)))


def _cut(values: Var, places: slice, axis: int) -> Var:
    return op.slice(values, op.const([places.start]), op.const([places.stop]), op.const([axis]))


def _squared_distances(z: Var, points: NDArray[np.float32]) -> Var:
    """Return squared distances [m, n] of m points, which are kept as float32, to n rows."""
    return _distances_to(z, op.const(points), points)


def _distances_to(z: Var, kept: Var, points: NDArray[np.float32]) -> Var:
    """Return squared distances [m, n] of points float32 [m, d], which ``kept`` holds, to rows.

    The points are the left side of the product: ONNX Runtime copies the right side of a product in float64 each time it
    runs, which for one row takes longer than the product.
    """
    norms = np.sum(points.astype(np.float64) ** 2, axis=1)
    columns = op.transpose(z, perm=[1, 0])
    products = op.matmul(op.cast(kept, to=np.float64), columns)
    own_norms = op.reduce_sum(op.mul(columns, columns), op.const([0]), keepdims=True)
    squared = op.sub(op.add(op.const(norms[:, None]), own_norms), op.mul(products, op.const(2.0)))
    return op.max([squared, op.const(0.0)])
