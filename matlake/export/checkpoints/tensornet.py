"""TensorNet in matgl's format."""

from typing import Final

import torch

from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import Sizes, Stated, Trained
from matlake.export.checkpoints.matgl_folder import MatglFolder
from matlake.export.checkpoints.matgl_published import describe_network

_TABLE: Final = "tensor_embedding.emb.weight"
_CONSTANTS: Final = ("bond_expansion.rbf.cutoff",)
_SUPPORTED: Final = {
    "rbf_type": "SphericalBessel",
    "use_smooth": True,
    "activation_type": "swish",
    "equivariance_invariance_group": "O(3)",
    "include_state": False,
    "is_intensive": False,
    "task_type": "regression",
    "ntargets": 1,
}
_FEATURES: Final = (
    "layers 0, 1, … hold, channel by channel, means over atoms of a third of the trace, of the norm of the"
    " antisymmetric and of the norm of the traceless symmetric part of an atom's matrices, the three behind each other"
)
_ENERGY: Final = "the prediction is the energy of the published code, with the energies of the elements, per atom"


def load(folder: MatglFolder) -> Trained:
    """Return a TensorNet with scaling and energies of the elements folded in; it predicts eV/atom.

    Raises:
        EncoderError: The network has parts that are not supported here, or tensors are missing or unknown.
    """
    for name, value in _SUPPORTED.items():
        folder.require(name, value)
    if folder.mean:
        raise EncoderError(f"{folder.path} adds {folder.mean:g} eV to each crystal, whatever its size: not an energy")
    weights = folder.weights.without(_CONSTANTS)
    weights.shape(_TABLE, 2)
    table = folder.by_atomic_number(weights.tensors[_TABLE])
    sizes: Sizes = {
        "units": folder.setting("units", int),
        "num_blocks": folder.setting("nblocks", int),
        "num_radial": folder.setting("max_n", int),
        "cutoff": Stated().settle_cutoff(folder.path, folder.setting("cutoff", float)),
        "species": len(table),
    }
    references = torch.zeros(len(folder.elements)) if folder.references is None else folder.references
    given = {
        _TABLE: table,
        "references": folder.by_atomic_number(references),
        "std": torch.tensor(folder.std),
    }
    network = weights.without(given).with_defaults(given).fill("tensornet", sizes)
    return describe_network(
        folder, "TensorNet", network, sizes, target="energy_per_atom", notes=(_FEATURES, _ENERGY), default_layer="0"
    )
