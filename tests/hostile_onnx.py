"""ONNX files that ask for more than they hold, or hide what they do; each with what is said when it is refused.

Heads of three features: all but what a name says of them is right.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tensor(name: str, values: Any, kind: Any = np.int64) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=kind), name)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def model(
    nodes: list[onnx.NodeProto],
    tensors: list[onnx.TensorProto] | None = None,
    *,
    shape: Any = ("n",),
    opsets: dict[str, int] | None = None,
    **fields: Any,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, shape)],
        tensors or [],
    )
    versions = {"": 20, "ai.onnx.ml": 5} if opsets is None else opsets
    opset_imports = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return helper.make_model(graph, ir_version=10, opset_imports=opset_imports, **fields)


def mean(name: str = "features") -> onnx.NodeProto:
    return node("ReduceMean", f"{name} axis", "value", keepdims=0)


AXIS = tensor("axis", [1])
GOOD = [mean()]


def with_constant(*nodes: onnx.NodeProto, tensors: list[onnx.TensorProto], made: str = "big") -> onnx.ModelProto:
    """Add the sum of what some nodes make to the prediction."""
    total = [node("ReduceSum", made, "total", keepdims=0), node("ReduceMean", "features axis", "m", keepdims=0)]
    return model([*nodes, *total, node("Add", "m total", "value")], [AXIS, *tensors])


def of_size(*sizes: int, name: str = "size") -> onnx.TensorProto:
    return tensor(name, list(sizes))


def doubled(times: int, operator: str = "Concat") -> onnx.ModelProto:
    extra = {"axis": 0} if operator == "Concat" else {}
    nodes = [node(operator, f"x{k} x{k}", f"x{k + 1}", **extra) for k in range(times)]
    return with_constant(*nodes, tensors=[tensor("x0", [1.0] * 8, np.float32)], made=f"x{times}")


def loop(count: int) -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Identity", "going", "on"), node("Add", "v one", "w")],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n"]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, ["n"]),
        ],
        [tensor("one", 1.0, np.float32)],
    )
    nodes = [node("ReduceMean", "features axis", "m", keepdims=0), node("Loop", "count yes m", "value", body=body)]
    return model(nodes, [AXIS, tensor("count", count), tensor("yes", True, np.bool_)])


def branch(operator: str = "If") -> onnx.ModelProto:
    inner = helper.make_graph(
        [node("Identity", "features", "y")], "b", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])]
    )
    made = node(operator, "yes", "x", then_branch=inner, else_branch=inner)
    return model([made, mean("x")], [AXIS, tensor("yes", True, np.bool_)])


def nested(depth: int) -> onnx.ModelProto:
    flat = inner = helper.make_graph([node("Identity", "features", "y")], "b", [], [])
    for _ in range(depth):
        inner = helper.make_graph([node("If", "yes", "x", then_branch=inner, else_branch=flat)], "b", [], [])
    made = node("If", "yes", "x", then_branch=inner, else_branch=flat)
    return model([made, mean("x")], [AXIS, tensor("yes", True, np.bool_)])


def tree(places: list[int], leafs: list[int], **changes: Any) -> onnx.ModelProto:
    """A tree of branches that go left as given, and right to leaf 0."""
    n = len(places)
    attributes = {
        "n_targets": 1,
        "tree_roots": [0],
        "nodes_modes": tensor("modes", [0] * n, np.uint8),
        "nodes_featureids": [0] * n,
        "nodes_splits": tensor("splits", [0.5] * n, np.float32),
        "nodes_truenodeids": places,
        "nodes_trueleafs": leafs,
        "nodes_falsenodeids": [0] * n,
        "nodes_falseleafs": [1] * n,
        "leaf_targetids": [0, 0],
        "leaf_weights": tensor("weights", [1.0, 2.0], np.float32),
        **changes,
    }
    made = helper.make_node("TreeEnsemble", ["features"], ["y"], domain="ai.onnx.ml", **attributes)
    return model([made, node("Reshape", "y flat", "value")], [tensor("flat", [-1])])


def old_tree(**changes: Any) -> onnx.ModelProto:
    attributes = {
        "n_targets": 1,
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
        **changes,
    }
    made = helper.make_node("TreeEnsembleRegressor", ["features"], ["y"], domain="ai.onnx.ml", **attributes)
    return model([made, node("Reshape", "y flat", "value")], [tensor("flat", [-1])], opsets={"": 20, "ai.onnx.ml": 3})


def external(proto: onnx.TensorProto) -> onnx.TensorProto:
    proto.data_location = TensorProto.EXTERNAL
    proto.external_data.add(key="location", value="/etc/passwd")
    return proto


def sparse() -> onnx.SparseTensorProto:
    values = tensor("s", [1.0], np.float32)
    return helper.make_sparse_tensor(values, tensor("i", [0]), [10**12])


def changed(change: Callable[[onnx.ModelProto], Any], nodes: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    made = model(nodes or GOOD, [AXIS])
    change(made)
    return made


def claimed(name: str, dims: list[int]) -> onnx.TensorProto:
    proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
    proto.raw_data = b"\0" * 16
    return proto


MATRIX = [
    node("ConstantOfShape", "size", "a"),
    *(node("MatMul", f"{'a' if k == 0 else f'b{k}'} a", f"b{k + 1}") for k in range(50)),
]
FUNCTION = helper.make_function("own", "f", ["x"], ["y"], [node("Identity", "x", "y")], [helper.make_opsetid("", 20)])
SEQUENCE = [node("SequenceConstruct", "features features", "q"), node("ConcatFromSequence", "q", "x", axis=1)]
HUGE = 10**11

HOSTILE: dict[str, tuple[onnx.ModelProto, str]] = {
    "a loop": (loop(10**15), "the operator Loop"),
    "a short loop": (loop(2), "the operator Loop"),
    "a branch": (branch(), "the operator If"),
    "a graph in another operator": (branch("Identity"), "a graph of its own"),
    "branches in branches": (nested(20), "the operator If"),
    "a scan": (model([node("Scan", "features", "x", num_scan_inputs=1), mean("x")], [AXIS]), "the operator Scan"),
    "ConstantOfShape": (
        with_constant(node("ConstantOfShape", "size", "big"), tensors=[of_size(HUGE)]),
        "'big' is the largest",
    ),
    "ConstantOfShape by a node": (
        with_constant(
            node("Constant", "", "size", value=tensor("", [10**6, 10**6])),
            node("ConstantOfShape", "size", "big"),
            tensors=[],
        ),
        "'big' is the largest",
    ),
    "ConstantOfShape of a negative size": (
        with_constant(node("ConstantOfShape", "size", "big"), tensors=[of_size(-5)]),
        "do not fit|does not follow",
    ),
    "ConstantOfShape that overflows": (
        with_constant(node("ConstantOfShape", "size", "big"), tensors=[of_size(2**40, 2**40)]),
        "'big' is the largest",
    ),
    "Expand": (
        with_constant(node("Expand", "one size", "big"), tensors=[of_size(HUGE), tensor("one", [1.0], np.float32)]),
        "'big' is the largest",
    ),
    "Tile": (
        with_constant(node("Tile", "one size", "big"), tensors=[of_size(HUGE), tensor("one", [1.0], np.float32)]),
        "'big' is the largest|does not follow",
    ),
    "Range": (
        with_constant(
            node("Range", "a b c", "big"),
            tensors=[tensor(name, value, np.float32) for name, value in (("a", 0), ("b", 1e11), ("c", 1))],
        ),
        "'big' is the largest|does not follow",
    ),
    "Resize": (
        with_constant(
            node("Resize", "one none none size", "big", mode="nearest"),
            tensors=[of_size(1, HUGE), tensor("one", [[1.0]], np.float32), tensor("none", [], np.float32)],
        ),
        "'big' is the largest|do not fit|does not follow",
    ),
    "Pad": (
        with_constant(node("Pad", "one size", "big"), tensors=[of_size(0, HUGE), tensor("one", [1.0], np.float32)]),
        "'big' is the largest|does not follow",
    ),
    "OneHot": (
        with_constant(
            node("OneHot", "i depth values", "big"),
            tensors=[tensor("i", [1]), tensor("depth", HUGE), tensor("values", [0.0, 1.0], np.float32)],
        ),
        "'big' is the largest|does not follow",
    ),
    "random numbers": (
        with_constant(node("RandomNormal", "", "big", shape=[10**6, 10**6]), tensors=[]),
        "'big' is the largest",
    ),
    "a size that is computed": (
        with_constant(
            node("Mul", "a a", "size"), node("ConstantOfShape", "size", "big"), tensors=[tensor("a", [10**6])]
        ),
        "'big' is the largest|does not follow",
    ),
    "a size that depends on the values": (
        with_constant(
            node("ReduceSum", "features", "s", keepdims=0),
            node("Cast", "s", "i", to=TensorProto.INT64),
            node("Reshape", "i flat", "size"),
            node("ConstantOfShape", "size", "big"),
            tensors=[tensor("flat", [1])],
        ),
        "does not follow",
    ),
    "NonZero": (
        model(
            [node("NonZero", "features", "i"), node("Shape", "i", "s"), node("ConstantOfShape", "s", "b"), mean("b")],
            [AXIS],
        ),
        "does not follow",
    ),
    "an outer product": (
        with_constant(
            node("MatMul", "column row", "big"),
            tensors=[
                tensor("column", np.ones((100_000, 1)), np.float32),
                tensor("row", np.ones((1, 100_000)), np.float32),
            ],
        ),
        "'big' is the largest",
    ),
    "a sum of a column and a row": (
        with_constant(
            node("Add", "column row", "big"),
            tensors=[
                tensor("column", np.ones((100_000, 1)), np.float32),
                tensor("row", np.ones((1, 100_000)), np.float32),
            ],
        ),
        "'big' is the largest",
    ),
    "forty doublings": (doubled(40), "the largest tensor"),
    "twenty-six doublings": (doubled(26), "the largest tensor"),
    "doublings of a shape": (
        with_constant(
            *(node("Concat", f"s{k} s{k}", f"s{k + 1}", axis=0) for k in range(33)),
            node("ConstantOfShape", "s33", "big"),
            tensors=[tensor("s0", [1] * 8)],
        ),
        "the largest tensor|does not follow|do not fit",
    ),
    "Einsum": (
        with_constant(
            node("Einsum", "v v v v", "big", equation="i,j,k,l->"),
            tensors=[tensor("v", np.ones(10_000), np.float32)],
        ),
        "the operator Einsum",
    ),
    "products for hours": (
        with_constant(*MATRIX, tensors=[of_size(2048, 2048)], made="b50"),
        "multiplications|numbers",
    ),
    "memory that grows with the square of the rows": (
        model(
            [node("Transpose", "features", "t"), node("MatMul", "features t", "x"), mean("x")],
            [AXIS],
        ),
        "grows faster than the number of rows",
    ),
    "many nodes": (
        model(
            [
                node("Identity", "features", "x0"),
                *(node("Identity", f"x{k}", f"x{k + 1}") for k in range(10_000)),
                mean("x10000"),
            ],
            [AXIS],
        ),
        "10,002 nodes",
    ),
    "many tensors": (model(GOOD, [AXIS, *(tensor(f"t{k}", [0]) for k in range(20_001))]), "tensors, more than"),
    "numbers that are not there": (
        model([node("Add", "features big", "x"), mean("x")], [AXIS, claimed("big", [10**12])]),
        "says it has 1,000,000,000,000 numbers",
    ),
    "a negative dimension": (
        model([node("Add", "features big", "x"), mean("x")], [AXIS, claimed("big", [-1])]),
        "has the shape",
    ),
    "a thousand dimensions": (
        model([node("Reshape", "features size", "x"), mean("x")], [AXIS, tensor("size", [-1, 3, *[1] * 100])]),
        "dimensions",
    ),
    "weights in another file": (
        model([node("Add", "features w", "x"), mean("x")], [AXIS, external(tensor("w", [1.0] * 3, np.float32))]),
        "'w' in another file",
    ),
    "a constant in another file": (
        model(
            [
                node("Constant", "", "w", value=external(tensor("inner", [1.0] * 3, np.float32))),
                node("Add", "features w", "x"),
                mean("x"),
            ],
            [AXIS],
        ),
        "'inner' in another file",
    ),
    "tensors of an attribute in another file": (
        changed(
            lambda made: made.graph.node[0].attribute.add(
                name="more", type=onnx.AttributeProto.TENSORS, tensors=[external(tensor("one", [1]))]
            )
        ),
        "'one' in another file",
    ),
    "a sparse weight": (changed(lambda made: made.graph.sparse_initializer.append(sparse())), "sparse"),
    "a sparse constant": (
        model([node("Constant", "", "w", sparse_value=sparse()), mean()], [AXIS]),
        "sparse",
    ),
    "sparse tensors of an attribute": (
        changed(
            lambda made: made.graph.node[0].attribute.add(
                name="more", type=onnx.AttributeProto.SPARSE_TENSORS, sparse_tensors=[sparse()]
            )
        ),
        "sparse",
    ),
    "text": (model([*GOOD, node("Identity", "t", "u")], [AXIS, tensor("t", ["a"], np.object_)]), "text"),
    "text from numbers": (
        model([*GOOD, node("Cast", "features", "t", to=TensorProto.STRING)], [AXIS]),
        "is text",
    ),
    "a sequence": (model([*SEQUENCE, mean("x")], [AXIS]), "does not follow"),
    "a custom operator": (
        model([helper.make_node("Own", ["features"], ["x"], domain="com.example"), mean("x")], [AXIS]),
        "custom operator com.example::Own",
    ),
    "an operator of ONNX Runtime": (
        model([helper.make_node("FusedMatMul", ["features"], ["x"], domain="com.microsoft"), mean("x")], [AXIS]),
        "custom operator com.microsoft::FusedMatMul",
    ),
    "an operator that does not exist": (model([node("Fly", "features", "x"), mean("x")], [AXIS]), "operator Fly"),
    "a version that does not exist": (model(GOOD, [AXIS], opsets={"": 9999}), "version 9,999 of the operators"),
    "a function": (changed(lambda made: made.functions.append(FUNCTION)), "functions of its own"),
    "a training step": (changed(lambda made: made.training_info.add()), "for training"),
    "a name that is made twice": (
        model([node("Identity", "features", "x"), node("Neg", "features", "x"), mean("x")], [AXIS]),
        "one name",
    ),
    "a weight under the name of a result": (
        model([node("ConstantOfShape", "size", "x"), mean("x")], [AXIS, of_size(64, 3), claimed("x", [2, 2])]),
        "one name",
    ),
    "an output of text": (
        changed(lambda made: made.graph.input.append(helper.make_tensor_value_info("t", TensorProto.STRING, [1]))),
        "not a tensor of numbers",
    ),
    "an output for all rows": (
        model([node("ReduceMean", "features", "value", keepdims=0)], shape=()),
        r"'value' of 64 rows has the shape \[\]",
    ),
    "two numbers a row": (
        model([node("Concat", "features features", "value", axis=1)], shape=("n", 6)),
        "not 1 numbers a row",
    ),
    "an output that says one thing and is another": (
        model([node("Concat", "features features", "value", axis=1)], shape=("n",)),
        "not 1 numbers a row|do not fit",
    ),
    "no output of that name": (model([node("Neg", "features", "other")]), "no input or output 'value'"),
    "an input of another width": (
        changed(lambda made: setattr(made.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 5)),
        "'features' of 64 rows",
    ),
    "a tree that is its own branch": (tree([0], [0]), "reached twice"),
    "a tree in a circle": (tree([1, 0], [0, 0]), "reached twice"),
    "a circle beside the root": (tree([1, 2, 1], [0, 0, 0]), "reached twice"),
    "a tree of a hundred thousand levels": (
        tree([*range(1, 100_001), 0], [0] * 100_000 + [1]),
        "deeper than 1,000 levels",
    ),
    "a branch that is not there": (tree([10**9], [0]), "branch that is not there"),
    "a negative branch": (tree([-7], [0]), "branch that is not there"),
    "a leaf that is not there": (tree([10**9], [1]), "leaf that is not there"),
    "a root that is not there": (tree([0], [1], tree_roots=[10**9]), "branch that is not there"),
    "a feature that is not there": (tree([0], [1], nodes_featureids=[10**9]), "feature that is not there"),
    "branches of unequal number": (tree([0, 0], [1]), "without children"),
    "an old tree that is its own branch": (old_tree(nodes_truenodeids=[0, 0, 0]), "reached twice"),
    "an old branch that is not there": (old_tree(nodes_truenodeids=[7, 0, 0]), "branch that is not there"),
    "an old feature that is not there": (old_tree(nodes_featureids=[10**9, 0, 0]), "feature that is not there"),
    "old branches of unequal number": (old_tree(nodes_treeids=[0]), "without children"),
    "old branches of one number": (old_tree(nodes_nodeids=[0, 1, 1]), "of one number"),
}
