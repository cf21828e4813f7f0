"""Tables and sentences of ``encoders.py``."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.helpers.common import table
from benchmarks.helpers.default_layers import LayerRatio
from benchmarks.helpers.encoder_cells import EQUAL, WEIGHTED
from benchmarks.helpers.evaluation_sets import Property, Source
from benchmarks.helpers.feature_sets import FeatureSet
from benchmarks.helpers.paired_errors import Interval, PairedErrors

ABSENT = "–"


def unit_heading(one: Property) -> str:
    """Return a property with its unit."""
    return f"{one.name}, {one.unit}" if one.unit else one.name


def properties_of(sources: Sequence[Source]) -> list[Property]:
    """Return the properties of sources in order."""
    return [one for source in sources for one in source.properties]


def error_table(sets: Sequence[FeatureSet], kinds: Sequence[PairedErrors], properties: Sequence[Property]) -> str:
    """Return errors by set and property, those of several kinds of folds in one cell."""
    rows = []
    for one in sets:
        for method in (EQUAL, WEIGHTED):
            found = [errors.maes(one.features, method) for errors in kinds]
            if any(found):
                label = one.label if method == EQUAL else f"{one.label}, {WEIGHTED}"
                cells = [" \\| ".join(_error(maes.get(each.name)) for maes in found) for each in properties]
                rows.append([label, *cells])
    return table(["features", *map(unit_heading, properties)], rows)


def _error(mae: float | None) -> str:
    return ABSENT if mae is None else f"{mae:.3g}"


def ratio_table(
    sets: Sequence[FeatureSet],
    base: tuple[str, ...],
    kinds: dict[str, PairedErrors],
    without: Mapping[str, Sequence[str]],
) -> str:
    """Return by set and kind of folds the geometric mean of the errors over those of a base, with intervals.

    Args:
        sets: Sets of features.
        base: Features that they are compared with.
        kinds: Errors by kind of folds.
        without: Kind of folds -> properties to leave out for sets with a learned encoder.
    """
    rows = []
    for one in sets:
        for method in (EQUAL, WEIGHTED):
            cells = [
                str(errors.ratio(one.features, base, method, without.get(kind, ())))
                if errors.measured(one.features, method)
                else ABSENT
                for kind, errors in kinds.items()
            ]
            if set(cells) != {ABSENT}:
                rows.append([one.label if method == EQUAL else f"{one.label}, {WEIGHTED}", *cells])
    return table(["features", *kinds], rows)


def difference_table(
    sets: Sequence[FeatureSet], base: tuple[str, ...], errors: PairedErrors, properties: Sequence[Property]
) -> str:
    """Return errors less those of a base, in the properties' units, with intervals."""
    rows = []
    for one in sets:
        found = errors.differences(one.features, base) if errors.measured(one.features) else {}
        if found:
            rows.append([one.label, *(_difference(found.get(each.name)) for each in properties)])
    return table(["features", *map(unit_heading, properties)], rows)


def _difference(one: Interval | None) -> str:
    return ABSENT if one is None else f"{one.value:+.2g} [{one.lower:+.2g}, {one.upper:+.2g}]"


def verdict(label: str, base: str, ratios: dict[str, Interval]) -> str:
    """Return a sentence: whether features beat the baseline, by kind of folds."""
    parts = []
    for kind, one in ratios.items():
        word = "beats" if one.below else "loses to" if one.above else "does not differ from"
        parts.append(f"{word} it on {kind} folds ({one.value:.2f} [{one.lower:.2f}, {one.upper:.2f}])")
    return f"- `{label}` against {base}: {', '.join(parts)}."


def as_document(errors: PairedErrors, sets: Sequence[FeatureSet]) -> dict[str, Any]:
    """Return mean absolute errors by set, method and property."""
    return {
        one.label: {method: maes for method in (EQUAL, WEIGHTED) if (maes := errors.maes(one.features, method))}
        for one in sets
    }


def layer_table(layers: dict[str, tuple[list[LayerRatio], str, str]]) -> str:
    """Return errors of layers over those of each encoder's default layer, the best one by the rule in bold.

    Args:
        layers: Encoder -> its layers compared, its default layer, the layer chosen.
    """
    rows = []
    for name, (compared, default, best) in layers.items():
        for one in compared:
            shown = f"**{one.layer}**" if one.layer == best else one.layer
            cells = [str(each) for each in (*one.ratios, one.both)] if one.layer != default else ["1"] * 3
            rows.append([name, shown + (" (default)" if one.layer == default else ""), *cells])
    return table(["encoder", "layer", "random or published rows", "clusters", "both"], rows)
