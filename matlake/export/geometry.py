"""The encoder ``geometry``: structural attributes of a crystal, which have learned nothing.

A kernel computes them (``materials/geometry``); the ONNX file hands them on, so that a lake, a head and a search treat
them as they treat any other vectors. It also holds what the kernel's numbers depend on, the tables of the elements and
the names of the attributes, so that the file's digest changes with them. Whoever changes the kernel so that numbers
change gives the kind of graph a new name: old cards then ask for what this version does not make, and say so.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
from onnx import helper

from matlake.encoders.card import EncoderCard, InputKind, InputParameters, Layer
from matlake.encoders.encoder import Encoder
from matlake.encoders.padded.geometry import ATTRIBUTES as INPUT
from matlake.encoders.reference import reference_crystals
from matlake.export.descriptors import as_model, descriptor_card, write_descriptor
from matlake.materials.geometry.attributes import ATTRIBUTES, describe_geometry
from matlake.materials.geometry.elements import COVALENT_RADII_A, ELECTRONEGATIVITIES, ELEMENTS, MASSES_U
from matlake.materials.graph_recipe import GraphRecipe

TOLERANCE: Final = 1e-6
"""Of an attribute, relative to its largest absolute value: float32 against float64."""

CUTOFF_A: Final = 8.0
"""Farther than the nearest neighbours of every element, 5.3 Å in caesium, times 1.3."""

LAYER: Final = Layer("attributes", "vectors", len(ATTRIBUTES))
_TABLES: Final = {
    "atomic_mass_u": "standard atomic weights, CIAAW 2021; of elements without a stable isotope the longest-lived one",
    "covalent_radius_A": "Cordero et al. 2008; sp3 carbon, high-spin Mn, Fe and Co",
    "electronegativity": "Pauling's, as in pymatgen; Allen's for He, Ne and Ar",
}
_LICENCE: Final = (
    "Apache-2.0; the element tables are published facts: standard atomic weights (CIAAW), covalent radii (Cordero et "
    "al. 2008), electronegativities (Pauling; pymatgen, MIT, copyright its developers; He, Ne and Ar: Allen 1989)"
)
_CITATION: Final = (
    "B. Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j (covalent radii)",
    "T. Prohaska et al., Pure Appl. Chem. 94, 573 (2022), doi:10.1515/pac-2019-0603 (standard atomic weights)",
    "L. C. Allen, J. Am. Chem. Soc. 111, 9003 (1989), doi:10.1021/ja00207a003 (electronegativities of He, Ne, Ar)",
)


def export_geometry(folder: Path) -> EncoderCard:
    """Write the encoder ``geometry`` to a folder; return its card. The same tables make the same file."""
    model = as_model([helper.make_node("Identity", [INPUT], [LAYER.output])], [], {INPUT: LAYER.dim}, LAYER)
    tables = {
        "atomic_mass_u": MASSES_U,
        "covalent_radius_A": COVALENT_RADII_A,
        "electronegativity": ELECTRONEGATIVITIES,
    }
    helper.set_model_props(
        model, {"attributes": json.dumps(ATTRIBUTES), "elements": json.dumps(ELEMENTS), "tables": json.dumps(tables)}
    )
    draft = descriptor_card(
        architecture="geometry",
        layer=LAYER,
        parity_tolerance=TOLERANCE,
        licence=_LICENCE,
        attributes=[f"{name} ({unit})" if unit != "1" else name for name, unit in ATTRIBUTES],
        citation=_CITATION,
        element_tables=_TABLES,
        input_kind=InputKind.CRYSTAL,
        parameters=InputParameters(ELEMENTS, graph=GraphRecipe("geometry", CUTOFF_A, max_neighbours=0, blocks=0)),
    )

    def parity(encoder: Encoder) -> float:
        crystals = reference_crystals()
        expected, found = describe_geometry(crystals, CUTOFF_A).attributes, encoder.encode(crystals)
        largest = np.abs(expected).max(axis=0)
        return float((np.abs(expected - found) / np.where(largest > 0, largest, 1.0)).max())

    return write_descriptor(draft, model, folder, parity)
