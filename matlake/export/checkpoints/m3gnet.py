"""M3GNet in matgl's format."""

from typing import Any, Final, cast

import torch

from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import Trained
from matlake.export.checkpoints.matgl_folder import MatglFolder
from matlake.export.checkpoints.matgl_published import describe_network
from matlake.export.checkpoints.weights import fold_scaling
from matlake.networks.m3gnet import M3GNet

_TABLE: Final = "embedding.layer_node_embedding.weight"
_CONSTANTS: Final = ("bond_expansion.rbf.cutoff", "basis_expansion.sbf.cutoff")
_SUPPORTED: Final = {
    "use_smooth": True,
    "use_phi": False,
    "is_intensive": False,
    "include_state": False,
    "rbf_type": "SphericalBessel",
    "activation_type": "swish",
    "task_type": "regression",
    "ntargets": 1,
}
_ENERGY: Final = "the prediction is the energy of the published code, with the energies of the elements, per atom"
_ISOLATED: Final = "an atom without neighbours is an atom without edges"


def load(folder: MatglFolder) -> Trained:
    """Return an M3GNet with scaling and energies of the elements folded in; it predicts eV/atom.

    Raises:
        EncoderError: The network has parts that are not supported here, or tensors are missing or unknown.
    """
    for name, supported in _SUPPORTED.items():
        folder.require(name, supported)
    if folder.mean:
        raise EncoderError(f"{folder.path} adds {folder.mean:g} eV to each crystal, whatever its size: not an energy")
    weights = folder.weights.without(_CONSTANTS)
    width = weights.shape(_TABLE, 2)[1]
    elements = folder.by_atomic_number(weights.tensors[_TABLE])
    sizes: dict[str, Any] = {
        "atom_width": width,
        "edge_width": folder.setting("dim_edge_embedding", int),
        "hidden_width": folder.setting("units", int),
        "num_blocks": weights.count("graph_layers"),
        "num_spherical": folder.setting("max_l", int),
        "num_radial": folder.setting("max_n", int),
        "cutoff": folder.setting("cutoff", float),
        "bond_cutoff": folder.setting("threebody_cutoff", float),
        "elements": len(elements),
    }
    references = torch.zeros(len(elements), 1)
    placed = weights.without([_TABLE]).with_defaults({_TABLE: elements, "references": references})
    network = placed.fill("m3gnet", sizes)
    fold_scaling(network, 1, 0.0, folder.std, folder.path)
    if folder.references is not None:
        cast("M3GNet", network).references.copy_(folder.by_atomic_number(folder.references.float())[:, None])
    return describe_network(
        folder, "M3GNet", network, sizes, target="energy_per_atom", notes=(_ENERGY, _ISOLATED), default_layer="1"
    )
