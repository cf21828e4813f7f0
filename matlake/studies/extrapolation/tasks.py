"""The rows of an extrapolation, and the tasks that splits make of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.regress.features.feature import Feature
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.splits import HeldOut, Rows, Split, grouped_folds
from matlake.store.lake import Lake
from matlake.studies.extrapolation.coverage_of_elements import Continuity, continuity
from matlake.studies.extrapolation.leakage import check_disjoint

VALIDATED: Final = 10
"""A part in so many of the training rows ends the training of a network."""


@dataclass(frozen=True)
class EvaluatedRows:
    """Rows that have the target and all features: every way is fitted to, and tested on, the same of them.

    Attributes:
        target: Property column.
        matrix: All features side by side, with crystals where a feature or a network takes them.
        features: In the order of the matrix.
        crystal_hashes: Of the n crystals; None where the rows are read without.
        digest: Of all that a measurement depends on besides its way and split.
    """

    target: str
    matrix: Matrix
    features: tuple[Feature, ...]
    crystal_hashes: tuple[str, ...] | None
    digest: str

    @cached_property
    def places(self) -> dict[str, slice]:
        """Feature -> its columns of the matrix."""
        ends = np.cumsum([feature.dim for feature in self.features])
        return {
            feature.feature: slice(int(end) - feature.dim, int(end))
            for feature, end in zip(self.features, ends, strict=True)
        }

    def part(self, features: Sequence[str]) -> Matrix:
        """Return the same rows with some of the features."""
        columns = [self.matrix.x[:, self.places[feature]] for feature in features]
        return replace(self.matrix, x=np.ascontiguousarray(np.concatenate(columns, axis=1)))

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


@dataclass(frozen=True)
class Task:
    """One split with one seed: rows to train on and rows to test on.

    Attributes:
        split: As typed, in one spelling.
        seed: Of all that is drawn.
        held: The rows.
        continuity: What the training rows hold of each tested row.
        digest: Of rows and seed.
    """

    split: str
    seed: int
    held: HeldOut
    continuity: Continuity
    digest: str


def read_rows(
    lake: Lake,
    target: str,
    features: tuple[Feature, ...],
    *,
    dataset: str | None,
    where: str | None,
    splits: Sequence[Split],
    networks: bool,
) -> EvaluatedRows:
    """Read the rows.

    Args:
        lake: The lake.
        target: Numeric property column.
        features: All that are used by any way.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        splits: Say which columns, and whether crystals, are needed.
        networks: Whether networks are trained, which take crystals.

    Raises:
        TrainingError: See ``read_matrix``; or a network is trained and a row has no crystal.
        QueryError: ``where`` is no predicate over ``materials``.
    """
    crystals = networks or any(split.needs_crystals for split in splits)
    crystals |= any(feature.input == "crystal" for feature in features)
    columns = tuple(dict.fromkeys(name for split in splits for name in split.columns))
    matrix = read_matrix(lake, target, features, dataset=dataset, where=where, columns=columns, crystals=crystals)
    hashes = None
    if matrix.crystals is not None and (matrix.crystals.sizes > 0).all():
        hashes = tuple(matrix.crystals[row].content_hash for row in range(len(matrix.y)))
    parts: list[NDArray[Any]] = [matrix.y, matrix.groups, matrix.dataset, matrix.material_id]
    parts += [np.array(hashes)] if hashes else []
    digest = _digest(target, [(f.feature, f.sha256) for f in features], *parts)
    rows = EvaluatedRows(target, matrix, features, hashes, digest)
    if networks:
        rows.crystals()
    return rows


def make_task(rows: EvaluatedRows, split: Split, seed: int, few: int) -> Task:
    """Set rows aside.

    Args:
        rows: The rows.
        split: The split.
        seed: Of all that is drawn.
        few: Training rows from which an element or motif counts as seen.

    Raises:
        TrainingError: The rows do not allow the split.
        LeakageError: The content of a tested row is among those trained on.
    """
    held = split.hold_out(rows.matrix, seed)
    check_disjoint(rows.contents, held.train, held.test)
    fractions = rows.matrix.fractions
    return Task(
        split=split.text,
        seed=seed,
        held=held,
        continuity=continuity(fractions[held.train], fractions[held.test], few),
        digest=_digest(split.text, seed, held.train, held.test),
    )


def set_aside(matrix: Matrix, rows: Rows, seed: int) -> tuple[Rows, Rows]:
    """Return rows to fit and rows to stop on, a tenth of the compositions, of those to train on."""
    fit, stop = grouped_folds(matrix.groups[rows], VALIDATED, seed)[0]
    return rows[fit], rows[stop]


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b";")
    return digest.hexdigest()
