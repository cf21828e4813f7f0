"""Decision trees in ONNX files: ONNX Runtime follows branches by number, even in circles and out of bounds."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

TREES: Final = frozenset({"TreeEnsemble", "TreeEnsembleRegressor", "TreeEnsembleClassifier"})
MAX_DEPTH: Final = 1000
"""ONNX Runtime goes down a tree by recursion."""

_NONE: Final = -1


def fault_of_trees(node: "onnx.NodeProto", shape: tuple[int, ...]) -> str | None:
    """Say what is wrong with the trees of a node, None if nothing is.

    Args:
        node: One of ``TREES``.
        shape: Of the features.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}

    def numbers(name: str) -> NDArray[np.int64]:
        return np.array(attributes[name].ints if name in attributes else [], dtype=np.int64)

    columns = numbers("nodes_featureids")
    if len(columns) and not 0 <= columns.min() <= columns.max() < (shape[-1] if shape else 1):
        return "compares a feature that is not there"
    if node.op_type == "TreeEnsemble":
        return _fault_by_position(numbers)
    return _fault_by_number(numbers, [mode == b"LEAF" for mode in attributes["nodes_modes"].strings])


def _fault_by_position(numbers: Any) -> str | None:
    """Check trees whose branches name each other by position, and leaves among the leaves."""
    roots, leaves = numbers("tree_roots"), len(numbers("leaf_targetids"))
    children = []
    for side in ("true", "false"):
        places, to_leaf = numbers(f"nodes_{side}nodeids"), numbers(f"nodes_{side}leafs") != 0
        if len(places) != len(to_leaf):
            return "has branches without children"
        if not _are_within(places[to_leaf], leaves):
            return "has a leaf that is not there"
        children.append(np.where(to_leaf, _NONE, places))
    if len(children[0]) != len(children[1]):
        return "has branches without children"
    return _fault(np.stack(children), roots)


def _fault_by_number(numbers: Any, is_leaf: list[bool]) -> str | None:
    """Check trees whose branches and leaves have numbers of their own in each tree."""
    trees, own, flags = numbers("nodes_treeids"), numbers("nodes_nodeids"), np.array(is_leaf, dtype=bool)
    sides = [numbers("nodes_truenodeids"), numbers("nodes_falsenodeids")]
    if not len(trees) or len({len(trees), len(own), len(flags), *map(len, sides)}) > 1:
        return "has branches without children"
    if min(trees.min(), own.min()) < 0 or max(trees.max(), own.max()) > len(trees):
        return "has a number that is not among them"
    keys = trees * (len(trees) + 1) + own
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    if (ordered[1:] == ordered[:-1]).any():
        return "has two branches of one number"
    children = np.full((2, len(trees)), _NONE)
    for side, named in enumerate(sides):
        wanted = trees * (len(trees) + 1) + np.clip(named, 0, len(trees))
        places = np.minimum(np.searchsorted(ordered, wanted), len(trees) - 1)
        if not (flags | (ordered[places] == wanted)).all():
            return "has a branch that is not there"
        children[side] = np.where(flags, _NONE, order[places])
    return _fault(children, np.flatnonzero(np.r_[True, trees[1:] != trees[:-1]]))


def _fault(children: NDArray[np.int64], roots: NDArray[np.int64]) -> str | None:
    """Check that trees are trees, and not too deep.

    Args:
        children: Branches that follow on each [2, n], -1 for none.
        roots: Branches that trees begin with.
    """
    n = children.shape[1]
    named = children[children != _NONE]
    if not _are_within(named, n) or not _are_within(roots, n):
        return "has a branch that is not there"
    parents = np.bincount(named, minlength=n)
    if (parents > 1).any() or parents[roots].any():
        return "has a branch that is reached twice"
    level = roots
    for _ in range(MAX_DEPTH):
        level = children[:, level].ravel()
        level = level[level != _NONE]
        if not len(level):
            return None
    return f"is deeper than {MAX_DEPTH:,} levels"


def _are_within(places: NDArray[np.int64], n: int) -> bool:
    return not len(places) or bool(places.min() >= 0 and places.max() < n)
