"""What an ONNX file may hold, checked before ONNX Runtime sees it: no foreign code, no other files, no hidden costs.

A file of a hundred bytes can ask for a terabyte, and ONNX Runtime computes constants while it opens a file. So shapes
are inferred first, for ``ROWS`` rows. What has no shape that follows from those of the inputs is refused.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from matlake.encoders.audit_trees import TREES, fault_of_trees
from matlake.errors import MatlakeError

if TYPE_CHECKING:
    import onnx

STANDARD_DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
REFUSED_OPERATORS: Final = frozenset({"Loop", "Scan", "If", "SequenceMap", "Einsum", "Attention"})
"""Those that run graphs of their own, and those that make tensors larger than all that goes in and out."""

ROWS: Final = 64
"""Materials, and atoms, distances and so on, for which shapes are inferred."""

MAX_NODES: Final = 10_000
MAX_TENSORS: Final = 20_000
MAX_RANK: Final = 16
MAX_NUMBERS: Final = 1 << 27
"""Numbers in all tensors of a run with ``ROWS`` rows, on top of four times those in the file."""

MAX_PRODUCTS: Final = 1 << 36
"""Products of a run with ``ROWS`` rows: a second or so."""

Shape: TypeAlias = tuple[int, ...]

_SMALL: Final = 1000  # bytes or numbers: tensors that may state a shape, and attributes that a shape may follow from
_PARTS: Final = 8  # most numbers that a byte of a file stands for
_ROUNDS: Final = 8
_AXES_AS_INPUT: Final = 13  # version of the operators from which ReduceSum takes its axes as an input
_SHAPE_CONCATS: Final = 12
"""Each may double the values that shapes are inferred from."""

_NO_LARGER: Final = frozenset({"TopK", "Slice", "Compress", "Unique"})
"""Operators whose outputs have at most the shape of their first input, which bounds what values decide."""

_SCALERS: Final = frozenset({"Scaler", "Normalizer", "Imputer", "Binarizer"})
"""Operators of ``ai.onnx.ml`` that make float32 of the shape that they get; onnx does not infer it."""

_REGRESSORS: Final = {
    "LinearRegressor": "targets",
    "SVMRegressor": "",
    "TreeEnsemble": "n_targets",
    "TreeEnsembleRegressor": "n_targets",
}
"""Operators that make one number a row, or as many as an attribute says; nothing else of them decides the shape."""

_MATRIX_PRODUCTS: Final = frozenset({"MatMul", "Gemm", "MatMulInteger", "QLinearMatMul"})
_CONVOLUTIONS: Final = frozenset({"Conv", "ConvInteger", "ConvTranspose", "QLinearConv", "DeformConv"})
_RECURRENT: Final = frozenset({"RNN", "LSTM", "GRU"})
_MULTIPLE: Final = re.compile(r"(\d{1,4})\*\w+")


def audit(
    content: bytes, path: Path, error: type[MatlakeError], widths: Mapping[str, int] | None = None
) -> "onnx.ModelProto":
    """Refuse an ONNX file that could run foreign code, read other files, or cost more than its size suggests.

    Only standard operators are allowed, without graphs inside of them; all weights must be in the file.

    Args:
        content: The file.
        path: Its name, for messages.
        error: Class to raise.
        widths: Numbers for each row, of inputs and outputs that the file must have.

    Returns:
        What the file holds.

    Raises:
        MatlakeError: Of class ``error``.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as failure:
        raise error(f"{path} is not an ONNX file") from failure
    _Audit(model, len(content), path, error).check(widths or {})
    return model


