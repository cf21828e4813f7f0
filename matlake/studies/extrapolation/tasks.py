"""The rows of an extrapolation study, and the tasks that splits make of them.

After the decoupled-transfer study (arXiv 2602.18054): extrapolation is continuous where the elements and electronic
motifs of a material occur in training, in whatever other combination, and discontinuous where they do not. The motif is
taken to be the set of blocks of the periodic table (s, p, d, f) that its elements belong to.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.encoders.leakage import check_disjoint
from matlake.errors import Hint, TrainingError
from matlake.materials.periodic_table import BLOCKS, SYMBOLS
from matlake.regress.features.feature import Feature
from matlake.regress.features.matrix import read_matrix
from matlake.regress.splits import HeldOut, Split
from matlake.regress.splits.training_dates import describe_training_dates
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.applicability import FEW, block_sets
from matlake.store.lake import Lake
from matlake.studies.extrapolation.methods import ExtrapolationRequest
from matlake.studies.rows import StudyRows


@dataclass(frozen=True)
class Continuity:
    """What the training rows hold of each tested row.

    Attributes:
        rarest: int64 [m], training rows with the element of the row that fewest of them hold.
        element: str [m], that element.
        motif_rows: int64 [m], training rows of the same motif.
        few: Rows from which an element or motif counts as known.
    """

    rarest: NDArray[np.int64]
    element: NDArray[np.str_]
    motif_rows: NDArray[np.int64]
    few: int

    @property
    def discontinuous(self) -> NDArray[np.bool_]:
        """Whether an element or the motif is in fewer rows than that, bool [m]."""
        return (self.rarest < self.few) | (self.motif_rows < self.few)


def continuity(fractions: NDArray[np.float32], tested: NDArray[np.float32], few: int = FEW) -> Continuity:
    """Say of each tested row how much of it has been trained on.

    Args:
        fractions: float32 [n, 118], element fractions of the training rows.
        tested: float32 [m, 118], of the tested rows.
        few: Rows from which an element or motif counts as known.
    """
    counts = np.count_nonzero(fractions, axis=0)
    rows = np.where(tested > 0, counts, np.iinfo(np.int64).max)
    place = np.argmin(rows, axis=1)
    known = np.bincount(block_sets(fractions), minlength=1 << len(BLOCKS))
    return Continuity(
        rarest=rows[np.arange(len(rows)), place].astype(np.int64),
        element=np.array(SYMBOLS)[place],
        motif_rows=known[block_sets(tested)].astype(np.int64),
        few=few,
    )


@dataclass(frozen=True)
class Task:
    """One split with one seed: rows to train on and rows to test on.

    Attributes:
        split: As typed, in one spelling.
        seed: Seeds everything random.
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
    lake: Lake, request: ExtrapolationRequest, features: tuple[Feature, ...], splits: Sequence[Split], *, networks: bool
) -> StudyRows:
    """Read the rows.

    Args:
        lake: The lake.
        request: Says which rows and target.
        features: All that are used by any method.
        splits: Say which columns, and whether crystals, are needed.
        networks: Whether networks are trained, which take crystals.

    Raises:
        TrainingError: See ``read_matrix``; a network is trained and a row has no crystal; or a value has no transform.
        QueryError: ``where`` is not a predicate over ``materials``.
    """
    target = request.target
    crystals = networks or any(split.needs_crystals for split in splits)
    crystals |= any(feature.input == "crystal" for feature in features)
    columns = tuple(dict.fromkeys(name for split in splits for name in split.columns))
    matrix = read_matrix(
        lake, target, features, dataset=request.dataset, where=request.where, columns=columns, crystals=crystals
    )
    refused = int(np.count_nonzero(~Transform(request.transform).allows(matrix.y)))
    if refused:
        predicate = f'"{target}" {">" if request.transform == Transform.LOG else ">="} 0'
        raise TrainingError(
            f"{target} has no {request.transform} in {refused:,} of {len(matrix.y):,} rows",
            Hint(f"leave them out: where='{predicate}'", cli=f"leave them out: --where '{predicate}'"),
        )
    hashes = None
    if matrix.crystals is not None and (matrix.crystals.sizes > 0).all():
        hashes = tuple(matrix.crystals[row].content_hash for row in range(len(matrix.y)))
    parts: list[NDArray[Any]] = [matrix.y, matrix.groups, matrix.dataset, matrix.material_id]
    parts += [np.array(hashes)] if hashes else []
    digest = _digest(target, [(f.feature, f.sha256) for f in features], *parts)
    rows = StudyRows(target, matrix, features, digest, hashes)
    if networks:
        rows.crystals()
    return rows


def make_task(rows: StudyRows, split: Split, seed: int, few: int, undated: Sequence[EncoderCard] = ()) -> Task:
    """Hold rows out.

    Args:
        rows: The rows.
        split: The split.
        seed: Seeds everything random.
        few: Training rows from which an element or motif counts as known.
        undated: Encoders whose training table is not given: a split by time says what they may have been trained on.

    Raises:
        TrainingError: The rows do not allow the split.
        LeakageError: The content of a tested row is among those trained on.
    """
    held = describe_training_dates(split.hold_out(rows.matrix, seed), split, rows.matrix, undated)
    check_disjoint(rows.contents, held.train, held.test)
    fractions = rows.matrix.fractions
    coverage = continuity(fractions[held.train], fractions[held.test], few)
    return Task(split.text, seed, held, coverage, _digest(split.text, seed, held.train, held.test))


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b";")
    return digest.hexdigest()
