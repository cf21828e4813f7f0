"""Measurements of ``encoders.py``: predictions of one set of features on one source, kept so that a run resumes."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers import block_kernel_ridge, gaussian_process
from benchmarks.helpers.evaluation_sets import SEEDS, Source
from benchmarks.helpers.feature_blocks import FeatureBlocks
from benchmarks.helpers.feature_sets import FeatureSet
from benchmarks.helpers.folds import (
    APART,
    CLUSTER,
    CURVE,
    PUBLISHED_APART,
    RANDOM,
    TIME,
    Fold,
    fewer,
    folds_of,
)

Float = NDArray[np.float64]

EQUAL: Final = "equal blocks"
PROCESS: Final = "gaussian-process"
METHODS: Final[dict[str, Callable[..., tuple[Float, Any]]]] = {
    EQUAL: block_kernel_ridge.fit_predict,
    PROCESS: gaussian_process.fit_predict,
}
LABELS: Final = (50, 100, 200, 500, 1000)
COMPOSITION_LABELS: Final = 500
"""Training rows of compositions, drawn for each seed: several properties have thousands."""
_VERSION: Final = "1"
"""Counts changes of the regressors and folds: what was measured before is measured again."""


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Attributes:
        source: Name of the source.
        features: Side by side.
        method: Of ``METHODS``.
        kind: Of folds.
        seed: Of what is drawn.
        labels: Training rows at most; 0 for all.
    """

    source: str
    features: tuple[str, ...]
    method: str
    kind: str
    seed: int = 0
    labels: int = 0


def cells_of_set(source: Source, features: FeatureSet) -> list[Cell]:
    """Return what is to be measured of a set of features on a source."""
    labels = 0 if source.is_crystals else COMPOSITION_LABELS
    kinds = [(kind, 0) for kind in ((RANDOM, CLUSTER) if _has_public_folds(source) else ())]
    kinds += [(CLUSTER, 0)] if not source.is_crystals else []
    kinds += [(kind, seed) for kind in _drawn(source) for seed in SEEDS]
    cells = [Cell(source.name, features.features, EQUAL, *kind, labels) for kind in kinds]
    if features.process and _has_public_folds(source):
        cells += [Cell(source.name, features.features, PROCESS, kind) for kind in (RANDOM, CLUSTER)]
    if features.process_apart and _has_public_folds(source):
        cells += [Cell(source.name, features.features, PROCESS, APART, seed) for seed in SEEDS]
    if features.curve:
        cells += [
            Cell(source.name, features.features, EQUAL, CURVE, seed, labels) for labels in LABELS for seed in SEEDS
        ]
    return cells


def cells_of_layer(source: Source, feature: str) -> list[Cell]:
    """Return what chooses the default layer."""
    if _has_public_folds(source):
        return [Cell(source.name, (feature,), EQUAL, kind) for kind in (RANDOM, CLUSTER)]
    kinds = () if source.is_crystals else (PUBLISHED_APART, CLUSTER)
    return [Cell(source.name, (feature,), EQUAL, kind, labels=COMPOSITION_LABELS) for kind in kinds]


def _has_public_folds(source: Source) -> bool:
    return source.is_crystals and not source.parts[0]


def _drawn(source: Source) -> tuple[str, ...]:
    if not source.is_crystals:
        return (PUBLISHED_APART,)
    return (APART,) if _has_public_folds(source) else (TIME,)


class Measurements:
    """Predictions by cell, kept in a folder."""

    def __init__(self, cache: Path, features: FeatureBlocks) -> None:
        """Name the folder and the features."""
        self._folder, self._features = cache / "cells", features
        self._folds: dict[tuple[str, str, int], list[Fold]] = {}

    def missing(self, source: Source, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells that have not been measured."""
        return [cell for cell in cells if not self._file(source, cell).exists()]

    def measure(self, source: Source, cells: Sequence[Cell]) -> None:
        """Measure cells of one source."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for cell in cells:
            started = time.process_time()
            predicted = self._predict(source, cell)
            self._seconds(source, cell).write_text(f"{time.process_time() - started:.3f}")
            np.save(self._file(source, cell), predicted)

    def seconds(self, cells: Sequence[tuple[Source, Cell]]) -> list[float]:
        """Return the processor seconds of the cells whose time was kept."""
        files = [self._seconds(source, cell) for source, cell in cells]
        return [float(file.read_text()) for file in files if file.exists()]

    def errors(self, source: Source, cell: Cell) -> Float:
        """Return absolute errors in the properties' units, float64 [n, properties]; NaN in rows that are not tested."""
        errors: Float = np.abs(np.load(self._file(source, cell)) - source.values)
        return errors

    def _predict(self, source: Source, cell: Cell) -> Float:
        blocks = self._features.blocks(source, cell.features)
        predicted = np.full(source.values.shape, np.nan)
        for fold in self._folds_of(source, cell.kind, cell.seed):
            used = fewer(fold, cell.labels, cell.seed) if cell.labels else fold
            predicted[used.test], _ = METHODS[cell.method](blocks, source.targets, used.train, used.test)
        return source.in_units(predicted)

    def _folds_of(self, source: Source, kind: str, seed: int) -> list[Fold]:
        key = (source.name, kind, seed)
        if key not in self._folds:
            self._folds[key] = folds_of(source, kind, seed)
        return self._folds[key]

    def _file(self, source: Source, cell: Cell) -> Path:
        depends = (_VERSION, self._features.digest(source, cell.features), cell.method, cell.kind)
        text = "\n".join([*depends, str(cell.seed), str(cell.labels)])
        return self._folder / f"{source.name}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}.npy"

    def _seconds(self, source: Source, cell: Cell) -> Path:
        return self._file(source, cell).with_suffix(".seconds")
