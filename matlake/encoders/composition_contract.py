"""The contract of an encoder of compositions, checked on the file itself."""

from pathlib import Path
from typing import Final

from matlake.encoders.contract import SHARED_CONTRACT, Check, Clause, all_layers, name_of
from matlake.encoders.encoder import Encoder
from matlake.encoders.reference import covered_materials
from matlake.materials.formula import parse_formula

SAME_COMPOSITION: Final = (("TiO2", "Ti2O4", "O2Ti"), ("Ca(OH)2", "CaO2H2"), ("Fe0.5Ni0.5", "NiFe"))


def _finite(encoder: Encoder, _: Path) -> Check:
    """All vectors of real compositions are finite."""
    compositions = covered_materials(encoder)
    all_layers(encoder, compositions)  # raises where a value is not finite
    return Check(name_of(_finite), True, f"{len(compositions):,} compositions")


def _scale_invariant(encoder: Encoder, _: Path) -> Check:
    """Equal compositions have equal vectors."""
    differing = []
    for formulas in SAME_COMPOSITION:
        vectors = [encoder.encode(encoder.columns([parse_formula(formula)])) for formula in formulas]
        if any((vector != vectors[0]).any() for vector in vectors):
            differing.append(" = ".join(formulas))
    detail = "; ".join(differing) or ", ".join(" = ".join(formulas) for formulas in SAME_COMPOSITION)
    return Check(name_of(_scale_invariant), not differing, detail)


COMPOSITION_CONTRACT: Final[tuple[Clause, ...]] = (_finite, *SHARED_CONTRACT, _scale_invariant)
"""What an encoder of compositions is held to."""
