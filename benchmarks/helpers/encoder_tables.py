"""Tables of ``encoders.py``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.helpers.common import table
from benchmarks.helpers.default_layers import LayerRatio
from benchmarks.helpers.encoder_cells import EQUAL, PROCESS
from benchmarks.helpers.evaluation_sets import Property, Source
from benchmarks.helpers.feature_sets import FeatureSet
from benchmarks.helpers.paired_errors import Interval, PairedErrors

ABSENT = "–"


@dataclass(frozen=True)
class Comparison:
    """Features compared with a baseline.

    Attributes:
        label: As the table shows it.
        ratios: By kind of folds.
        decisive: Those that the verdict rests on.
    """

    label: str
    ratios: Mapping[str, Interval]
    decisive: Mapping[str, Interval]


@dataclass(frozen=True)
class SummaryRow:
    """A row of the summary.

    Attributes:
        label: As the table shows it.
        features: The set.
        method: Its regressor.
        targets: Property -> for each kind of folds the error that was to be reached, or None.
    """

    label: str
    features: tuple[str, ...]
    method: str
    targets: Mapping[str, tuple[float | None, ...]]


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
        for method in (EQUAL, PROCESS):
            found = [errors.maes(one.features, method) for errors in kinds]
            if any(found):
                label = one.label if method == EQUAL else f"{one.label}, {PROCESS}"
                cells = [" \\| ".join(_error(maes.get(each.name)) for maes in found) for each in properties]
                rows.append([label, *cells])
    return table(["features", *map(unit_heading, properties)], rows)


def _error(mae: float | None) -> str:
    return ABSENT if mae is None else f"{mae:.3g}"


def comparison_table(comparisons: Sequence[Comparison], kinds: Sequence[str]) -> str:
    """Return ratios to a baseline by kind of folds, with intervals, and a verdict in words."""
    rows = [
        [one.label, *(str(one.ratios.get(kind, ABSENT)) for kind in kinds), verdict(one.decisive)]
        for one in comparisons
        if one.ratios
    ]
    return table(["features", *kinds, "verdict"], rows)


def verdict(ratios: Mapping[str, Interval]) -> str:
    """Return in words whether features beat the baseline, by kind of folds."""
    words = {kind: "better" if one.below else "worse" if one.above else "no difference" for kind, one in ratios.items()}
    found = list(dict.fromkeys(words.values()))
    if len(found) == 1:
        return found[0] if len(words) > 1 else f"{found[0]} ({next(iter(words))})"
    return "; ".join(f"{word}: {', '.join(kind for kind in words if words[kind] == word)}" for word in found)


def summary_table(rows: Sequence[SummaryRow], kinds: Sequence[PairedErrors], properties: Sequence[Property]) -> str:
    """Return errors of a few sets, those of several kinds of folds in one cell, bold where a target is reached."""
    cells = []
    for one in rows:
        found = [errors.maes(one.features, one.method) for errors in kinds]
        line = [
            " \\| ".join(
                _marked(maes.get(each.name), target)
                for maes, target in zip(found, one.targets.get(each.name, (None,) * len(kinds)), strict=True)
            )
            for each in properties
        ]
        cells.append([one.label, one.method if one.method == PROCESS else "kernel ridge", *line])
    return table(["features", "regressor", *map(unit_heading, properties)], cells)


def _marked(mae: float | None, target: float | None) -> str:
    shown = _error(mae)
    return f"**{shown}**" if mae is not None and target is not None and mae <= target else shown


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


def as_document(errors: PairedErrors, sets: Sequence[FeatureSet]) -> dict[str, Any]:
    """Return mean absolute errors by set, method and property."""
    return {
        one.label: {method: maes for method in (EQUAL, PROCESS) if (maes := errors.maes(one.features, method))}
        for one in sets
    }


def layer_table(layers: dict[str, tuple[list[LayerRatio], str, str]]) -> str:
    """Return errors of layers over those of one of them, the layer that the rule chooses in bold.

    Args:
        layers: Encoder -> its layers compared, the layer that they are compared with, the layer chosen.
    """
    rows = []
    for name, (compared, default, best) in layers.items():
        for one in compared:
            shown = f"**{one.layer}**" if one.layer == best else one.layer
            cells = [str(each) for each in (*one.ratios, one.both)] if one.layer != default else ["1"] * 3
            rows.append([name, shown + (" (compared with)" if one.layer == default else ""), *cells])
    return table(["encoder", "layer", "random or published rows", "clusters", "both"], rows)
