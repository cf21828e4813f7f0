"""The choice of an encoder's default layer.

The rule, set before anything was measured: the layer, alone, with the smallest geometric mean over all properties, and
over random and cluster folds alike, of its error over that of the default layer so far. That one stays where the 95 %
interval of this mean reaches one. Folds by time take no part: the encoders were trained on those crystals.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.helpers.paired_errors import Interval, PairedErrors


@dataclass(frozen=True)
class LayerRatio:
    """A layer compared with the default one.

    Attributes:
        layer: Its name.
        ratios: By kind of folds.
        both: Their geometric mean, with the interval of two independent draws.
    """

    layer: str
    ratios: tuple[Interval, ...]
    both: Interval


def compare_layers(name: str, layers: list[str], default: str, kinds: list[PairedErrors]) -> list[LayerRatio]:
    """Compare layers of an encoder with one of them.

    Args:
        name: Of the encoder.
        layers: Names of the layers that might be the default.
        default: Name of the layer that is compared with.
        kinds: Errors on random and on cluster folds.
    """
    base = (f"{name}@{default}",)
    found = []
    for layer in layers:
        ratios = tuple(errors.ratio((f"{name}@{layer}",), base) for errors in kinds)
        found.append(LayerRatio(layer, ratios, _mean(ratios)))
    return found


def best_layer(compared: list[LayerRatio], default: str) -> str:
    """Return the layer that the rule chooses."""
    best = min(compared, key=lambda one: one.both.value)
    return best.layer if best.both.below else default


def _mean(ratios: tuple[Interval, ...]) -> Interval:
    """Return the geometric mean; widths of independent intervals add in squares."""
    logs = np.log([[one.lower, one.value, one.upper] for one in ratios])
    middle = logs[:, 1].mean()
    below, above = (float(np.hypot.reduce(logs[:, 1] - logs[:, side])) / len(ratios) for side in (0, 2))
    return Interval(*np.exp([middle, middle - below, middle + above]).tolist())
