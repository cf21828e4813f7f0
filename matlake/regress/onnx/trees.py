"""ONNX graphs of decision trees and their ensembles, in float64: they take the branches that scikit-learn takes.

The usual conversion rounds thresholds to float32 and spells out the kind of each node in text: its files are 2.4 times
as large, and take 20 times as long to make.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import spox.opset.ai.onnx.ml.v5 as ml
import spox.opset.ai.onnx.v20 as op
from numpy.typing import NDArray
from spox import Var

_SUM: Final = 1
_LESS_OR_EQUAL: Final = 0
_LEAF: Final = -1


@dataclass(frozen=True)
class _Tree:
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


def _single(x: Var, regressor: Any) -> Var:
    return _add_up(x, [_flatten(regressor.tree_)])


def _forest(x: Var, regressor: Any) -> Var:
    weight = 1.0 / len(regressor.estimators_)
    return _add_up(x, [_flatten(tree.tree_, weight) for tree in regressor.estimators_])


def _bagging(x: Var, regressor: Any) -> Var:
    trees, columns = regressor.estimators_, regressor.estimators_features_
    weight = 1.0 / len(trees)
    return _add_up(x, [_flatten(tree.tree_, weight, own) for tree, own in zip(trees, columns, strict=True)])


def _gradient_boosting(x: Var, regressor: Any) -> Var:
    trees = [_flatten(tree.tree_, regressor.learning_rate) for tree in regressor.estimators_[:, 0]]
    return op.add(_add_up(x, trees), op.const(regressor.init_.constant_.reshape(1)))


def _histogram_boosting(x: Var, regressor: Any) -> Var:
    """Add up trees whose leaves hold the learning rate already; scikit-learn keeps them where nobody is to look."""
    trees = [_flatten_histogram(predictor.nodes) for (predictor,) in regressor._predictors]  # noqa: SLF001
    return op.add(_add_up(x, trees), op.const(regressor._baseline_prediction.reshape(1)))  # noqa: SLF001


def _adaboost(x: Var, regressor: Any) -> Var:
    """Take the weighted median of the trees: the least vote at which half of the weight is reached."""
    trees = [_flatten(tree.tree_) for tree in regressor.estimators_]
    votes, order = op.top_k(_add_up(x, trees, range(len(trees))), op.const([len(trees)]), axis=1, largest=False)
    weights = op.const(regressor.estimator_weights_[: len(trees)])
    reached = op.cumsum(op.gather(weights, order), op.const(1))
    total = op.gather(reached, op.const([len(trees) - 1]), axis=1)
    is_enough = op.greater_or_equal(reached, op.mul(total, op.const(0.5)))
    return op.gather_elements(votes, op.arg_max(op.cast(is_enough, to=np.int32), axis=1), axis=1)


TREE_GRAPHS: Final[dict[str, Callable[[Var, Any], Var]]] = {
    "DecisionTreeRegressor": _single,
    "RandomForestRegressor": _forest,
    "ExtraTreesRegressor": _forest,
    "BaggingRegressor": _bagging,
    "GradientBoostingRegressor": _gradient_boosting,
    "HistGradientBoostingRegressor": _histogram_boosting,
    "AdaBoostRegressor": _adaboost,
}
"""From features float64 [n, d] and a fitted regressor, by its class, to its prediction float64 [n, 1]."""

CLASSIFYING_TREES: Final[dict[str, Callable[[Var, Any], Var]]] = {
    "DecisionTreeClassifier": _single,
    "ExtraTreeClassifier": _single,
    "RandomForestClassifier": _forest,
    "ExtraTreesClassifier": _forest,
    "BaggingClassifier": _bagging,
}
"""Likewise a classifier, to the probability of the last of its two classes."""


def boosted_odds(x: Var, classifier: Any) -> Var:
    """Return the log odds of the last class, float64 [n, 1], of gradient boosting for features float64 [n, d]."""
    trees = [_flatten(tree.tree_, classifier.learning_rate) for tree in classifier.estimators_[:, 0]]
    no, yes = classifier.init_.class_prior_
    return op.add(_add_up(x, trees), op.const(float(np.log(yes / no))))


def _add_up(x: Var, trees: Sequence[_Tree], sums: Sequence[int] = ()) -> Var:
    """Add up the leaves of trees, float64 [n, sums]: of all, or each to one of ``sums``.

    Branches and leaves are numbered through all trees; a branch goes to a branch or, where flagged, to a leaf.
    """
    sums = sums or [0] * len(trees)
    branches = np.cumsum([0, *(len(tree.columns) for tree in trees)])
    leaves = np.cumsum([0, *(len(tree.leaves) for tree in trees)])

    def children(side: int) -> tuple[list[int], list[int]]:
        is_leaf = np.concatenate([tree.to_leaf[side] for tree in trees])
        places = [
            tree.places[side] + np.where(tree.to_leaf[side], leaf, branch)
            for tree, branch, leaf in zip(trees, branches[:-1], leaves[:-1], strict=True)
        ]
        return np.concatenate(places).tolist(), is_leaf.astype(np.int64).tolist()

    (true_places, true_leaves), (false_places, false_leaves) = children(0), children(1)
    return ml.tree_ensemble(
        x,
        aggregate_function=_SUM,
        n_targets=1 + max(sums),
        tree_roots=branches[:-1].tolist(),
        nodes_modes=np.full(branches[-1], _LESS_OR_EQUAL, dtype=np.uint8),
        nodes_featureids=np.concatenate([tree.columns for tree in trees]).tolist(),
        nodes_splits=np.concatenate([tree.thresholds for tree in trees]),
        nodes_truenodeids=true_places,
        nodes_trueleafs=true_leaves,
        nodes_falsenodeids=false_places,
        nodes_falseleafs=false_leaves,
        leaf_targetids=np.repeat(sums, np.diff(leaves)).tolist(),
        leaf_weights=np.concatenate([tree.leaves for tree in trees]),
    )


def _flatten(tree: Any, weight: float = 1.0, columns: NDArray[np.intp] | None = None) -> _Tree:
    """Return a tree as arrays: of a classifier, with the shares of its last class.

    Args:
        tree: scikit-learn's ``Tree``.
        weight: What its leaves are multiplied by.
        columns: The features that the tree's own numbers stand for; None for all of them in order.
    """
    is_leaf = tree.children_left == _LEAF
    compared = tree.feature if columns is None else columns[np.maximum(tree.feature, 0)]
    nodes = (compared, tree.threshold, tree.children_left, tree.children_right)
    return _from_nodes(is_leaf, nodes, tree.value[:, 0, -1] * weight)


def _flatten_histogram(nodes: NDArray[Any]) -> _Tree:
    """Return a tree of histogram gradient boosting as arrays, from its structured array of nodes."""
    columns = (nodes["feature_idx"], nodes["num_threshold"], nodes["left"], nodes["right"])
    return _from_nodes(nodes["is_leaf"].astype(bool), columns, nodes["value"])


def _from_nodes(is_leaf: NDArray[np.bool_], nodes: tuple[NDArray[Any], ...], values: NDArray[np.float64]) -> _Tree:
    """Part branches from leaves.

    Args:
        is_leaf: [nodes], the first the root.
        nodes: For each node the feature compared, its threshold, the left and the right child.
        values: float64 [nodes].
    """
    if is_leaf[0]:  # the format knows no tree without a branch
        nowhere, always = np.zeros(1, dtype=np.intp), np.ones(1, dtype=bool)
        return _Tree(nowhere, np.zeros(1), (always, always), (nowhere, nowhere), values[:1])
    place = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(~is_leaf)) - 1
    columns, thresholds, left, right = (of_nodes[~is_leaf] for of_nodes in nodes)
    to_leaf, places = (is_leaf[left], is_leaf[right]), (place[left], place[right])
    return _Tree(columns.astype(np.intp), thresholds, to_leaf, places, values[is_leaf])
