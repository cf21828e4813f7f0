"""A head that is ready to predict, with its encoders. Needs no scikit-learn."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, Inputs
from matlake.encoders.card import InputKind
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.rejections import Materials
from matlake.encoders.session import onnx_runtime
from matlake.errors import FormulaError, HeadError, Hint, StructureError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.formula import Composition, parse_formula
from matlake.platforms import usable_cores
from matlake.regress.features.feature import Feature, columns_of, places_of_columns
from matlake.regress.features.own_columns import given_values, numbers_of
from matlake.regress.heads.storage import Head, find_encoders, found_head, member_names
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.store.lake import Lake

if TYPE_CHECKING:
    from matlake.regress.prediction.given_vectors import GivenVectors  # the readers of tables

CHUNK_ROWS: Final = 4096
"""Compositions encoded at once: bounds the memory, whatever the number of formulas."""

ColumnValues: TypeAlias = Mapping[str, Sequence[object]]
"""Name of a column -> a value for each input: a number, true or false, text of a number, or None."""

NO_COLUMNS: Final[ColumnValues] = {}

CHUNK_ATOMS: Final = 16_384
"""Atoms of the crystals encoded at once; a larger crystal goes alone."""

_OPENED_AT_ONCE: Final = 4
"""Files that are opened at the same time: each is in memory several times meanwhile."""


@dataclass(frozen=True)
class OpenedHead:
    """A head with the encoders that it was trained on.

    Attributes:
        head: The head; of one with several targets the member of the first.
        encoders: Those of all features, by name.
        others: Of a head with several targets, the members of the others.
    """

    head: Head
    encoders: dict[str, Encoder]
    others: tuple[Head, ...] = ()

    @property
    def heads(self) -> tuple[Head, ...]:
        """One head for each target."""
        return (self.head, *self.others)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the encoders make, and columns, once for all targets."""
        return tuple(dict.fromkeys(feature for head in self.heads for feature in head.card.features))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns among the features: each input needs a value of each."""
        return columns_of(self.features)

    @property
    def external(self) -> tuple[Feature, ...]:
        """Layers of external encoders among the features: each input needs a vector of each."""
        return tuple(feature for feature in self.features if feature.is_external)

    @property
    def needs_crystals(self) -> bool:
        """Whether formulas are not enough."""
        return any(encoder.input is InputKind.CRYSTAL for encoder in self.encoders.values())

    def predict(self, formulas: Sequence[object], columns: ColumnValues = NO_COLUMNS) -> PredictionColumns:
        """Predict the first target for formulas; see ``predict_all``."""
        return self.predict_all(formulas, columns)[0]

    def predict_crystals(
        self, found: Sequence[Crystal | StructureError], columns: ColumnValues = NO_COLUMNS
    ) -> PredictionColumns:
        """Predict the first target for crystals; see ``predict_all_of_crystals``."""
        return self.predict_all_of_crystals(found, columns)[0]

    def predict_all(
        self, formulas: Sequence[object], columns: ColumnValues = NO_COLUMNS, vectors: "GivenVectors | None" = None
    ) -> list[PredictionColumns]:
        """Predict each target for formulas; one that cannot be read does not stop the others.

        Args:
            formulas: n formulas.
            columns: n values of each column among the features. A formula without one is not predicted.
            vectors: n vectors of each external layer among the features, likewise.

        Raises:
            HeadError: The head needs crystals, or vectors that are not given.
            MatlakeError: A column is given that the head does not take.
        """
        if self.needs_crystals:
            raise self.no_structures("formulas")
        numbers, lacking = self._numbers(columns, len(formulas), vectors)
        predicted = self._empty(list(lacking))
        for start in range(0, len(formulas), CHUNK_ROWS):
            compositions: dict[int, Composition] = {}
            for row, formula in enumerate(formulas[start : start + CHUNK_ROWS], start=start):
                try:
                    composition = parse_formula(formula)
                except FormulaError as error:
                    _enter(predicted, row, error.reason)
                    continue
                if lacking[row] is None:
                    compositions[row] = composition
            self._fill(predicted, compositions, CompositionColumns.of([*compositions.values()]), numbers, vectors)
        return predicted

    def predict_all_of_crystals(
        self,
        found: Sequence[Crystal | StructureError],
        columns: ColumnValues = NO_COLUMNS,
        vectors: "GivenVectors | None" = None,
    ) -> list[PredictionColumns]:
        """Predict each target for crystals; one that is not valid, or that an encoder does not take, stops no other.

        Args:
            found: n crystals, or why there is none.
            columns: n values of each column among the features. A crystal without one is not predicted.
            vectors: n vectors of each external layer among the features, likewise.

        Raises:
            HeadError: The head needs vectors that are not given.
            MatlakeError: A column is given that the head does not take.
        """
        numbers, lacking = self._numbers(columns, len(found), vectors)
        reasons = [
            str(one) if isinstance(one, StructureError) else why for one, why in zip(found, lacking, strict=True)
        ]
        predicted = self._empty(reasons)
        crystals = {row: one for row, one in enumerate(found) if isinstance(one, Crystal) and reasons[row] is None}
        for rows in _chunks(crystals):
            compositions = {row: crystals[row].composition for row in rows}
            self._fill(predicted, compositions, CrystalColumns.of([crystals[row] for row in rows]), numbers, vectors)
        return predicted

    def no_structures(self, given: str) -> HeadError:
        """Return the error for inputs that are not crystals, which the head needs."""
        card = self.head.card
        features = ", ".join(feature.feature for feature in self.features)
        return HeadError(
            f"head {card.name} needs crystal structures, not {given}: it was trained on {features}",
            Hint(
                "give structures: matlake.predict_structures(…), or a table with a column of them",
                cli="give --structure FILE, or --input with a column of structures or a file of them",
            ),
        )

    def no_vectors(self, given: str) -> HeadError:
        """Return the error for inputs without the vectors of other programs, which the head needs."""
        refs = ", ".join(feature.feature for feature in self.external)
        column = self.external[0].encoder
        return HeadError(
            f"head {self.head.card.name} needs vectors of {refs}, which another program makes: {given} no such vector",
            Hint(
                f"give a table with a column {column!r} of vectors: head.predict(df); or predict for materials of the "
                "lake, head.predict_dataset(…), whose vectors were imported: lake.import_embeddings(…)",
                cli=f"give --input TABLE with a column {column} of vectors; or --dataset NAME, for materials whose "
                "vectors were imported with `matlake import-embeddings`",
            ),
        )

    def _numbers(
        self, given: ColumnValues, count: int, vectors: "GivenVectors | None"
    ) -> tuple[NDArray[np.float32], list[str | None]]:
        """Return the values of the k columns among the features.

        Returns:
            float32 [n, k]; and why an input has no value of one of them, or no vector, or None.

        Raises:
            HeadError: The head needs vectors that are not given.
        """
        if self.external and vectors is None:
            raise self.no_vectors("this input has")
        values = given_values(self.columns, given, f"head {self.head.card.name}")
        numbers = np.empty((count, len(self.columns)), dtype=np.float32)
        reasons: list[str | None] = [None] * count if vectors is None else list(vectors.reasons)
        for place, column in enumerate(self.columns):
            numbers[:, place], own = numbers_of(values.get(column, [None] * count), column)
            reasons = [one or other for one, other in zip(reasons, own, strict=True)]
        return numbers, reasons

    def _empty(self, reasons: list[str | None]) -> list[PredictionColumns]:
        return [PredictionColumns.empty(list(reasons), head) for head in self.heads]

    def _fill(
        self,
        predicted: list[PredictionColumns],
        compositions: dict[int, Composition],
        materials: Materials,
        numbers: NDArray[np.float32],
        vectors: "GivenVectors | None",
    ) -> None:
        """Predict for some rows, or enter why it cannot be done.

        Args:
            predicted: For each head what receives predictions and reasons.
            compositions: By row.
            materials: The same rows, in that order.
            numbers: float32 [n, k], values of the columns among the features, of all rows.
            vectors: Of all rows.
        """
        given = list(compositions)
        x, reasons = self._features(materials, numbers[given], None if vectors is None else vectors.take(given))
        rows = []
        for row, reason in zip(compositions, reasons, strict=True):
            _enter(predicted, row, reason)
            if reason is None:
                rows.append(row)
        known = [compositions[row].elements for row in rows]
        for head, columns in zip(self.heads, predicted, strict=True):
            columns.fill(rows, self.own_features(x, head), known, head)

    def own_features(self, x: NDArray[np.float32], head: Head) -> NDArray[np.float32]:
        """Return the features of one head, of all [m, d] side by side."""
        if head.card.features == self.features:
            return x
        ends = dict(zip(self.features, np.cumsum([feature.dim for feature in self.features]).tolist(), strict=True))
        blocks = [x[:, ends[feature] - feature.dim : ends[feature]] for feature in head.card.features]
        return np.concatenate(blocks, axis=1)

    def _features(
        self, materials: Materials, numbers: NDArray[np.float32], external: "GivenVectors | None"
    ) -> tuple[NDArray[np.float32], list[str | None]]:
        """Run each encoder once for all of its layers; encoders that take the same inputs share them.

        Args:
            materials: n materials.
            numbers: float32 [n, k], values of the columns among the features.
            external: Vectors of external encoders among the features.

        Returns:
            float32 [m, d]; and n reasons, None for the m materials that all encoders take.
        """
        reasons: list[str | None] = [None] * len(materials)
        for place, encoder in enumerate(self.encoders.values()):
            # whether atoms are on top of each other does not depend on the encoder
            for row, reason in enumerate(encoder.rejections(materials, overlaps=place == 0)):
                reasons[row] = reasons[row] or reason
        taken = [row for row, reason in enumerate(reasons) if reason is None]
        if len(taken) < len(materials):
            materials = materials.take(taken)
        features = self.features
        ends = np.cumsum([feature.dim for feature in features]).tolist()
        x = np.empty((len(taken), ends[-1]), dtype=np.float32)
        x[:, list(places_of_columns(features))] = numbers[taken]
        for feature, end in zip(features, ends, strict=True):
            if external is not None and feature.is_external:
                x[:, end - feature.dim : end] = external.of(feature)[taken]
        inputs: dict[Hashable, Inputs] = {}
        for name, encoder in self.encoders.items():
            own = {feature.layer: end for feature, end in zip(features, ends, strict=True) if feature.encoder == name}
            if encoder.inputs_key not in inputs:
                inputs[encoder.inputs_key] = encoder.inputs(materials)
            found, not_finite = encoder.encode_finite(inputs[encoder.inputs_key], list(own))
            for row, reason in zip(taken, not_finite, strict=True):
                reasons[row] = reasons[row] or reason
            rows = [reason is None for reason in not_finite]
            for vectors, end in zip(found, own.values(), strict=True):
                x[rows, end - vectors.shape[1] : end] = vectors
        finite = [reasons[row] is None for row in taken]
        return x if all(finite) else x[finite], reasons


def _enter(predicted: list[PredictionColumns], row: int, reason: str | None) -> None:
    for columns in predicted:
        columns.reasons[row] = reason


def open_heads(lake: Lake, head_name: str, *, threads: int | None = None) -> OpenedHead:
    """Open a head of one target or several; see ``open_head``."""
    return _open(lake, member_names(lake, head_name), threads or usable_cores())


def open_head(lake: Lake, head_name: str, *, threads: int | None = None) -> OpenedHead:
    """Open a head of one target and its encoders, after checking that they are those it was trained on.

    Args:
        lake: The lake.
        head_name: Name of the head.
        threads: Threads inside one operator; default: one a core.

    Raises:
        HeadError: No such head, a damaged one, one of several targets, or another encoder under the same name.
        EncoderError: An encoder is missing or damaged.
        MissingExtraError: ONNX Runtime is not installed.
    """
    return _open(lake, [head_name], threads or usable_cores())


def _open(lake: Lake, names: Sequence[str], threads: int) -> OpenedHead:
    found = [found_head(lake, name) for name in names]
    onnx_runtime()
    # ONNX Runtime makes sessions without Python's lock, and most of the time goes into that
    with ThreadPoolExecutor(min(_OPENED_AT_ONCE, usable_cores()), "matlake-open") as pool:
        heads = [pool.submit(one.load, threads) for one in found]
        features = {feature: None for one in found for feature in one.card.features}
        registered: dict[str, RegisteredEncoder] = {}
        for one in found:
            registered |= find_encoders(lake, one.card)
        encoders = {
            name: pool.submit(
                open_encoder,
                encoder.folder,
                threads=threads,
                layers=[feature.layer for feature in features if feature.encoder == name],
            )
            for name, encoder in registered.items()
            if not encoder.card.is_external  # nothing to open
        }
        first, *others = [loading.result() for loading in heads]
        return OpenedHead(first, {name: opening.result() for name, opening in encoders.items()}, tuple(others))


def _chunks(crystals: dict[int, Crystal]) -> Iterator[list[int]]:
    """Yield the keys in groups with a bounded number of atoms."""
    chunk: list[int] = []
    atoms = 0
    for row, crystal in crystals.items():
        if chunk and atoms + len(crystal.numbers) > CHUNK_ATOMS:
            yield chunk
            chunk, atoms = [], 0
        chunk.append(row)
        atoms += len(crystal.numbers)
    if chunk:
        yield chunk
