"""The original code of matgl on crystals from a file: run by an interpreter that has matgl, never by ours.

    PYTHON benchmarks/helpers/matgl_peer.py FOLDER CRYSTALS.npz ROUNDS

Prints one line of JSON: crystals per processor-second for graphs, and for the network on ready-made graphs by batch.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = (1, 4, 16)


def potential_of(folder: Path) -> Any:
    """Return the potential in a folder, for energies alone; ``model.pt`` may be missing."""
    import torch
    from matgl import models
    from matgl.apps.pes import Potential

    inner = json.loads((folder / "model.json").read_text())["kwargs"]["model"]
    arguments = {name: value for name, value in inner["init_args"].items() if name != "dtype"}
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    network = getattr(models, inner["@class"])(**arguments)
    if "element_refs.property_offset" not in state:  # a network by itself: the scaling of the target costs nothing
        network.load_state_dict({name.removeprefix("model."): tensor for name, tensor in state.items()})
        return network.eval()
    references = state["element_refs.property_offset"]
    potential = Potential(network, element_refs=references, calc_forces=False, calc_stresses=False)
    potential.load_state_dict(state, strict=False)
    return potential.eval()


def run_batch(network: Any, batch: Any, cells: Any) -> None:
    """Run a potential, or a network by itself, which takes positions and images of atoms."""
    import torch

    if hasattr(network, "data_mean"):
        network(batch, cells)
        return
    batch.pos = torch.einsum("ni,nij->nj", batch.frac_coords, cells[batch.batch])
    batch.pbc_offshift = torch.einsum("ei,eij->ej", batch.pbc_offset, cells[batch.batch[batch.edge_index[0]]])
    network(batch, state_attr=torch.zeros(batch.num_graphs, 2))


def rate(function: Callable[[], object], crystals: int, rounds: int) -> float:
    """Return crystals per processor-second, the best of some rounds."""
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return crystals / min(seconds)


def main() -> None:
    """Time graphs and network, one thread."""
    import torch
    from matgl.ext.pymatgen import Structure2Graph
    from pymatgen.core.structure import Structure
    from torch_geometric.data import Batch

    torch.set_num_threads(1)
    potential, rounds = potential_of(Path(sys.argv[1])), int(sys.argv[3])
    with np.load(sys.argv[2]) as given:
        parts = [slice(*given["offsets"][row : row + 2]) for row in range(len(given["lattices"]))]
        structures = [
            Structure(lattice, given["numbers"][part].tolist(), given["positions"][part])
            for lattice, part in zip(given["lattices"], parts, strict=True)
        ]
    network = getattr(potential, "model", potential)
    converter = Structure2Graph(network.element_types, network.cutoff)
    graphs = [converter.get_graph(structure)[:2] for structure in structures]
    found = {"graphs": rate(lambda: [converter.get_graph(one) for one in structures], len(structures), rounds)}

    def run(size: int) -> None:
        for start in range(0, len(graphs), size):
            some = graphs[start : start + size]
            with torch.no_grad():
                run_batch(potential, Batch.from_data_list([g for g, _ in some]), torch.cat([cell for _, cell in some]))

    for size in BATCHES:
        found[f"network, batches of {size}"] = rate(lambda: run(size), len(structures), rounds)  # noqa: B023 - called at once
    print(json.dumps(found))


if __name__ == "__main__":
    main()
