"""The encoder ``magpie``: the 145 physical attributes of a composition, from tables of the elements.

``export_magpie`` reads the tables through matminer (extra ``dev``) and writes the encoder's folder; running the encoder
needs no matminer. The same tables make the same ``encoder.onnx``, byte for byte.

Source: Ward et al., npj Comput. Mater. 2, 16028 (2016); as input of transfer learning Gupta et al., Nat. Commun. 12,
6595 (2021).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard, InputParameters, Layer
from matlake.encoders.encoder import Encoder
from matlake.encoders.reference import reference_compositions
from matlake.errors import EncoderError
from matlake.export.descriptors import descriptor_card, write_descriptor
from matlake.export.magpie_graph import NORMS, STATISTICS, magpie_graph
from matlake.extras import require_extra
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import Composition
from matlake.materials.periodic_table import ELEMNET_ELEMENTS

TOLERANCE: Final = 1e-6
"""Of an attribute, relative to its largest absolute value over the compositions compared."""

LAYER: Final = Layer("attributes", "attributes", 145)
_ORBITALS: Final = ("NsValence", "NpValence", "NdValence", "NfValence")
_LICENCE: Final = (
    "MIT: element tables of Magpie, copyright 2015 Logan Ward, Chris Wolverton; electronegativities and oxidation "
    "states of pymatgen, copyright its developers. Read through matminer (modified BSD)"
)
_CITATION: Final = (
    "L. Ward et al., npj Comput. Mater. 2, 16028 (2016), doi:10.1038/npjcompumats.2016.28 (Magpie's attributes)",
    "L. Ward et al., Comput. Mater. Sci. 152, 60 (2018), doi:10.1016/j.commatsci.2018.05.018 (matminer)",
    "S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013), doi:10.1016/j.commatsci.2012.10.028 (pymatgen)",
    "V. Gupta et al., Nat. Commun. 12, 6595 (2021), doi:10.1038/s41467-021-26921-5 (as input beside ElemNet)",
)


def export_magpie(folder: Path) -> EncoderCard:
    """Write the encoder ``magpie`` to a folder, compared with matminer on real compositions; return its card.

    Raises:
        MissingExtraError: matminer is not installed.
        EncoderError: A table has a gap, or the attributes differ from matminer's.
    """
    norms, statistics, orbitals, ions = featurizers()
    if norms.p_list != NORMS or tuple(statistics.stats) != STATISTICS:
        raise EncoderError(
            f"matminer computes the norms {norms.p_list} and {', '.join(statistics.stats)}, other than this version"
        )
    names = [name for featurizer in (norms, statistics, orbitals, ions) for name in featurizer.feature_labels()]
    model = magpie_graph(
        _table(statistics.data_source, statistics.features),
        [statistics.features.index(name) for name in _ORBITALS],
        statistics.features.index("NValence"),
        _table(ions.data_source, ["X"])[:, 0],
        LAYER,
    )
    draft = descriptor_card(
        architecture="magpie",
        layer=LAYER,
        parity_tolerance=TOLERANCE,
        licence=_LICENCE,
        attributes=names,
        citation=_CITATION,
        parameters=InputParameters(ELEMNET_ELEMENTS, oxidation_states=_oxidation_states(ions.data_source)),
        element_tables={"of": "Magpie", "properties": list(statistics.features)},
        tools=("matminer", "pymatgen-core"),
    )

    def parity(encoder: Encoder) -> float:
        compositions = reference_compositions()
        found = encoder.encode(element_fractions(compositions))
        return float(largest_differences(matminer_attributes(compositions), found).max())

    return write_descriptor(draft, model, folder, parity)


def matminer_attributes(compositions: Sequence[Composition]) -> NDArray[np.float64]:
    """Return what matminer computes, float64 [n, 145].

    Raises:
        MissingExtraError: matminer is not installed.
    """
    made = featurizers()
    from pymatgen.core.composition import Composition as PymatgenComposition

    given = [PymatgenComposition(composition.canonical) for composition in compositions]
    rows = [[value for featurizer in made for value in featurizer.featurize(one)] for one in given]
    return np.array(rows, dtype=np.float64)


def largest_differences(expected: NDArray[np.float64], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return for each of n columns the largest difference relative to the largest absolute value expected, [n]."""
    largest = np.abs(expected).max(axis=0)
    differences: NDArray[np.float64] = np.abs(expected - found).max(axis=0) / np.where(largest > 0, largest, 1.0)
    return differences


def featurizers() -> tuple[Any, Any, Any, Any]:
    """Return matminer's featurizers of the 145 attributes, in order.

    Raises:
        MissingExtraError: matminer is not installed.
    """
    require_extra("dev", "reading the tables of Magpie")
    from matminer.featurizers.composition import ElementProperty, IonProperty, Stoichiometry, ValenceOrbital

    # gaps in a table shall show: nothing is imputed
    return (
        Stoichiometry(),
        ElementProperty.from_preset("magpie", impute_nan=False),
        ValenceOrbital(props=["frac"], impute_nan=False),
        IonProperty(fast=True, impute_nan=False),
    )


def _table(source: Any, properties: Sequence[str]) -> NDArray[np.float64]:
    """Return float64 [86, p].

    Raises:
        EncoderError: An element has no value.
    """
    from pymatgen.core.periodic_table import Element

    table = np.array(
        [[source.get_elemental_property(Element(symbol), name) for name in properties] for symbol in ELEMNET_ELEMENTS],
        dtype=np.float64,
    )
    for row, column in np.argwhere(~np.isfinite(table)):
        raise EncoderError(f"matminer has no {properties[column]} of {ELEMNET_ELEMENTS[row]}")
    return table


def _oxidation_states(source: Any) -> dict[str, list[int]]:
    from pymatgen.core.periodic_table import Element

    return {symbol: [int(q) for q in source.get_oxidation_states(Element(symbol))] for symbol in ELEMNET_ELEMENTS}
