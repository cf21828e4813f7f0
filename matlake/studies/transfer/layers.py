"""How much the choice of source and layer matters, from the round of the search that tries all layers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.layer_ref import LayerRef
from matlake.studies.measurement import Measurement
from matlake.studies.transfer.configurations import TL_ML
from matlake.studies.transfer.stages import VALIDATION
from matlake.studies.transfer.successive_halving import SCREEN


@dataclass(frozen=True)
class LayerErrors:
    """Validation errors by source and layer, relative to the best layer of all sources.

    Attributes:
        sources: Names of the s encoders.
        layers: Names of the l layers: numbers first, ascending.
        relative: float64 [s, l], geometric mean over targets of the MAE over the smallest one of the target; NaN where
            a source has no such layer.
        targets: On which all layers were measured; only these count, for means over different targets cannot be
            compared.
    """

    sources: tuple[str, ...]
    layers: tuple[str, ...]
    relative: NDArray[np.float64]
    targets: tuple[str, ...]


def layer_errors(measurements: Iterable[Measurement]) -> LayerErrors:
    """Compare the layers of all sources by the better of the regressors that all are tried with.

    Args:
        measurements: Of any targets; those in which layers are screened are used.
    """
    best: dict[str, dict[tuple[str, str], float]] = {}
    for m in measurements:
        screened = m.stage == VALIDATION and m.round == SCREEN.number and m.method == TL_ML
        if screened and len(m.features) == 1 and m.is_measured:
            ref = LayerRef.parse(m.features[0])
            of_target = best.setdefault(m.target, {})
            place = ref.encoder, ref.layer or ""
            of_target[place] = min(of_target.get(place, math.inf), m.mae or 0.0)
    places = {place for of_target in best.values() for place in of_target}
    complete = {target: errors for target, errors in best.items() if set(errors) == places and min(errors.values()) > 0}
    sources = tuple(sorted({source for source, _ in places}))
    layers = tuple(sorted({layer for _, layer in places}, key=_natural))
    relative = np.full((len(sources), len(layers)), np.nan)
    for source, layer in places if complete else ():
        logarithms = [math.log(errors[source, layer] / min(errors.values())) for errors in complete.values()]
        relative[sources.index(source), layers.index(layer)] = math.exp(math.fsum(logarithms) / len(complete))
    return LayerErrors(sources, layers, relative, tuple(complete))


def _natural(layer: str) -> tuple[bool, int, str]:
    return (False, int(layer), "") if layer.isdecimal() else (True, 0, layer)
