"""Makes the golden vectors of M3GNet and MEGNet beside this file, with the original code, and two small networks.

Run it once, in an environment with matgl 4.1.2 (PyTorch Geometric), pymatgen and pyarrow:

    python tests/data/matgl/make_golden_m3gnet_megnet.py ../shared/weights

The networks run in float64, from graphs that matgl's own converter makes of crystals of the bundled sample. The small
ones have random weights in matgl's format. MEGNet's vectors of a crystal without edges are not a number there.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from matgl.apps.pes import Potential
from matgl.data.transformer import Normalizer
from matgl.ext.pymatgen import Structure2Graph
from matgl.models._m3gnet import M3GNet
from matgl.models._megnet import MEGNet
from matgl.models._wrappers import TransformedTargetModel
from pymatgen.core import Structure

HERE = Path(__file__).parent
SAMPLE = HERE.parents[2] / "matlake" / "data" / "mp_elasticity.parquet"
FOLDERS = {"m3gnet": "M3GNet-MatPES-PBE-v2025.1-PES", "megnet": "MEGNet-MP-2018.6.1-Eform"}
SMALL = {
    "M3GNet": {"dim_node_embedding": 8, "dim_edge_embedding": 12, "units": 10, "nblocks": 2, "max_n": 2},
    "MEGNet": {
        "dim_node_embedding": 6,
        "dim_edge_embedding": 10,
        "hidden_layer_sizes_input": [12, 8],
        "hidden_layer_sizes_conv": [10, 10, 8],
        "hidden_layer_sizes_output": [7, 5],
        "niters_set2set": 3,
        "nblocks": 2,
    },
}
CRYSTALS, MOST_ATOMS = 80, 24


def main(weights: Path) -> None:
    """Write one file for each network, and the folders of the small ones."""
    texts = pq.read_table(SAMPLE, columns=["poscar"])["poscar"].to_pylist()
    order = np.random.default_rng(17).permutation(len(texts)).tolist()
    structures = {row: Structure.from_str(texts[row], fmt="poscar") for row in order[: 2 * CRYSTALS]}
    rows = sorted([row for row, structure in structures.items() if len(structure) <= MOST_ATOMS][:CRYSTALS])
    for name, folder in FOLDERS.items():
        small = HERE / f"{name}-small"
        make_small(weights / folder, small)
        for source, file, some in ((weights / folder, name, rows), (small, small.name, rows[::4])):
            network = load_original(source)
            vectors = [layers_of(network, structures[row]) for row in some]
            arrays = {key: np.stack([one[key] for one in vectors]).astype(np.float32) for key in vectors[0]}
            np.savez_compressed(HERE / f"{file}.npz", rows=np.array(some, dtype=np.int16), **arrays)


def make_small(published: Path, folder: Path) -> None:
    """Write a network of the same kind with few random weights; scaling and energies of elements stay."""
    torch.manual_seed(0)
    description = json.loads((published / "model.json").read_text())
    arguments = description["kwargs"]["model"]["init_args"]
    arguments.update(SMALL[description["kwargs"]["model"]["@class"]])
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(json.dumps(description, indent=1) + "\n")
    model = build(description["kwargs"])
    if "element_refs" in description["kwargs"]:
        model.data_std.fill_(3.25)
        model.element_refs.property_offset.copy_(-torch.arange(89) / 10)
    torch.save({name: tensor.clone() for name, tensor in model.state_dict().items()}, folder / "state.pt")


def build(arguments: dict[str, Any]) -> torch.nn.Module:
    """Build a network and what is around it."""
    settings = arguments["model"]["init_args"]
    if arguments["model"]["@class"] == "M3GNet":
        return Potential(M3GNet(**settings), element_refs=[0.0] * 89, calc_forces=False, calc_stresses=False)
    mean, std = (float(x) for x in re.findall(r"-?\d+\.\d+", arguments["target_transformer"]))
    return TransformedTargetModel(MEGNet(**settings), Normalizer(mean, std))


def load_original(folder: Path) -> torch.nn.Module:
    """Build a network from the arguments in ``model.json`` and load its tensors, in float64."""
    model = build(json.loads((folder / "model.json").read_text())["kwargs"])
    state = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
    state.pop("element_refs.onehot", None)  # versions before 4 kept it
    model.load_state_dict(state)
    return model.double().eval()


def layers_of(loaded: torch.nn.Module, structure: Structure) -> dict[str, np.ndarray]:
    """Return the layers of a crystal: means and deviations over atoms, the read-out, the prediction in eV/atom."""
    network = loaded.model
    graph, lattice, state = Structure2Graph(network.element_types, network.cutoff).get_graph(structure)
    lattice = torch.tensor(structure.lattice.matrix)[None]
    fractional = torch.tensor(structure.frac_coords)
    graph.pbc_offshift = graph.pbc_offset.double() @ lattice[0]
    graph.pos = fractional @ lattice[0]
    with torch.no_grad():
        if isinstance(network, M3GNet):
            energy = network(graph) * loaded.data_std + loaded.data_mean + loaded.element_refs(graph).squeeze()
            extra = {"prediction": energy.reshape(1) / len(structure)}
        else:
            value = loaded(graph, state_attr=torch.tensor(state).double())
            extra = {"readout": network.feature_dict["readout"].reshape(-1), "prediction": value.reshape(1)}
    features = network.feature_dict
    blocks = sorted(key for key in features if key.startswith("gc_"))
    atoms = [features[key]["node_feat"] for key in ("embedding", *blocks)]
    means = {str(k): x.mean(dim=0) for k, x in enumerate(atoms)}
    deviations = {f"{k}_std": x.std(dim=0, correction=0) for k, x in enumerate(atoms)}
    return {key: value.numpy() for key, value in {**means, **deviations, **extra}.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