class _Audit:
    """The audit of one file."""

    def __init__(self, model: "onnx.ModelProto", size: int, path: Path, error: type[MatlakeError]) -> None:
        """Keep what is audited; ``size`` is in bytes."""
        self._model = model
        self._size = size
        self._graph = model.graph
        self._path = path
        self._error = error

    def check(self, widths: Mapping[str, int]) -> None:
        """Check everything, the cheapest first."""
        self._check_parts()
        self._check_nodes()
        self._check_tensors()
        self._check_names()
        symbols = {dim.dim_param for value in self._inputs() for dim in value.type.tensor_type.shape.dim}
        shapes = self._shapes(ROWS)
        self._check_costs(shapes)
        self._check_trees(shapes)
        self._check_widths(shapes, widths)
        if len(symbols - {""}) == 1 and _numbers(self._shapes(2 * ROWS)) > 2 * _numbers(shapes):
            self._refuse("its memory grows faster than the number of rows")

    def _refuse(self, what: str, hint: str = "") -> NoReturn:
        raise self._error(f"{self._path} is refused: {what}", hint)

    def _check_parts(self) -> None:
        import onnx

        model, graph = self._model, self._graph
        if not graph.node:
            raise self._error(f"{self._path} is not an ONNX file, or an empty one")
        if model.functions:
            self._refuse("it defines functions of its own", "export it again with functions inlined")
        if model.training_info:
            self._refuse("it holds instructions for training", "export it for inference")
        if len(graph.node) > MAX_NODES:
            self._refuse(f"it has {len(graph.node):,} nodes, more than {MAX_NODES:,}")
        if len(graph.initializer) > MAX_TENSORS:
            self._refuse(f"it has {len(graph.initializer):,} tensors, more than {MAX_TENSORS:,}")
        newest, version = onnx.defs.onnx_opset_version(), max((o.version for o in model.opset_import), default=0)
        if version > newest:
            self._refuse(f"it uses version {version:,} of the operators, newer than {newest}", "update onnx")
        if graph.sparse_initializer:
            self._refuse("it holds sparse tensors", "export it with dense ones")

    def _check_nodes(self) -> None:
        for node in self._graph.node:
            if node.domain not in STANDARD_DOMAINS:
                self._refuse(f"it uses the custom operator {node.domain[:100]}::{node.op_type[:100]}")
            if node.op_type in REFUSED_OPERATORS:
                self._refuse(f"it uses the operator {node.op_type}", "export it without control flow and Einsum")
            for attribute in node.attribute:
                if attribute.HasField("g") or attribute.graphs:
                    self._refuse(f"a node {node.op_type[:100]} holds a graph of its own")
                if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                    self._refuse("it holds sparse tensors", "export it with dense ones")

    def _check_tensors(self) -> None:
        import onnx

        for tensor in self._tensors():
            name = tensor.name[:100]
            if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
                self._refuse(
                    f"it keeps tensor {name!r} in another file", "export it with weights inline: external_data=False"
                )
            if tensor.data_type == onnx.TensorProto.STRING or tensor.string_data:
                self._refuse(f"tensor {name!r} holds text")
            if any(size < 0 for size in tensor.dims) or len(tensor.dims) > MAX_RANK:
                self._refuse(f"tensor {name!r} has the shape {list(tensor.dims)[:MAX_RANK]}")
            if _product(tensor.dims) > _PARTS * self._size:
                self._refuse(f"tensor {name!r} says it has {_product(tensor.dims):,} numbers, but holds fewer")

    def _tensors(self) -> "Iterator[onnx.TensorProto]":
        yield from self._graph.initializer
        for node in self._graph.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors

    def _check_names(self) -> None:
        """Each value is made once: what is inferred of a name must hold of what is computed under it."""
        made = [value.name for value in self._inputs()] + [tensor.name for tensor in self._graph.initializer]
        made += [name for node in self._graph.node for name in node.output if name]
        if len(set(made)) < len(made):
            self._refuse("two values have one name")

    def _inputs(self) -> "list[onnx.ValueInfoProto]":
        """Return what has to be given; old files list weights among the inputs as well."""
        given = {tensor.name for tensor in self._graph.initializer}
        return [value for value in self._graph.input if value.name not in given]

    def _shapes(self, rows: int) -> dict[str, Shape]:
        """Return the shapes of all values, for a number of rows."""
        model = self._skeleton(rows)
        concats = sum(node.op_type == "Concat" for node in model.graph.node)
        with_values = concats <= _SHAPE_CONCATS or self._has_short_vectors(self._infer(model, with_values=False))
        try:
            shapes = self._infer(model, with_values=with_values)
        except self._error:  # onnx follows the values of numbers that state no shape, and fails at some of them
            with_values = False
            shapes = self._infer(model, with_values=with_values)
        for _ in range(_ROUNDS):
            unknown = _unknown(model.graph, shapes)
            if not unknown or not sum(_bound(model.graph, node, shapes) for node in unknown):
                break
            shapes = self._infer(model, with_values=with_values)
        unknown = _unknown(model.graph, shapes)
        if unknown:
            what = f"the shape of {unknown[0].output[0][:100]!r}, of operator {unknown[0].op_type[:100]}"
            self._refuse(f"{what}, does not follow from the shapes of the inputs", "export it with shapes that do")
        return shapes

    def _has_short_vectors(self, shapes: Mapping[str, Shape]) -> bool:
        made = (shapes.get(node.output[0]) for node in self._graph.node if node.op_type == "Concat")
        return all(shape is not None and (len(shape) != 1 or shape[0] <= _SMALL) for shape in made)

    def _skeleton(self, rows: int) -> "onnx.ModelProto":
        """Return the model without large tensors and without the shapes that it states itself."""
        import onnx

        model = onnx.ModelProto(ir_version=self._model.ir_version, opset_import=self._model.opset_import)
        graph = model.graph
        graph.name = "audited"
        for tensor in self._graph.initializer:
            _copy_tensor(tensor, tensor.name, graph)
        for node in self._graph.node:
            if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].HasField("t"):
                _copy_tensor(node.attribute[0].t, node.output[0], graph)
                continue
            if node.op_type in _REGRESSORS:
                _stand_in(node, model)
                continue
            if node.op_type in _SCALERS:
                _add_cast(node.input[:1], node.output, graph)
                continue
            kept = [attribute for attribute in node.attribute if _is_small(attribute)]
            graph.node.add(
                op_type=node.op_type, domain=node.domain, input=node.input, output=node.output, attribute=kept
            )
        for value in self._inputs():
            if not value.type.HasField("tensor_type") or value.type.tensor_type.elem_type == onnx.TensorProto.STRING:
                self._refuse(f"input {value.name[:100]!r} is not a tensor of numbers")
            graph.input.add().CopyFrom(value)
            for dim in graph.input[-1].type.tensor_type.shape.dim:
                if not dim.HasField("dim_value"):
                    times = _MULTIPLE.fullmatch(dim.dim_param)
                    dim.dim_value = rows * (int(times[1]) if times else 1)
        graph.output.extend(onnx.ValueInfoProto(name=value.name) for value in self._graph.output)
        return model

    def _infer(self, model: "onnx.ModelProto", *, with_values: bool) -> dict[str, Shape]:
        import onnx
        from onnx import shape_inference

        try:
            inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=with_values).graph
        except Exception as failure:  # noqa: BLE001 - what is raised depends on the release of onnx
            self._refuse(f"its shapes do not fit together: {' '.join(str(failure).split())[:200]}")
        shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            kind = value.type.tensor_type
            if kind.elem_type == onnx.TensorProto.STRING:
                self._refuse(f"{value.name[:100]!r} is text")
            if kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim):
                shapes[value.name] = tuple(dim.dim_value for dim in kind.shape.dim)
        return shapes

    def _check_costs(self, shapes: Mapping[str, Shape]) -> None:
        if any(len(shape) > MAX_RANK for shape in shapes.values()):
            self._refuse(f"a tensor has more than {MAX_RANK} dimensions")
        in_file = min(sum(_product(tensor.dims) for tensor in self._tensors()), _PARTS * self._size)
        largest = max(shapes, key=lambda name: _product(shapes[name]))
        numbers, products = _numbers(shapes), 0
        for node in self._graph.node:
            made = _product(shapes[node.output[0]]) if node.output and node.output[0] in shapes else 0
            terms = _terms(node, shapes)
            products += made * terms
            numbers += made * terms if node.op_type in _CONVOLUTIONS else 0
        if numbers > MAX_NUMBERS + 4 * in_file:
            self._refuse(f"{ROWS} rows take {numbers:,} numbers, of which {largest[:100]!r} is the largest tensor")
        if products > MAX_PRODUCTS:
            self._refuse(f"{ROWS} rows take {products:,} multiplications")

    def _check_trees(self, shapes: Mapping[str, Shape]) -> None:
        for node in self._graph.node:
            if node.op_type in TREES:
                fault = fault_of_trees(node, shapes.get(node.input[0], ()))
                if fault is not None:
                    self._refuse(f"a decision tree {fault}")

    def _check_widths(self, shapes: Mapping[str, Shape], widths: Mapping[str, int]) -> None:
        names = {value.name for value in (*self._inputs(), *self._graph.output)}
        for name, width in widths.items():
            if name not in names or name not in shapes:
                self._refuse(f"it has no input or output {name!r}")
            shape = shapes[name]
            if not shape or shape[0] != ROWS or _product(shape[1:]) != width:
                self._refuse(f"{name!r} of {ROWS} rows has the shape {list(shape)}, not {width} numbers a row")


