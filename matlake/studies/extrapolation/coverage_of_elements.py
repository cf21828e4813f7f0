"""Continuous and discontinuous extrapolation: whether a material is made of what has been trained on.

After the decoupled-transfer study (arXiv 2602.18054): extrapolation is continuous where the elements and electronic
motifs of a material occur in training, in whatever other combination, and discontinuous where they do not. The motif is
taken to be the set of blocks of the periodic table (s, p, d, f) that its elements belong to.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.periodic_table import BLOCKS, SYMBOLS
from matlake.regress.uncertainty.applicability import FEW, block_sets

BINS: Final = (0, 1, 5, 10, 30, 100, 300)
"""Training rows from which each bin of an error by element count begins."""


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
