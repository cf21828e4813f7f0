"""What the networks that the authors of matgl published were trained on, found by the fingerprint of their weights."""

from dataclasses import dataclass
from typing import Final

from matlake.encoders.training_record import TrainingScope
from matlake.export.pretraining.sources import DATABASES


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