def _unknown(graph: "onnx.GraphProto", shapes: Mapping[str, Shape]) -> "list[onnx.NodeProto]":
    """Return the nodes of which an output has no known shape."""
    return [node for node in graph.node if any(name and name not in shapes for name in node.output)]


def _copy_tensor(tensor: "onnx.TensorProto", name: str, graph: "onnx.GraphProto") -> None:
    """Add a tensor to a graph; without its values unless it is small."""
    import onnx

    states_shape = tensor.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)
    if states_shape and _product(tensor.dims) <= _SMALL // 8 and _stored(tensor) <= _SMALL:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = name
        return
    kind = onnx.TypeProto.Tensor(elem_type=tensor.data_type)
    kind.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in tensor.dims)
    graph.input.add(name=name, type=onnx.TypeProto(tensor_type=kind))


def _stored(tensor: "onnx.TensorProto") -> int:
    """Return how many bytes or numbers a tensor holds."""
    values = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
    return len(tensor.raw_data) + sum(map(len, values))


def _is_small(attribute: "onnx.AttributeProto") -> bool:
    if attribute.HasField("t") or attribute.tensors:
        return all(_product(tensor.dims) <= _SMALL for tensor in (attribute.t, *attribute.tensors))
    return max(len(attribute.s), len(attribute.ints), len(attribute.floats), len(attribute.strings)) <= _SMALL


