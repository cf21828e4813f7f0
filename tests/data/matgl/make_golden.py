"""Golden vectors of TensorNet from the original code, and a small network with random weights in its format.

    python tests/data/matgl/make_golden.py crystals                  # with matlake: chooses the crystals
    python tests/data/matgl/make_golden.py tensornet FOLDER          # with matgl 4.1: the network in FOLDER
    python tests/data/matgl/make_golden.py tensornet-small           # with matgl 4.1: makes the small one

Everything is computed in float64. Features are stored in float32, energies in float64.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
CRYSTALS = HERE / "crystals.npz"
EVERY = 3


def choose() -> None:
    """Write every third reference crystal, and the hard cases: a single atom, an isolated one, a tiny cell."""
    from matlake.encoders.reference import reference_crystals

    every = reference_crystals()
    hard = 3
    rows = [*range(0, len(every) - hard, EVERY), *range(len(every) - hard, len(every))]
    chosen = [every[row] for row in rows]
    np.savez_compressed(
        CRYSTALS,
        offsets=np.cumsum([0, *(len(one.numbers) for one in chosen)]),
        numbers=np.concatenate([one.numbers for one in chosen]).astype(np.int16),
        lattices=np.stack([one.lattice for one in chosen]),
        positions=np.concatenate([one.positions for one in chosen]),
    )


def invariants(x: Any) -> Any:
    """Return trace part and norms of the antisymmetric and the traceless symmetric part, [atoms, 3 · units]."""
    import torch

    trace = x.diagonal(dim1=-2, dim2=-1).mean(-1)
    skew = (x - x.transpose(-1, -2)) / 2
    rest = (x + x.transpose(-1, -2)) / 2 - trace[..., None, None] * torch.eye(3, dtype=x.dtype)
    return torch.cat([trace, skew.square().sum((-1, -2)).sqrt(), rest.square().sum((-1, -2)).sqrt()], dim=-1)


def layers(potential: Any, numbers: Any, lattice: Any, positions: Any) -> dict[str, np.ndarray]:
    """Return all layers of one crystal."""
    import torch
    from matgl.ext.pymatgen import Structure2Graph
    from pymatgen.core import Structure

    structure = Structure(lattice, [int(z) for z in numbers], positions)
    converter = Structure2Graph(potential.model.element_types, potential.model.cutoff)
    graph, cell, _ = converter.get_graph(structure)
    with torch.no_grad():
        energy = potential(graph, cell)[0]
    found = {}
    for name, key in (("0", "embedding"), ("1", "gc_1"), ("2", "gc_2")):
        atoms = invariants(potential.model.feature_dict[key])
        found[name] = atoms.mean(0).numpy().astype(np.float32)
        found[f"{name}_std"] = atoms.std(0, correction=0).numpy().astype(np.float32)
    found["prediction"] = np.asarray(float(energy) / len(numbers))
    return found


def write_golden(potential: Any, path: Path) -> None:
    """Write the layers of all crystals; deviations of the first dozen only, since they follow from the same atoms."""
    import matgl
    from pymatgen.core import Element

    matgl.set_default_dtype("float", 64)
    potential.calc_forces = potential.calc_stresses = False
    potential.double()
    known = {Element(symbol).Z for symbol in potential.model.element_types}
    with np.load(CRYSTALS) as given:
        crystals = {name: given[name] for name in given.files}
    found = []
    for row, lattice in enumerate(crystals["lattices"]):
        atoms = slice(crystals["offsets"][row], crystals["offsets"][row + 1])
        numbers = crystals["numbers"][atoms]
        if set(numbers.tolist()) <= known:
            found.append({"rows": row, **layers(potential, numbers, lattice, crystals["positions"][atoms])})
    few = 12
    np.savez_compressed(
        path, **{n: np.stack([f[n] for f in (found[:few] if n.endswith("_std") else found)]) for n in found[0]}
    )


def published(folder: Path) -> Any:
    """Return the potential in a folder that may lack ``model.pt``."""
    import torch
    from matgl import models
    from matgl.apps.pes import Potential

    inner = json.loads((folder / "model.json").read_text())["kwargs"]["model"]
    arguments = {name: value for name, value in inner["init_args"].items() if name != "dtype"}
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    network = getattr(models, inner["@class"])(**arguments, use_warp=False)
    potential = Potential(network, element_refs=state["element_refs.property_offset"])
    missing = potential.load_state_dict(state, strict=False).missing_keys
    assert not missing, missing
    return potential.eval()


def make_small(folder: Path) -> Any:
    """Write a potential of few channels with random weights, and return it."""
    import torch
    from matgl.apps.pes import Potential
    from matgl.models import TensorNet

    torch.manual_seed(0)
    elements = ("H", "O", "Na", "Mg", "Al", "Si", "Cl", "Ti", "Fe", "Ni", "Cu", "Zn")
    network = TensorNet(
        element_types=elements, units=8, nblocks=2, max_n=3, max_l=3, rbf_type="SphericalBessel", use_smooth=True,
        cutoff=4.0, is_intensive=False, use_warp=False,
    )  # fmt: skip
    potential = Potential(network, data_std=1.7, element_refs=torch.randn(len(elements), dtype=torch.float64))
    potential.save(folder)
    (folder / "model.pt").unlink()
    return potential.eval()


def main() -> None:
    """Run one of the steps."""
    step = sys.argv[1]
    if step == "crystals":
        choose()
    elif step == "tensornet":
        write_golden(published(Path(sys.argv[2])), HERE / "tensornet.npz")
    elif step == "tensornet-small":
        write_golden(make_small(HERE / step), HERE / f"{step}.npz")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
