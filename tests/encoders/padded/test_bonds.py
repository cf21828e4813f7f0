"""The inputs of encoders of graphs with bonds."""

import numpy as np
import pytest

from matlake.encoders.padded.bonds import bond_inputs
from matlake.encoders.reference import reference_crystals
from matlake.materials.bond_graphs import build_bond_graphs


@pytest.mark.parametrize("resolution", [0.0, 1e-3])
def test_messages_between_the_same_atoms_share_a_pair(resolution: float) -> None:
    graphs = build_bond_graphs(reference_crystals().take(range(12)), 6.0, 3.0, resolution=resolution, rounds=4)
    inputs = bond_inputs(graphs)
    targets, sources, pairs = (inputs[name] for name in ("pair_targets", "pair_sources", "pairs"))
    atoms = np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.edge_offsets))
    assert targets[pairs[:-1]].tolist() == atoms.tolist()
    assert sources[pairs[:-1]].tolist() == graphs.neighbours.tolist()
    assert len({*zip(targets[:-1].tolist(), sources[:-1].tolist(), strict=True)}) == len(targets) - 1
    assert pairs[-1] == len(targets) - 1 > pairs[:-1].max()