def _stand_in(node: "onnx.NodeProto", model: "onnx.ModelProto") -> None:
    """Add nodes that make the shape and type that a regressor makes, without all that it was trained to."""
    import onnx

    graph, axes = model.graph, "axes"
    count = next((attribute.i for attribute in node.attribute if attribute.name == _REGRESSORS[node.op_type]), 1)
    output = node.output[0] if node.output else ""
    summed, one, shape, expanded = (f"{output} {what}" for what in ("summed", "one", "shape", "expanded"))
    for name, values in ((one, [1]), (shape, [1, count])):
        graph.initializer.add(name=name, data_type=onnx.TensorProto.INT64, dims=[len(values)], int64_data=values)
    if max((opset.version for opset in model.opset_import if not opset.domain), default=1) < _AXES_AS_INPUT:
        graph.node.add(op_type="ReduceSum", input=node.input[:1], output=[summed])
        graph.node[-1].attribute.add(name=axes, type=onnx.AttributeProto.INTS, ints=[1])
    else:
        graph.node.add(op_type="ReduceSum", input=[*node.input[:1], one], output=[summed])
    if node.op_type == "TreeEnsemble":  # the only one that keeps the type of its input
        graph.node.add(op_type="Expand", input=[summed, shape], output=[output])
        return
    graph.node.add(op_type="Expand", input=[summed, shape], output=[expanded])
    _add_cast([expanded], [output], graph)


def _add_cast(inputs: Sequence[str], outputs: Sequence[str], graph: "onnx.GraphProto") -> None:
    import onnx

    graph.node.add(op_type="Cast", input=inputs, output=outputs)
    graph.node[-1].attribute.add(name="to", type=onnx.AttributeProto.INT, i=onnx.TensorProto.FLOAT)


def _bound(graph: "onnx.GraphProto", node: "onnx.NodeProto", shapes: Mapping[str, Shape]) -> bool:
    """State the largest shape that the outputs of a node can have; False if that is not known."""
    shape = shapes.get(node.input[0]) if node.input else None
    if shape is None:
        return False
    if node.op_type == "ArrayFeatureExtractor" and node.input[1] in shapes:
        shape = (*(shape[:-1] or (1,)), _product(shapes[node.input[1]]))
    elif node.op_type not in _NO_LARGER:
        return False
    for name in node.output:
        if name and name not in shapes:
            _state(graph, name, node, shape)
    return True


def _state(graph: "onnx.GraphProto", name: str, node: "onnx.NodeProto", shape: Sequence[int]) -> None:
    import onnx

    stated = next((value for value in (*graph.value_info, *graph.output) if value.name == name), None)
    if stated is None:
        stated = graph.value_info.add(name=name)
    indices = node.op_type in ("TopK", "Unique") and name != node.output[0]
    stated.type.tensor_type.elem_type = onnx.TensorProto.INT64 if indices else onnx.TensorProto.FLOAT
    stated.type.tensor_type.shape.Clear()
    stated.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in shape)


def _terms(node: "onnx.NodeProto", shapes: Mapping[str, Shape]) -> int:
    """Return how many products are added up for each number that a node makes, at most."""
    places = {0} if node.op_type in _MATRIX_PRODUCTS else {1} if node.op_type in _CONVOLUTIONS else set()
    places |= {2} if node.op_type in _RECURRENT else set()
    for place in places:
        shape = shapes.get(node.input[place], ()) if len(node.input) > place else ()
        return max(1, _product(shape[1:]) if place else max(shape[-2:], default=1))
    return 1


def _numbers(shapes: Mapping[str, Shape]) -> int:
    return sum(_product(shape) for shape in shapes.values())


def _product(sizes: Sequence[int]) -> int:
    product = 1
    for size in sizes:
        product *= size
    return product
