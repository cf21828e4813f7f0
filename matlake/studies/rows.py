"""The rows of a study: all methods are fitted to, and tested on, the same of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.regress.features.feature import Feature
from matlake.regress.features.matrix import Matrix


@dataclass(frozen=True)
class StudyRows:
    """Rows that have the target and all features.

    Attributes:
        target: Property column.
        matrix: All features side by side, with crystals where a feature or a network takes them.
        features: In the order of the matrix.
        digest: Of all that a measurement depends on besides its method and split.
        crystal_hashes: Of the n crystals; None where the rows are read without.
    """

    target: str
    matrix: Matrix
    features: tuple[Feature, ...]
    digest: str
    crystal_hashes: tuple[str, ...] | None = None

    @cached_property
    def places(self) -> dict[str, slice]:
        """Feature -> its columns of the matrix."""
        ends = np.cumsum([feature.dim for feature in self.features]).tolist()
        return {f.feature: slice(end - f.dim, end) for f, end in zip(self.features, ends, strict=True)}

    def columns(self, features: Sequence[str], rows: NDArray[np.intp] | slice = slice(None)) -> NDArray[np.float32]:
        """Return features of some rows side by side, float32 [m, d]."""
        return np.ascontiguousarray(np.concatenate([self.matrix.x[rows, self.places[f]] for f in features], axis=1))

    def part(self, features: Sequence[str]) -> Matrix:
        """Return the same rows with some of the features."""
        return replace(self.matrix, x=self.columns(features))

    @property
    def contents(self) -> dict[str, Sequence[str]]:
        """Kind of content -> the hash of each row."""
        contents: dict[str, Sequence[str]] = {"composition": self.matrix.groups.tolist()}
        return contents | ({"crystal": self.crystal_hashes} if self.crystal_hashes is not None else {})

    def crystals(self) -> CrystalColumns:
        """Return the crystals.

        Raises:
            TrainingError: A row has none.
        """
        crystals = self.matrix.crystals
        without = len(self.matrix.y) if crystals is None else int((crystals.sizes == 0).sum())
        if crystals is None or without:
            raise TrainingError(
                f"{without:,} of {len(self.matrix.y):,} rows have no crystal structure, which networks need",
                "name features of crystals, so that only rows with a structure are selected",
            )
        return crystals
