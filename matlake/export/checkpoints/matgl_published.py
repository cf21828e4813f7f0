"""A network of matgl with what is known of it: its authors' own are found by the fingerprint of their weights."""

from dataclasses import dataclass
from typing import Final

from torch import nn

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord, TrainingScope
from matlake.export.checkpoints.loaded import Sizes, Trained
from matlake.export.checkpoints.matgl_folder import CITATION, LICENCE, MatglFolder
from matlake.export.pretraining.sources import DATABASES
from matlake.networks.architectures import ARCHITECTURES


@dataclass(frozen=True)
class Published:
    """A published network.

    Attributes:
        scope: What it was trained on, as a rule.
        citation: The paper on its data.
    """

    scope: TrainingScope
    citation: str


_MATPES: Final = Published(
    TrainingScope(
        "Materials Project",
        ("energy_eV_per_atom", "forces_eV_per_A", "stress_GPa"),
        "2025",
        "MatPES 2025.1 PBE: static calculations of frames of molecular dynamics",
    ),
    "A. D. Kaplan et al., arXiv 2503.04070 (2025) (MatPES)",
)

PUBLISHED: Final = {
    "10d66f2ce78816f0": _MATPES,  # TensorNet-MatPES-PBE-v2025.1-PES
    "c85ddb9222da8f1e": _MATPES,  # M3GNet-MatPES-PBE-v2025.1-PES
    "c38c2d4ca803ec8e": Published(  # MEGNet-MP-2018.6.1-Eform
        TrainingScope("Materials Project", ("formation_energy_eV_per_atom",), "2018-06-01"), DATABASES["mp"].citation[0]
    ),
}


def describe_network(
    folder: MatglFolder,
    name: str,
    network: nn.Module,
    sizes: Sizes,
    *,
    target: str,
    notes: tuple[str, ...],
    default_layer: str,
) -> Trained:
    """Return a network with what its folder, and its authors if they published it, say of it.

    Args:
        folder: The folder that it was read from.
        name: Its name in matgl; that of the architecture in lower case.
        network: In evaluation mode, its scaling folded in.
        sizes: The arguments that it was built with, the cutoff in Å among them.
        target: What it predicts, in eV/atom.
        notes: Remarks for the card.
        default_layer: The layer meant when none is named.
    """
    published = PUBLISHED.get(folder.weights.fingerprint())
    architecture = ARCHITECTURES[name.lower()]
    return Trained(
        architecture=architecture,
        network=network,
        recipe=architecture.recipe(network, sizes["cutoff"], 0),
        elements=folder.elements,
        target=Target(target, "eV/atom"),
        training=TrainingRecord(
            origin=f"matgl {name}", sizes=sizes, notes=notes, scope=published.scope if published else None
        ),
        licence=LICENCE if published else None,
        citation=(CITATION, *((published.citation,) if published else ())),
        default_layer=default_layer,
    )
