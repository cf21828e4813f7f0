"""ONNX graphs of decision trees and their ensembles, in float64: they take the branches that scikit-learn takes.

The usual conversion rounds thresholds to float32 and spells out the kind of each node in text: its files are 2.4 times
as large, and take 20 times as long to make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.regress.onnx.graphs import INPUT, SCALED, Part, assemble

_SUM: Final = 1
_LESS_OR_EQUAL: Final = 0
_LEAF: Final = -1


@dataclass(frozen=True)
class _Tree:
    """A tree as part of an ensemble.

    Attributes:
        tree: scikit-learn's ``Tree``.
        columns: The features that the tree's own numbers stand for; None for all of them in order.
        weight: What its leaves are multiplied by.
        target: Which sum its leaves are added to.
    """

    tree: Any
    columns: NDArray[np.intp] | None = None
    weight: float = 1.0
    target: int = 0


def tree_graph(regressor: Any, n_features: int) -> onnx.ModelProto:
    """Return a fitted tree, or ensemble of trees, as a graph.

    Args:
        regressor: One of scikit-learn's ``TREE_GRAPHS``.
        n_features: Number of columns.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    nodes, constants = TREE_GRAPHS[type(regressor).__name__](regressor)
    return assemble([helper.make_node("Cast", [INPUT], ["wide"], to=TensorProto.DOUBLE), *nodes], constants, n_features)


def _single(regressor: Any) -> Part:
    return [_ensemble([_Tree(regressor.tree_)], SCALED)], {}


def _forest(regressor: Any) -> Part:
    weight = 1.0 / len(regressor.estimators_)
    return [_ensemble([_Tree(tree.tree_, weight=weight) for tree in regressor.estimators_], SCALED)], {}


def _bagging(regressor: Any) -> Part:
    trees, columns = regressor.estimators_, regressor.estimators_features_
    weight = 1.0 / len(trees)
    return [_ensemble([_Tree(tree.tree_, own, weight) for tree, own in zip(trees, columns, strict=True)], SCALED)], {}


def _gradient_boosting(regressor: Any) -> Part:
    trees = [_Tree(tree.tree_, weight=regressor.learning_rate) for tree in regressor.estimators_[:, 0]]
    nodes = [_ensemble(trees, "sum"), helper.make_node("Add", ["sum", "start"], [SCALED])]
    return nodes, {"start": regressor.init_.constant_.reshape(1)}


def _adaboost(regressor: Any) -> Part:
    """Take the weighted median of the trees: the least vote at which half of the weight is reached."""
    trees = [_Tree(tree.tree_, target=number) for number, tree in enumerate(regressor.estimators_)]
    nodes = [
        _ensemble(trees, "votes"),
        helper.make_node("TopK", ["votes", "count"], ["sorted", "order"], axis=1, largest=0),
        helper.make_node("Gather", ["weights", "order"], ["sorted_weights"]),
        helper.make_node("CumSum", ["sorted_weights", "columns"], ["reached"]),
        helper.make_node("Gather", ["reached", "last"], ["total"], axis=1),
        helper.make_node("Mul", ["total", "half"], ["enough"]),
        helper.make_node("GreaterOrEqual", ["reached", "enough"], ["is_enough"]),
        helper.make_node("Cast", ["is_enough"], ["one_where_enough"], to=TensorProto.INT32),
        helper.make_node("ArgMax", ["one_where_enough"], ["median"], axis=1, keepdims=1),
        helper.make_node("GatherElements", ["sorted", "median"], [SCALED], axis=1),
    ]
    return nodes, {
        "weights": regressor.estimator_weights_[: len(trees)],
        "count": np.array([len(trees)], dtype=np.int64),
        "columns": np.array(1, dtype=np.int64),
        "last": np.array([len(trees) - 1], dtype=np.int64),
        "half": np.array(0.5),
    }


TREE_GRAPHS: Final[dict[str, Callable[[Any], Part]]] = {
    "DecisionTreeRegressor": _single,
    "RandomForestRegressor": _forest,
    "ExtraTreesRegressor": _forest,
    "BaggingRegressor": _bagging,
    "GradientBoostingRegressor": _gradient_boosting,
    "AdaBoostRegressor": _adaboost,
}


def _ensemble(trees: Sequence[_Tree], output: str) -> onnx.NodeProto:
    """Return the operator that adds up the leaves of all trees, from ``wide`` to float64 [n, targets].

    Branches and leaves are numbered through all trees; a branch goes to a branch or, where flagged, to a leaf.
    """
    parts = [_flatten(tree) for tree in trees]
    branches = np.cumsum([0, *(len(part.columns) for part in parts)])
    leaves = np.cumsum([0, *(len(part.leaves) for part in parts)])

    def children(side: int) -> tuple[list[int], list[int]]:
        is_leaf = np.concatenate([part.to_leaf[side] for part in parts])
        places = [
            part.places[side] + np.where(part.to_leaf[side], leaf, branch)
            for part, branch, leaf in zip(parts, branches[:-1], leaves[:-1], strict=True)
        ]
        return np.concatenate(places).tolist(), is_leaf.astype(np.int64).tolist()

    (true_places, true_leaves), (false_places, false_leaves) = children(0), children(1)
    modes = np.full(branches[-1], _LESS_OR_EQUAL, dtype=np.uint8)
    return helper.make_node(
        "TreeEnsemble",
        ["wide"],
        [output],
        domain="ai.onnx.ml",
        aggregate_function=_SUM,
        n_targets=1 + max(tree.target for tree in trees),
        tree_roots=branches[:-1].tolist(),
        nodes_modes=numpy_helper.from_array(modes),
        nodes_featureids=np.concatenate([part.columns for part in parts]).tolist(),
        nodes_splits=numpy_helper.from_array(np.concatenate([part.thresholds for part in parts])),
        nodes_truenodeids=true_places,
        nodes_trueleafs=true_leaves,
        nodes_falsenodeids=false_places,
        nodes_falseleafs=false_leaves,
        leaf_targetids=np.repeat([tree.target for tree in trees], np.diff(leaves)).tolist(),
        leaf_weights=numpy_helper.from_array(np.concatenate([part.leaves for part in parts])),
    )


@dataclass(frozen=True)
class _Flat:
    """A tree as arrays, its first branch the root.

    Attributes:
        columns: int [branches], the feature that is compared.
        thresholds: float64 [branches].
        to_leaf: bool [branches] for the left and the right child: whether it is a leaf.
        places: int [branches] for the left and the right child: which branch, or which leaf.
        leaves: float64 [leaves], weighted values.
    """

    columns: NDArray[np.intp]
    thresholds: NDArray[np.float64]
    to_leaf: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    places: tuple[NDArray[np.intp], NDArray[np.intp]]
    leaves: NDArray[np.float64]


def _flatten(part: _Tree) -> _Flat:
    tree = part.tree
    is_leaf = tree.children_left == _LEAF
    leaves = tree.value[is_leaf, 0, 0] * part.weight
    if is_leaf[0]:  # the format knows no tree without a branch
        nowhere, always = np.zeros(1, dtype=np.intp), np.ones(1, dtype=bool)
        return _Flat(nowhere, np.zeros(1), (always, always), (nowhere, nowhere), leaves)
    place = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(~is_leaf)) - 1
    left, right = tree.children_left[~is_leaf], tree.children_right[~is_leaf]
    columns = tree.feature[~is_leaf]
    return _Flat(
        columns if part.columns is None else part.columns[columns],
        tree.threshold[~is_leaf],
        (is_leaf[left], is_leaf[right]),
        (place[left], place[right]),
        leaves,
    )
