"""matlake's splits as cross-validation splitters of scikit-learn's."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.encode import encode, read_materials
from matlake.errors import SourceError, StructureError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.disorder import DisorderedError
from matlake.materials.formula import Composition
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import HeldOut, parse_split
from matlake.sklearn.given import column_of, materials_of
from matlake.store.importing.readers.frames import is_frame

_DEFAULT_FEATURES: Final = "magpie"
_OF_FEATURES: Final = ("cluster", "sparse")
_NO_ATOMS: Final = Crystal(np.empty(0, np.int16), np.zeros((3, 3)), np.empty((0, 3)))


class Split:
    """Holds out materials by what they are made of: a splitter for ``cross_val_score(cv=...)`` and ``GridSearchCV``.

    A composition is never on both sides. Rows whose composition would be are on neither, as are rows that a split
    cannot place, such as formulas for ``space-group``.

    Args:
        method: As for ``matlake.train``, see docs/science/splits.md: ``random``, ``chemical-system``, ``element``,
            ``cluster``, ``space-group``, ``column:NAME``, …. Each part is held out in turn; one that is
            named, as in ``element:O``, is the only one.
        features: Encoders in whose space ``cluster`` and ``sparse`` look; by default the vectors that are given, or
            ``magpie`` where materials are.
        column: Column of a DataFrame that holds the materials; by default the only one.
        random_state: Seed of splits that draw.
    """

    def __init__(
        self,
        method: str = "random",
        *,
        features: str | list[str] | None = None,
        column: str | None = None,
        random_state: int = 0,
    ) -> None:
        """Read the method.

        Raises:
            TrainingError: There is no such split, or its argument is not valid.
        """
        parse_split(method)
        self.method = method
        self.features = features
        self.column = column
        self.random_state = random_state

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:  # noqa: N803 - names of scikit-learn's
        """Yield for each part the rows to train on and the rows to test on.

        Args:
            X: n materials, as for ``Embedder``; or features [n, d] with the materials in ``groups``.
            y: Target [n]; a split leaves out parts that leave it constant in training.
            groups: The n materials, where ``X`` is features.

        Raises:
            TrainingError: The rows do not allow the split.
            MatlakeError: A material cannot be read.
        """
        for held in self.held_out(X, y, groups):
            yield held.train, held.test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803 - likewise
        """Return how many parts ``split`` yields for the same rows."""
        return len(self.held_out(X, y, groups))

    def held_out(self, X: Any, y: Any = None, groups: Any = None) -> list[HeldOut]:  # noqa: N803 - likewise
        """Return the parts, each with its ``label``, its rows, and a sentence on what it leaves out."""
        split = parse_split(self.method)
        matrix = self._matrix(X, y, groups, split.columns)
        if split.part is not None:
            return [split.hold_out(matrix, self.random_state)]
        return list(split.folds(matrix, self.random_state))

    def __repr__(self) -> str:
        """Return how it was made."""
        given = {"features": self.features, "column": self.column}
        named = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
        return f"Split({self.method!r}{named}, random_state={self.random_state})"

    def _matrix(self, given: Any, y: Any, groups: Any, columns: tuple[str, ...]) -> Matrix:
        """Return the rows as a split of matlake's takes them."""
        materials = materials_of(given if groups is None else groups, self.column if groups is None else None)
        found = read_materials(materials)
        compositions = [_composition(one, row) for row, one in enumerate(found)]
        fractions = CompositionColumns.of(compositions).matrix(SYMBOLS)
        names = np.array([f"row {row}" for row in range(len(materials))])
        return Matrix(
            x=self._features(given, materials, groups),
            y=_target(y, len(materials)),
            fractions=fractions,
            dataset=np.full(len(materials), "X"),
            material_id=names,
            formula=names,
            groups=np.array([one.content_hash for one in compositions]),
            missing=(),
            sql="",
            columns={name: _column(given, name) for name in columns},
            crystals=CrystalColumns.of([one if isinstance(one, Crystal) else _NO_ATOMS for one in found]),
        )

    def _features(self, given: Any, materials: list[Any], groups: Any) -> NDArray[np.float32]:
        if self.features is not None:
            return encode(materials, self.features)
        if groups is not None:
            return np.asarray(given, dtype=np.float32)
        if self.method.partition(":")[0].strip().lower() in _OF_FEATURES:
            return encode(materials, _DEFAULT_FEATURES)
        return np.zeros((len(materials), 0), dtype=np.float32)


def _composition(found: Any, row: int) -> Composition:
    """Return the composition of what was read.

    Raises:
        StructureError: It could not be.
    """
    if isinstance(found, Composition):
        return found
    if isinstance(found, Crystal | DisorderedError):
        return found.composition
    raise StructureError(f"row {row:,}: {found}", "leave it out, or mend it")


def _target(y: Any, rows: int) -> NDArray[np.float64]:
    """Return a target float64 [n]; classes as numbers."""
    if y is None:
        return np.arange(rows, dtype=np.float64)
    values = np.ravel(np.asarray(y))
    if values.dtype.kind not in "biuf":
        values = np.unique(values, return_inverse=True)[1]
    return values.astype(np.float64)


def _column(given: Any, name: str) -> NDArray[Any]:
    """Return a column of a DataFrame: numbers, times, or text."""
    if not is_frame(given):
        raise SourceError(f"the split needs the column {name!r}, and no DataFrame is given", "give a DataFrame")
    column = pa.array(column_of(given, name))
    return np.asarray(column.to_numpy(zero_copy_only=False))
