"""Properties of compositions with many equal values, or with two classes, as matrices of ``magpie`` attributes."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.helpers.common import DATA
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.errors import FormulaError
from matlake.materials.compositions import CompositionColumns, element_fractions
from matlake.materials.formula import Composition, parse_formula
from matlake.regress.heads.feature_search import cluster_folds
from matlake.regress.splits import hold_out_groups

ENCODER: Final = "magpie"
JARVIS: Final = "jarvis_targets"

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Column:
    """Where values are.

    Attributes:
        table: File of the development data.
        name: Its column, or one of the properties of ``jarvis_targets``.
    """

    table: str
    name: str


@dataclass(frozen=True)
class Labelled:
    """Materials with a property.

    Attributes:
        x: float32 [n, 145], attributes of the composition.
        y: float64 [n], in the property's unit.
        formulas: [n], equal for equal compositions.
        fractions: float32 [n, elements].
    """

    x: NDArray[np.float32]
    y: NDArray[np.float64]
    formulas: NDArray[np.str_]
    fractions: NDArray[np.float32]

    def random_fold(self, seed: int, most: int) -> tuple[Rows, Rows]:
        """Return at most so many rows to train on, and the rows of a fifth of the compositions."""
        train, test = hold_out_groups(self.formulas, seed)
        return _drawn(train, most, seed), test

    def clusters(self, most: int) -> list[tuple[Rows, Rows]]:
        """Leave out each of five clusters of compositions in turn."""
        everything = np.arange(len(self.y))
        return [(_drawn(np.setdiff1d(everything, test), most, 0), test) for test in cluster_folds(self.fractions)]


def read(column: Column, rows: int) -> Labelled:
    """Read a property, and at most so many rows of it, drawn at random."""
    table = pq.read_table(DATA / f"{column.table}.parquet")
    name = column.name
    if column.table == JARVIS:
        table, name = table.filter(pc.equal(table["property"], column.name)), "value"
    table = table.filter(pc.is_valid(table[name]))
    table = table.take(_drawn(np.arange(len(table)), rows, 0))
    read_of = [_composition(text) for text in table["formula"].to_pylist()]
    known = [composition for composition in read_of if composition is not None]
    y = table[name].to_numpy().astype(np.float64)[[composition is not None for composition in read_of]]
    encoder = open_encoder(find_encoder(ENCODER).folder)
    columns = CompositionColumns.of(known)
    taken = np.flatnonzero([reason is None for reason in encoder.rejections(columns)])
    x = encoder.encode(columns.take(taken.tolist()), encoder.card.default_layer)
    kept = [known[row] for row in taken]
    formulas = np.array([composition.canonical for composition in kept])
    return Labelled(x, y[taken], formulas, element_fractions(kept))


def _composition(text: str) -> Composition | None:
    try:
        return parse_formula(text)
    except FormulaError:
        return None


def _drawn(rows: Rows, most: int, seed: int) -> Rows:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])
