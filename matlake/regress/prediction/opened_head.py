"""A head that is ready to predict, with its encoders. Needs no scikit-learn."""

import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, Inputs
from matlake.encoders.card import InputKind
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.rejections import Materials
from matlake.errors import EncoderError, FormulaError, HeadError, Hint, StructureError
from matlake.materials.compositions import CompositionColumns
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.formula import Composition, parse_formula
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.storage import Head, check_encoder, load_head
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.store.lake import Lake

CHUNK_ROWS: Final = 4096
"""Compositions encoded at once: bounds the memory, whatever the number of formulas."""

CHUNK_ATOMS: Final = 16_384
"""Atoms of the crystals encoded at once; a larger crystal goes alone."""


@dataclass(frozen=True)
class OpenedHead:
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
        return any(encoder.input is InputKind.CRYSTAL for encoder in self.encoders.values())

    def predict(self, formulas: Sequence[object]) -> PredictionColumns:
        """Predict for formulas; one that cannot be read does not stop the others.

        Raises:
            HeadError: The head needs crystals.
        """
        if self.needs_crystals:
            raise self.no_structures("formulas")
        predicted = PredictionColumns.empty([None] * len(formulas), self.head)
        for start in range(0, len(formulas), CHUNK_ROWS):
            compositions: dict[int, Composition] = {}
            for row, formula in enumerate(formulas[start : start + CHUNK_ROWS], start=start):
                try:
                    compositions[row] = parse_formula(formula)
                except FormulaError as error:
                    predicted.reasons[row] = error.reason
            self._fill(predicted, compositions, CompositionColumns.of([*compositions.values()]))
        return predicted

    def predict_crystals(self, found: Sequence[Crystal | StructureError]) -> PredictionColumns:
        """Predict for crystals; one that is not valid, or has elements that an encoder lacks, stops no other.

        Args:
            found: n crystals, or why there is none.
        """
        reasons = [str(one) if isinstance(one, StructureError) else None for one in found]
        predicted = PredictionColumns.empty(reasons, self.head)
        crystals = {row: one for row, one in enumerate(found) if isinstance(one, Crystal)}
        for rows in _chunks(crystals):
            compositions = {row: crystals[row].composition for row in rows}
            self._fill(predicted, compositions, CrystalColumns.of([crystals[row] for row in rows]))
        return predicted

    def no_structures(self, given: str) -> HeadError:
        """Return the error for inputs that are not crystals, which the head needs."""
        card = self.head.card
        features = ", ".join(feature.feature for feature in card.features)
        return HeadError(
            f"head {card.name} needs crystal structures, not {given}: it was trained on {features}",
            Hint(
                "give structures: matlake.predict_structures(…), or a table with a column of them",
                cli="give --structure FILE, or --input with a column of structures or a file of them",
            ),
        )

    def _fill(self, predicted: PredictionColumns, compositions: dict[int, Composition], materials: Materials) -> None:
        """Predict for some rows, or enter why it cannot be done.

        Args:
            predicted: Receives predictions and reasons.
            compositions: By row.
            materials: The same rows, in that order.
        """
        x, reasons = self._features(materials)
        rows = []
        for row, reason in zip(compositions, reasons, strict=True):
            predicted.reasons[row] = reason
            if reason is None:
                rows.append(row)
        predicted.fill(rows, x, [compositions[row] for row in rows], self.head)

    def _features(self, materials: Materials) -> tuple[NDArray[np.float32], list[str | None]]:
        """Run each encoder once for all of its layers; encoders that take the same inputs share them.

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
        features = self.head.card.features
        ends = np.cumsum([feature.dim for feature in features]).tolist()
        x = np.empty((len(taken), ends[-1]), dtype=np.float32)
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


def open_head(lake: Lake, head_name: str, *, threads: int | None = None) -> OpenedHead:
    """Open a head and its encoders, after checking that they are those it was trained on.

    Args:
        lake: The lake.
        head_name: Name of the head.
        threads: Threads inside one operator; default: one a core.

    Raises:
        HeadError: No such head, a damaged one, or another encoder under the same name.
        EncoderError: An encoder is missing or damaged.
        MissingExtraError: ONNX Runtime is not installed.
    """
    threads = threads or os.cpu_count() or 1
    head = load_head(lake.path, head_name, threads=threads)
    opened: dict[str, Encoder] = {}
    for name, registered in find_encoders(lake, head.card).items():
        layers = [feature.layer for feature in head.card.features if feature.encoder == name]
        opened[name] = open_encoder(registered.folder, threads=threads, layers=layers)
    return OpenedHead(head, opened)


def find_encoders(lake: Lake, card: HeadCard) -> dict[str, RegisteredEncoder]:
    """Find the encoders of a head, by name, after checking that they are those it was trained on.

    Raises:
        HeadError: There is another encoder under the same name.
        EncoderError: An encoder is missing.
    """
    found: dict[str, RegisteredEncoder] = {}
    for feature in card.features:
        try:
            found[feature.encoder] = lake.find_encoder(feature.encoder)
        except EncoderError as error:
            raise EncoderError(f"head {card.name} needs encoder {feature.encoder}: {error}", error.hint) from error
        check_encoder(card, feature, found[feature.encoder].card)
    return found


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
