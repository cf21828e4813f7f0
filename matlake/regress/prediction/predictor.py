"""A head with its encoders: from formulas or crystals to answers. Needs no scikit-learn."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.errors import FormulaError, HeadError, Hint, NotFiniteError, StructureError
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.formula import Composition, check_elements, element_fractions, parse_formula
from matlake.materials.graph_recipe import GraphRecipe
from matlake.regress.heads.storage import Head, check_encoder, load_head
from matlake.regress.prediction.columns import Predicted
from matlake.store.lake import Lake

CHUNK_ROWS: Final = 4096
"""Compositions encoded at once: bounds the memory, whatever the number of formulas."""

CHUNK_ATOMS: Final = 16_384
"""Atoms of the crystals encoded at once; a larger crystal goes alone."""


@dataclass(frozen=True)
class Predictor:
    """A head with the encoders that it was trained on.

    Attributes:
        head: The head.
        encoders: Those of the card's features, by name.
    """

    head: Head
    encoders: dict[str, Encoder]

    @property
    def needs_crystals(self) -> bool:
        """Whether formulas are not enough."""
        return any(encoder.recipe is not None for encoder in self.encoders.values())

    def predict(self, formulas: Sequence[object]) -> Predicted:
        """Predict for formulas; what is no formula does not stop the others.

        Raises:
            HeadError: The head needs crystals.
        """
        if self.needs_crystals:
            raise self.no_structures("formulas")
        predicted = Predicted.unanswered([None] * len(formulas), self.head)
        for start in range(0, len(formulas), CHUNK_ROWS):
            compositions: list[Composition] = []
            rows = []
            for row, formula in enumerate(formulas[start : start + CHUNK_ROWS], start=start):
                try:
                    composition = parse_formula(formula)
                    check_elements(composition)
                except FormulaError as error:
                    predicted.reasons[row] = str(error)
                else:
                    compositions.append(composition)
                    rows.append(row)
            if rows:
                x = self._features(element_fractions(compositions), None)
                predicted.fill(rows, x, compositions, self.head)
        return predicted

    def predict_crystals(self, found: Sequence[Crystal | StructureError]) -> Predicted:
        """Predict for crystals; what is none, or holds elements that an encoder does not know, stops no other.

        Args:
            found: n crystals, or why there is none.
        """
        reasons = [str(one) if isinstance(one, StructureError) else None for one in found]
        predicted = Predicted.unanswered(reasons, self.head)
        crystals = {row: one for row, one in enumerate(found) if isinstance(one, Crystal)}
        for chunk in _chunks(crystals):
            self._refuse(crystals, chunk, reasons)
            while rows := [row for row in chunk if reasons[row] is None]:
                compositions = [crystals[row].composition for row in rows]
                try:
                    x = self._features_of_crystals([crystals[row] for row in rows])
                except NotFiniteError as error:
                    for place in error.rows:
                        reasons[rows[place]] = str(error)
                else:
                    predicted.fill(rows, x, compositions, self.head)
                    break
        return predicted

    def no_structures(self, given: str) -> HeadError:
        """Return the error for inputs that are no crystals, which the head needs."""
        card = self.head.card
        features = ", ".join(feature.feature for feature in card.features)
        return HeadError(
            f"head {card.name} needs crystal structures, not {given}: it was trained on {features}",
            Hint(
                "give structures: matlake.predict_structures(…), or a table with a column of them",
                cli="give --structure FILE, or --input with a column of structures or a file of them",
            ),
        )

    def _refuse(self, crystals: dict[int, Crystal], rows: list[int], reasons: list[str | None]) -> None:
        """Enter the reasons against some of the crystals."""
        from matlake.materials.overlaps import find_overlaps

        columns = CrystalColumns.of([crystals[row] for row in rows])
        for encoder in self.encoders.values():
            if encoder.recipe is None:
                against = [_uncovered(crystals[row].composition) for row in rows]
            else:
                against = encoder.uncovered(columns)
            for row, reason in zip(rows, against, strict=True):
                reasons[row] = reasons[row] or reason
        for overlap in find_overlaps(columns):
            reasons[rows[overlap.crystal]] = overlap.describe(columns)

    def _features_of_crystals(self, crystals: list[Crystal]) -> NDArray[np.float32]:
        fractions = None
        if any(encoder.recipe is None for encoder in self.encoders.values()):
            fractions = element_fractions([crystal.composition for crystal in crystals])
        return self._features(fractions, CrystalColumns.of(crystals))

    def _features(self, fractions: NDArray[np.float32] | None, crystals: CrystalColumns | None) -> NDArray[np.float32]:
        """Run each encoder once for all of its layers; encoders with equal recipes share graphs."""
        features = self.head.card.features
        graphs: dict[GraphRecipe, Any] = {}
        vectors: dict[str, NDArray[np.float32]] = {}
        for name, encoder in self.encoders.items():
            own = [feature for feature in features if feature.encoder == name]
            layers = [feature.layer for feature in own]
            if encoder.recipe is None:
                assert fractions is not None  # noqa: S101 - both callers make them where an encoder takes them
                found = encoder.encode_fractions(fractions, layers)
            else:
                assert crystals is not None  # noqa: S101 - likewise
                if encoder.recipe not in graphs:
                    graphs[encoder.recipe] = encoder.recipe.build(crystals)
                found = encoder.encode_graphs(graphs[encoder.recipe], layers)
            vectors |= {feature.feature: matrix for feature, matrix in zip(own, found, strict=True)}
        return np.concatenate([vectors[feature.feature] for feature in features], axis=1)


def open_predictor(lake: Lake, head_name: str, *, threads: int | None = None) -> Predictor:
    """Open a head and its encoders, after checking that they are those it was trained on.

    Args:
        lake: The lake.
        head_name: Name of the head.
        threads: Threads inside one operator; one a core where not given.

    Raises:
        HeadError: No such head, a damaged one, or another encoder under the same name.
        EncoderError: An encoder is missing or damaged.
        MissingExtraError: ONNX Runtime is not installed.
    """
    threads = threads or os.cpu_count() or 1
    head = load_head(lake.path, head_name, threads=threads)
    opened: dict[str, Encoder] = {}
    for feature in head.card.features:
        registered = lake.find_encoder(feature.encoder)
        check_encoder(head.card, feature, registered.card)
        if feature.encoder not in opened:
            layers = [one.layer for one in head.card.features if one.encoder == feature.encoder]
            opened[feature.encoder] = open_encoder(registered.folder, threads=threads, layers=layers)
    return Predictor(head, opened)


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


def _uncovered(composition: Composition) -> str | None:
    try:
        check_elements(composition)
    except FormulaError as error:
        return str(error)
    return None
