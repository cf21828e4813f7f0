"""CHGNet's own format: ``*.pth.tar`` with a state dict and the arguments of the network.

The three networks that were published are found by their weights: the file does not say what they were trained on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord, TrainingScope
from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import Sizes, Stated, Trained
from matlake.export.checkpoints.weights import Weights, is_state_dict
from matlake.export.pretraining.sources import DATABASES
from matlake.materials.periodic_table import SYMBOLS
from matlake.networks.architectures import ARCHITECTURES
from matlake.networks.chgnet import ELEMENTS

_MARK: Final = "bond_basis_expansion.rbf_expansion_ag.frequencies"
_LICENCE: Final = "BSD-3-Clause-LBNL"
_LEARNED: Final = ("energy_eV_per_atom", "forces_eV_per_A", "stress_GPa", "magnetic_moments_muB")
_MPTRJ: Final = TrainingScope(
    "Materials Project", _LEARNED, "2022-09", "MPtrj: static calculations and frames of relaxations, GGA and GGA+U"
)
_R2SCAN: Final = TrainingScope(
    "Materials Project", _LEARNED, selection="r²SCAN calculations, after MPtrj (up to 2022-09)"
)


@dataclass(frozen=True)
class _Published:
    version: str
    scope: TrainingScope


_PUBLISHED: Final = {
    "818dbd975187b2df": _Published("0.3.0", _MPTRJ),
    "d79fc1dde924a632": _Published("0.2.0", _MPTRJ),
    "d8b3a99f7ad62a07": _Published("r2SCAN", _R2SCAN),
}
"""By the fingerprint of the weights."""

_SUPPORTED: Final = {
    "mlp_first": True,
    "is_intensive": True,
    "update_bond": True,
    "update_angle": True,
    "skip_connection": False,
    "conv_norm": None,
    "non_linearity": "silu",
    "angle_layer_hidden_dim": 0,
    "final_mlp": "MLP",
}
"""Arguments that change the function without a trace in the names or shapes of the weights."""

_LAYERS: Final = (
    "layers 0 … {last} are means over the atoms of their features after the embedding and after each convolution, the"
    " last one before the normalisation that the energy begins with; n_std are their standard deviations; the published"
    " crystal_fea is the sum over atoms of layer {last} behind that normalisation, and is not offered"
)
_ISOLATED: Final = (
    "the published code refuses crystals with an atom that has no neighbour within the cutoff; here such an atom gets"
    " no messages"
)
_BIAS: Final = (
    "in the published network the update of bonds adds a constant to the bonds of a crystal without angles if another"
    " crystal of its batch has some; here it is always added"
)


def recognise(content: Any) -> str | None:
    """Return the architecture of the network in a file of this format, None for another format."""
    return "chgnet" if _MARK in _state(content) else None


def load(content: Any, path: Path, stated: Stated) -> Trained:
    """Return the network; it predicts the energy in eV/atom.

    Raises:
        EncoderError: Keys are missing or unknown, or the network has parts that are not supported here.
    """
    settings = _settings(content, path)
    weights = Weights.of(_state(content), path)
    published = _PUBLISHED.get(weights.fingerprint())
    cutoff = stated.settle_cutoff(path, _number(settings, "atom_graph_cutoff", path))
    stated.settle_neighbours(path, 0)
    bond_cutoff = _number(settings, "bond_graph_cutoff", path)
    if bond_cutoff > cutoff:
        raise EncoderError(f"{path} has bonds of up to {bond_cutoff:g} Å, but messages within {cutoff:g} Å only")
    (radials,) = weights.shape(_MARK, 1)
    (waves,) = weights.shape("angle_basis_expansion.fourier_expansion.frequencies", 1)
    convolutions = weights.count("atom_conv_layers")
    sizes: Sizes = {
        "width": weights.shape("atom_embedding.embedding.weight", 2)[1],
        "num_radial": radials,
        "num_angular": 2 * waves + 1,
        "n_conv": convolutions,
        "cutoff": cutoff,
        "bond_cutoff": bond_cutoff,
        "cutoff_exponent": int(_number(settings, "cutoff_coeff", path)),
        "energy_layers": weights.count("mlp.layers") - 1,
        "norms": "readout_norm.weight" in weights.tensors,
        "update_bias": "atom_conv_layers.0.mlp_out.layers.1.bias" in weights.tensors,
    }
    unused = f"angle_layers.{convolutions - 2}."  # what it makes of the angles, no convolution takes
    left_out = [name for name in weights.tensors if name.startswith(("site_wise.", unused))]
    network = weights.without(left_out).fill("chgnet", sizes)
    architecture = ARCHITECTURES["chgnet"]
    notes = [_LAYERS.format(last=convolutions), _ISOLATED, *([_BIAS] if sizes["update_bias"] else [])]
    return Trained(
        architecture=architecture,
        network=network,
        recipe=architecture.recipe(network, cutoff, 0),
        elements=SYMBOLS[:ELEMENTS],
        target=Target("energy_eV_per_atom", "eV/atom"),
        training=TrainingRecord(
            origin=f"CHGNet {published.version}" if published else "CHGNet",
            scope=published.scope if published else None,
            sizes=sizes,
            notes=tuple(notes),
        ),
        licence=_LICENCE if published else None,
        citation=DATABASES["mp"].citation if published else (),
        default_layer=str(convolutions),
    )


def _state(content: Any) -> Any:
    """Return the state dict in a file of this format, an empty one for another format."""
    model = content.get("model", content) if isinstance(content, dict) else None
    state = model.get("state_dict") if isinstance(model, dict) else None
    return state if is_state_dict(state) else {}


def _settings(content: Any, path: Path) -> dict[str, Any]:
    """Return the arguments of the network, none of which changes what the weights cannot show."""
    settings = content.get("model", content).get("model_args")
    if not isinstance(settings, dict):
        raise EncoderError(f"{path} lacks model_args, the arguments of the network", "save it with the published code")
    other = [
        f"{name} = {settings[name]!r}"
        for name, supported in _SUPPORTED.items()
        if name in settings and settings[name] != supported
    ]
    if other:
        raise EncoderError(f"{path} holds a CHGNet with {', '.join(other)}, which is not supported")
    return settings


def _number(settings: dict[str, Any], name: str, path: Path) -> float:
    value = settings.get(name)
    if not isinstance(value, int | float) or not value > 0:
        raise EncoderError(f"{path} says {name} = {value!r} in its model_args, not a positive number")
    return float(value)
