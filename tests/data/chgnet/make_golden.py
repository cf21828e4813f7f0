"""Make the golden vectors of CHGNet with the original code, in float64: run once, where ``chgnet`` 0.4.2 is installed.

    python tests/data/chgnet/make_golden.py

Reads the crystals of ``golden.npz`` beside it (real ones: Materials Project, elastic tensors, dielectric constants,
phonons, perovskites; some with one atom, many atoms, much hydrogen, long cells, or no bond below 3 Å), and writes the
vectors back: means over atoms after the embedding and each convolution, deviations, and the energy in eV/atom.

Rock salt is the second of each batch: version 0.2.0 adds a constant to the bonds of all crystals if one of the batch
has angles, as in training nearly always.
"""

from pathlib import Path

import chgnet.graph.converter
import chgnet.graph.crystalgraph
import chgnet.model.model
import numpy as np
import torch
from pymatgen.core import Lattice, Structure

FILE = Path(__file__).parent / "golden.npz"
SALT = [[0, 0, 0], [0.5, 0.5, 0.5]]
VERSIONS = {"0.3.0": 1, "0.2.0": 10, "r2scan": 10}
"""Version -> every how many crystals."""


def vectors(version: str, crystals: list[Structure]) -> np.ndarray:
    """Return all layers of crystals, one behind the other."""
    model = chgnet.model.model.CHGNet.load(model_name=version, use_device="cpu", verbose=False).double().eval()
    # the fractions of elements are float32 otherwise
    model.composition_model.fc.register_forward_pre_hook(lambda _, given: (given[0].double(),))
    found = []
    for module in (model.atom_embedding, *model.atom_conv_layers):
        module.register_forward_hook(lambda *given: found.append(given[2].detach().clone()))
    salt = model.graph_converter(Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], SALT))
    rows = []
    for crystal in crystals:
        found.clear()
        energy = model([model.graph_converter(crystal), salt], task="e")["e"].detach()[:1]
        means = [atoms[: len(crystal)].mean(dim=0) for atoms in found]
        deviations = [atoms[: len(crystal)].std(dim=0, unbiased=False) for atoms in found]
        rows.append(torch.cat([*means, *deviations, energy]).numpy())
    return np.array(rows, dtype=np.float32)


def main() -> None:
    """Write the vectors."""
    for module in (chgnet.graph.converter, chgnet.graph.crystalgraph, chgnet.model.model):
        module.TORCH_DTYPE = torch.float64
    with np.load(FILE) as golden:
        given = {name: golden[name] for name in ("offsets", "numbers", "lattices", "positions")}
    rows = [slice(*pair) for pair in zip(given["offsets"][:-1], given["offsets"][1:], strict=True)]
    crystals = [
        Structure(Lattice(lattice), given["numbers"][row], given["positions"][row])
        for row, lattice in zip(rows, given["lattices"], strict=True)
    ]
    found = {version: vectors(version, crystals[::step]) for version, step in VERSIONS.items()}
    np.savez_compressed(FILE, **given, **found)


if __name__ == "__main__":
    main()
