"""Which groups of structural attributes are worth having: each is left out of ``geometry``, or added to it.

    python -m benchmarks.studies.geometry_groups

Kernel ridge on two blocks, ``geometry`` and ``magpie``, on the evaluation sets of crystals, random and cluster folds.
Width and ridge are chosen by leave-one-out with ``geometry`` as it ships, for every property and fold, and kept for all
groups, so that a change is the group's. Changes are those of mean absolute errors in percent, with paired 95 %
intervals over the rows. Needs the development data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from benchmarks.helpers.block_kernel_ridge import Chosen, distances, fit_predict, kernel
from benchmarks.helpers.common import DATA, report
from benchmarks.helpers.evaluation_sets import CRYSTAL_SOURCES, Source, load_sources
from benchmarks.helpers.folds import CLUSTER, RANDOM, Fold, folds_of
from benchmarks.helpers.geometry_trials import TRIED
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import SHIPPED
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.geometry.attributes import ATTRIBUTES

Float = NDArray[np.float64]

KEPT: Final[dict[str, tuple[str, ...]]] = {
    "nearest distances": ("nearest distance",),
    "springs": ("exp(-d", "d^-6", "direction / mass", "springs per volume"),
    "bond valence": ("bond valence", "valence d²"),
    "bonds: coordination, masses, electronegativity": ("coordination", "reduced mass of", "along bonds"),
    "contacts and their directions": ("contacts", "contact directions"),
    "angles": ("° to a contact",),
    "radial counts": ("sums of radii",),
    "charges": ("charge", "site potential"),
    "bond reach": ("bond reach",),
}
"""Group -> what the names of its attributes hold; ``contacts`` does not count angles."""


@dataclass(frozen=True)
class Errors:
    """Absolute errors of every tested row.

    Attributes:
        of: (property, kind of folds) -> float64 [rows], in the property's unit.
    """

    of: dict[tuple[str, str], Float]


def main() -> None:
    """Fit, leave out, add, and report."""
    sources = load_sources(DATA.parent, CRYSTAL_SOURCES)
    materials = {source.name: CrystalColumns.of(_crystals(source)) for source in sources}
    geometry = {name: _encoded("geometry", crystals) for name, crystals in materials.items()}
    magpie = {source.name: _magpie(source) for source in sources}
    trial = _Trial(sources, magpie)
    full = trial.errors(geometry)
    rows = []
    results: dict[str, Any] = {
        "numbers": len(ATTRIBUTES),
        "mae": {_key(which): float(found.mean()) for which, found in full.of.items()},
    }
    for group, numbers, blocks, kept in _variants(sources, geometry):
        changes = _changes(full, trial.errors(blocks), added=not kept)
        results[group] = {"numbers": numbers, "in_geometry": kept, "change_percent": changes}
        rows.append([group, str(numbers), "yes" if kept else "no", *(_text(change) for change in changes.values())])
        print(*rows[-1], sep=" | ", flush=True)
    report(Path(__file__), results, ["group", "numbers", "in geometry", *map(_key, full.of)], rows)


def _variants(sources: Sequence[Source], geometry: dict[str, Float]) -> list[tuple[str, int, dict[str, Float], bool]]:
    """Return name and size of each group, the attributes without it or with it, and whether it is in ``geometry``."""
    variants = []
    for group, parts in KEPT.items():
        held = [
            any(part in name for part in parts) and ("°" not in name or group == "angles") for name, _ in ATTRIBUTES
        ]
        without = {name: block[:, ~np.array(held)] for name, block in geometry.items()}
        variants.append((group, sum(held), without, True))
    for group, describe in TRIED.items():
        added = {source.name: np.array([describe(one) for one in _crystals(source)]) for source in sources}
        both = {name: np.hstack([geometry[name], block]) for name, block in added.items()}
        variants.append((group, added[sources[0].name].shape[1], both, False))
    return variants


class _Trial:
    """The same folds, widths and ridges for every set of attributes; they are chosen with the first."""

    def __init__(self, sources: Sequence[Source], magpie: dict[str, Float]) -> None:
        self._sources, self._magpie = sources, magpie
        self._chosen: dict[tuple[str, str, int], list[Chosen]] = {}

    def errors(self, geometry: dict[str, Float]) -> Errors:
        found: dict[tuple[str, str], list[Float]] = {}
        for source in self._sources:
            blocks = [geometry[source.name], self._magpie[source.name]]
            for kind in (RANDOM, CLUSTER):
                for place, fold in enumerate(folds_of(source, kind, 0)):
                    known = _known(source, fold)
                    predicted = self._predict((source.name, kind, place), blocks, _learned(source), known)
                    for column, one in enumerate(source.properties):
                        values = np.exp(predicted[:, column]) if one.log else predicted[:, column]
                        difference = np.abs(values - source.values[known.test, column])
                        found.setdefault((one.name, kind), []).append(difference)
        return Errors({which: np.concatenate(parts) for which, parts in found.items()})

    def _predict(self, which: tuple[str, str, int], blocks: list[Float], y: Float, fold: Fold) -> Float:
        if which not in self._chosen:
            predicted, self._chosen[which] = fit_predict(blocks, y, fold.train, fold.test)
            return predicted
        within, across = distances(blocks, fold.train, fold.test)
        columns = []
        for column, chosen in enumerate(self._chosen[which]):
            gram = kernel(within, chosen.width)
            gram[np.diag_indices_from(gram)] += chosen.ridge
            mean = y[fold.train, column].mean()
            weights = cho_solve(cho_factor(gram, overwrite_a=True), y[fold.train, column] - mean)
            columns.append(mean + kernel(across, chosen.width) @ weights)
        return np.stack(columns, axis=1)


def _learned(source: Source) -> Float:
    """Return the values as they are learned, NaN where there is no logarithm."""
    with np.errstate(invalid="ignore", divide="ignore"):
        learned = [
            np.log(source.values[:, column]) if one.log else source.values[:, column]
            for column, one in enumerate(source.properties)
        ]
    return np.stack(learned, axis=1)


def _known(source: Source, fold: Fold) -> Fold:
    """Leave out rows of which a property cannot be learned: a modulus of zero or less."""
    known = np.logical_and.reduce(np.isfinite(_learned(source)), axis=1)
    return Fold(fold.train[known[fold.train]], fold.test[known[fold.test]])


def _crystals(source: Source) -> list[Crystal]:
    return [one for one in source.materials if isinstance(one, Crystal)]


def _encoded(name: str, crystals: CrystalColumns) -> Float:
    return open_encoder(SHIPPED / name).encode(crystals).astype(np.float64)


def _magpie(source: Source) -> Float:
    """Return NaN for what ``magpie`` does not take."""
    encoder = open_encoder(SHIPPED / "magpie")
    columns = encoder.columns(source.materials)
    taken = np.flatnonzero([reason is None for reason in encoder.rejections(columns)])
    found = np.full((len(source), encoder.card.layer(None).dim), np.nan)
    found[taken] = encoder.encode(columns.take(taken))
    return found


def _changes(full: Errors, other: Errors, *, added: bool) -> dict[str, tuple[float, float]]:
    """Return by how much a group changes mean errors, and half the width of the interval, in percent."""
    changes = {}
    for which, errors in full.of.items():
        difference = (other.of[which] - errors) if added else (errors - other.of[which])
        base = (errors if added else other.of[which]).mean()
        half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
        changes[_key(which)] = (float(100 * difference.mean() / base), float(100 * half / base))
    return changes


def _key(which: tuple[str, str]) -> str:
    return f"{which[0]}, {which[1]}"


def _text(change: tuple[float, float]) -> str:
    mean, half = change
    return f"{'**' * (abs(mean) > half)}{mean:+.1f} ± {half:.1f}{'**' * (abs(mean) > half)}"


if __name__ == "__main__":
    main()
