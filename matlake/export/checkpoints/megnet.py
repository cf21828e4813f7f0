"""MEGNet in matgl's format."""

from typing import Any, Final

from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import Trained
from matlake.export.checkpoints.matgl_folder import MatglFolder
from matlake.export.checkpoints.matgl_published import describe_network
from matlake.export.checkpoints.weights import fold_scaling

_TABLE: Final = "embedding.layer_node_embedding.weight"
_CENTERS: Final = "bond_expansion.rbf.centers"
_MOST_ITERATIONS: Final = 16
_SUPPORTED: Final = {
    "include_state": True,
    "ntypes_state": None,
    "is_classification": False,
    "activation_type": "softplus2",
    "nlayers_set2set": 1,
    "bond_expansion": None,
}
_STATE: Final = "the state of the crystal begins at zero, as the published code has it by default"


def load(folder: MatglFolder) -> Trained:
    """Return a MEGNet with the scaling of the target folded in.

    Raises:
        EncoderError: The network has parts that are not supported here, or tensors are missing or unknown.
    """
    for name, supported in _SUPPORTED.items():
        folder.require(name, supported)
    iterations = folder.setting("niters_set2set", int)
    if not 2 <= iterations <= _MOST_ITERATIONS:  # noqa: PLR2004 - the first step does not look at the crystal
        raise EncoderError(f"{folder.path}: {iterations} steps of set2set", f"2 to {_MOST_ITERATIONS} are supported")
    weights = folder.weights
    width = weights.shape(_TABLE, 2)[1]
    elements = folder.by_atomic_number(weights.tensors[_TABLE])
    sizes: dict[str, Any] = {
        "atom_width": width,
        "num_gaussians": weights.shape(_CENTERS, 1)[0],
        "gaussian_exponent": folder.setting("gauss_width", float),
        "state_width": weights.shape("state_encoder.layers.0.weight", 2)[1],
        "hidden_width": weights.shape("edge_encoder.layers.0.weight", 2)[0],
        "width": weights.shape("edge_encoder.layers.2.weight", 2)[0],
        "convolution_width": weights.shape("blocks.0.conv.edge_func.layers.0.weight", 2)[0],
        "output_width": weights.shape("output_proj.layers.0.weight", 2)[0],
        "last_width": weights.shape("output_proj.layers.2.weight", 2)[0],
        "num_blocks": weights.count("blocks"),
        "iterations": iterations,
        "cutoff": folder.setting("cutoff", float),
        "elements": len(elements),
    }
    centers = weights.tensors[_CENTERS]
    moved = weights.without([_TABLE, _CENTERS])
    network = moved.with_defaults({"embedding.weight": elements, "centers": centers}).fill("megnet", sizes)
    fold_scaling(network, 1, folder.mean, folder.std, folder.path)
    return describe_network(
        folder, "MEGNet", network, sizes, target="formation_energy_per_atom", notes=(_STATE,), default_layer="1"
    )
