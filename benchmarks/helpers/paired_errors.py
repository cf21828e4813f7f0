"""Mean errors of sets of features, and intervals of their ratios: a bootstrap over formulas, in pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.encoder_cells import EQUAL, Cell, Measurements
from benchmarks.helpers.evaluation_sets import SEEDS, Source
from matlake.metrics import GroupBootstrap

Float = NDArray[np.float64]

RESAMPLES: Final = 1000
_LEVEL: Final = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval."""

    value: float
    lower: float
    upper: float

    @property
    def below(self) -> bool:
        """Whether it is plainly below one."""
        return self.upper < 1

    @property
    def above(self) -> bool:
        """Whether it is plainly above one."""
        return self.lower > 1

    def __str__(self) -> str:
        """Return ``0.90 [0.87, 0.93]``."""
        return f"{self.value:.3f} [{self.lower:.3f}, {self.upper:.3f}]"


class PairedErrors:
    """Errors over all sources of one kind of folds."""

    def __init__(self, measurements: Measurements, sources: Sequence[Source], kind: str, labels: int = 0) -> None:
        """Name what was measured; ``labels`` as in ``Cell``."""
        self._measurements, self._sources, self._kind, self._labels = measurements, sources, kind, labels
        self._found: dict[tuple[tuple[str, ...], str], dict[str, Float]] = {}
        self._bootstraps: dict[str, GroupBootstrap] = {}

    def maes(self, features: tuple[str, ...], method: str = EQUAL) -> dict[str, float]:
        """Return the mean absolute error by property, in its unit; empty where nothing was measured."""
        return {name: float(np.nanmean(rows)) for name, rows in self._rows(features, method).items()}

    def differences(self, features: tuple[str, ...], base: tuple[str, ...], method: str = EQUAL) -> dict[str, Interval]:
        """Return by property the error less that of a base with equal blocks, in the property's unit."""
        mine, others = self._draws(features, method), self._draws(base, EQUAL)
        means, base_means = self.maes(features, method), self.maes(base)
        return {
            name: Interval(means[name] - base_means[name], *np.percentile(mine[name] - others[name], _LEVEL))
            for name in mine
        }

    def ratio(
        self,
        features: tuple[str, ...],
        base: tuple[str, ...],
        method: str = EQUAL,
        without: Sequence[str] = (),
        base_method: str = EQUAL,
    ) -> Interval:
        """Return the geometric mean over properties of the errors' ratios.

        Args:
            features: The set.
            base: That it is compared with.
            method: Of the set.
            without: Properties to leave out.
            base_method: Of the base.
        """
        mine, others = self._draws(features, method), self._draws(base, base_method)
        means, base_means = self.maes(features, method), self.maes(base, base_method)
        names = [name for name in mine if name not in without]
        value = np.mean([np.log(means[name] / base_means[name]) for name in names])
        drawn = np.mean([np.log(mine[name] / others[name]) for name in names], axis=0)
        return Interval(float(np.exp(value)), *np.exp(np.percentile(drawn, _LEVEL)))

    def measured(self, features: tuple[str, ...], method: str = EQUAL) -> bool:
        """Whether every property was measured."""
        return len(self._rows(features, method)) == sum(len(source.properties) for source in self._sources)

    def _draws(self, features: tuple[str, ...], method: str) -> dict[str, Float]:
        return {
            name: self._bootstrap(name, rows).means(rows[np.isfinite(rows)])
            for name, rows in self._rows(features, method).items()
        }

    def _bootstrap(self, name: str, rows: Float) -> GroupBootstrap:
        """Return the draws of formulas for a property, the same for all sets: they test the same rows."""
        if name not in self._bootstraps:
            source = next(one for one in self._sources if name in {each.name for each in one.properties})
            self._bootstraps[name] = GroupBootstrap(source.formulas[np.isfinite(rows)], 0, RESAMPLES)
        return self._bootstraps[name]

    def _rows(self, features: tuple[str, ...], method: str) -> dict[str, Float]:
        """Return by property the errors of rows [n], averaged over seeds."""
        key = (features, method)
        if key not in self._found:
            found: dict[str, Float] = {}
            for source in self._sources:
                cells = [Cell(source.name, features, method, self._kind, seed, self._labels) for seed in SEEDS]
                there = [cell for cell in cells if not self._measurements.missing(source, [cell])]
                if there:
                    errors = np.mean([self._measurements.errors(source, cell) for cell in there], axis=0)
                    found |= {one.name: rows for one, rows in zip(source.properties, errors.T, strict=True)}
            self._found[key] = found
        return self._found[key]
