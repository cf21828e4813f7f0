"""The property networks of CDVAE: DimeNet++ as Lightning checkpoints, with the scaling of the target in a file beside.

The networks that were published with the paper stand here, found by their weights. They were trained on bonds that
CrystalNN found, which no graph here reproduces.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError, Hint
from matlake.export.checkpoints.layouts import architecture_of, build_network
from matlake.export.checkpoints.loaded import Stated, Trained, known_elements
from matlake.export.checkpoints.pyg import IMAGES_DROPPED
from matlake.export.checkpoints.reading import StandIn, read_checkpoint
from matlake.export.checkpoints.weights import Weights, fold_scaling, is_state_dict
from matlake.export.pretraining.sources import DATABASES
from matlake.networks.architectures import ARCHITECTURES

SCALER: Final = "prop_scaler.pt"

_PREFIX: Final = "encoder."


@dataclass(frozen=True)
class _Published:
    citation: str
    measured: str = ""


_PUBLISHED: Final = {
    "f1e06c4564e7991f": _Published(
        DATABASES["mp"].citation[0],
        "measured on crystals of the Materials Project with up to 20 atoms: mean absolute error 0.02 eV/atom on the"
        " bonds of CrystalNN (60 crystals), 0.05 on the 10 nearest neighbours, 0.06 on 12, 0.10 on 20 (400 crystals)",
    ),
    "350f34d51765e700": _Published("C. J. Pickard, Materials Cloud Archive 2020.0026/v1 (2020) (carbon at 10 GPa)"),
    "a354536871cf05c4": _Published(
        "I. E. Castelli et al., Energy Environ. Sci. 5, 5814 (2012), doi:10.1039/c2ee22341d"
    ),
}
"""By the fingerprint of the weights."""

_UNITS: Final = {"formation_energy_per_atom": "eV/atom", "energy_per_atom": "eV/atom"}
_PAPER: Final = "T. Xie et al., ICLR 2022, arXiv:2110.06197 (CDVAE)"


def recognise(content: Any) -> str | None:
    """Return the architecture of the network in a file of this format, None for another format."""
    if not isinstance(content, dict) or "hyper_parameters" not in content:
        return None
    state = content.get("state_dict")
    if not is_state_dict(state) or not all(str(name).startswith(_PREFIX) for name in state):
        return None
    return architecture_of(str(name).removeprefix(_PREFIX) for name in state)


def load(content: Any, path: Path, stated: Stated) -> Trained:
    """Return the network with its target scaling folded in.

    Raises:
        EncoderError: Keys are missing or unknown, or the scaling of the target is not beside the file.
    """
    settings = _settings(content["hyper_parameters"], "encoder")
    data = _settings(content["hyper_parameters"], "data")
    weights = Weights.of(content["state_dict"], path)
    cutoff, cap, exponent = (settings.get(name) for name in ("cutoff", "max_num_neighbors", "envelope_exponent"))
    if not isinstance(cutoff, float | int) or not isinstance(cap, int) or not isinstance(exponent, int):
        raise EncoderError(
            f"{path}: its hyper_parameters lack the encoder's cutoff, max_num_neighbors, envelope_exponent"
        )
    built = build_network("dimenet++", weights.stripped(_PREFIX), stated, float(cutoff), exponent)
    if stated.keep_images:
        raise EncoderError(f"{path} was trained without the angles between different images of one atom")
    if settings.get("readout") != "mean":
        raise EncoderError(f"{path} pools atoms by {settings.get('readout')!r}: only the mean is known")
    mean, std = _scaling(path)
    fold_scaling(built.network, built.sizes["targets"], mean, std, path)
    published = _PUBLISHED.get(weights.fingerprint())
    name = str(data.get("prop", ""))
    notes = [IMAGES_DROPPED, *built.notes]
    if settings.get("otf_graph"):
        neighbours = stated.settle_neighbours(path, cap)
    else:
        method = str(data.get("graph_method"))
        if stated.max_neighbours is None:
            remedy = "state how many neighbours stand in for them:"
            raise EncoderError(
                f"{path} was trained on the bonds that {method} finds, which are not built here",
                Hint(f"{remedy} max_neighbours=12 is near", cli=f"{remedy} --max-neighbours 12 is near"),
            )
        neighbours = stated.max_neighbours
        notes.insert(0, _other_graphs(method, built.cutoff, neighbours))
        notes += [published.measured] if published and published.measured else []
    architecture = ARCHITECTURES["dimenet++"]
    return Trained(
        architecture=architecture,
        network=built.network,
        recipe=architecture.recipe(built.network, built.cutoff, neighbours, keep_images=False),
        elements=known_elements(built.network),
        target=Target(name, _UNITS.get(name, "")),
        training=TrainingRecord(origin="CDVAE property network", sizes=built.sizes, notes=tuple(notes)),
        licence="MIT" if published else None,
        citation=(_PAPER, *((published.citation,) if published else ())),
    )


def _other_graphs(method: str, cutoff: float, neighbours: int) -> str:
    kept = f"the {neighbours} nearest" if neighbours else "all"
    return (
        f"TRAINED ON OTHER GRAPHS: its edges were the bonds that {method} finds. Here they are {kept} neighbours within"
        f" {cutoff:g} Å, so that predictions differ from the published ones, with larger errors"
    )


def _scaling(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of the target."""
    beside = path.with_name(SCALER)
    if not beside.is_file():
        raise EncoderError(
            f"{beside} is missing, which holds the scaling of the target of {path.name}", "copy it from the package"
        )
    scaler = read_checkpoint(beside)
    state = scaler.state if isinstance(scaler, StandIn) else scaler
    if not isinstance(state, Mapping) or not all(isinstance(state.get(k), torch.Tensor) for k in ("means", "stds")):
        raise EncoderError(f"{beside} does not hold the tensors means and stds")
    return state["means"], state["stds"]


def _settings(parameters: Any, section: str) -> dict[str, Any]:
    """Return a section of the hyper-parameters, out of OmegaConf's nodes."""
    node = parameters.get(section) if isinstance(parameters, Mapping) else None
    content = node.state.get("_content") if isinstance(node, StandIn) else node
    if not isinstance(content, Mapping):
        return {}
    return {str(k): v.state.get("_val") if isinstance(v, StandIn) else v for k, v in content.items()}
