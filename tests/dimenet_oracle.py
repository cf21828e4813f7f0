"""DimeNet++ as PyTorch Geometric computes it, on messages given one by one: triplets are written out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.export.checkpoints.pyg_reference import Messages, atom_contributions
from matlake.materials.angular_graphs import AngularGraphs


def all_within(numbers: Sequence[int], positions: NDArray[np.float64], cutoff: float) -> Messages:
    """Return the messages between the atoms of a molecule."""
    distances = np.linalg.norm(positions[:, None] - positions, axis=2)
    source, target = np.nonzero((distances < cutoff) & (distances > 0))
    return Messages(numbers, source, target, positions[source] - positions[target])


def geometric_prediction(model: Any, given: Messages, kept: Callable[[int, int], bool]) -> torch.Tensor:
    """Return the atoms' contributions from PyTorch Geometric's own layers, [atoms, targets].

    Args:
        model: PyTorch Geometric's network.
        given: The messages.
        kept: Whether message f takes part in the update of message e, which leaves the atom that f comes into.
    """
    pairs = [(e, f) for e in range(len(given.source)) for f in into(given, given.source[e]) if kept(e, f)]
    later, earlier = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return atom_contributions(model, given, later.copy(), earlier.copy())


def into(given: Messages, atom: int) -> NDArray[np.int64]:
    """Return the messages that come into an atom."""
    return np.flatnonzero(given.target == atom)


def angular_graph(given: Messages, degrees: int, kept: Callable[[int, int], bool]) -> AngularGraphs:
    """Return the messages as one graph of ours; ``kept`` as above."""
    atoms = range(len(given.numbers))
    out = [np.flatnonzero(given.source == atom) for atom in atoms]
    arriving = [into(given, atom) for atom in atoms]
    order = np.concatenate(out)
    rank = np.argsort(order)
    lengths = np.linalg.norm(given.vectors, axis=1)
    units = given.vectors / lengths[:, None]
    norms = np.sqrt((2 * np.arange(degrees) + 1) / (4 * np.pi))
    couplings = []
    for atom in atoms:
        cosines = units[out[atom]] @ units[arriving[atom]].T
        taken = np.array([[kept(e, f) for f in arriving[atom]] for e in out[atom]]).reshape(cosines.shape)
        values = np.polynomial.legendre.legvander(cosines, degrees - 1) * norms * taken[..., None]
        couplings.append(values.reshape(-1).astype(np.float32))
    return AngularGraphs(
        np.array([0, len(atoms)]),
        np.asarray(given.numbers, dtype=np.int16),
        np.full(len(atoms), 1 / len(atoms)),
        _offsets(out),
        given.target[order].astype(np.int32),
        lengths[order],
        _offsets(arriving),
        rank[np.concatenate(arriving)].astype(np.int32),
        np.ones(len(order)),
        _offsets(couplings),
        np.concatenate(couplings),
        degrees,
    )


def _offsets(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
