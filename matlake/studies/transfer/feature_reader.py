"""Features of the rows of a target: layers of encoders of compositions are computed where they are asked for.

Reading a layer of a thousand numbers from the lake costs more than computing it, and an evaluation looks at layers that
nobody wants to keep. Encoders of crystals cost a thousand times more: their layers are read from the lake.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import TrainingError
from matlake.regress.splits import Rows
from matlake.store.lake import Lake
from matlake.studies.transfer.configurations import FRACTIONS, PREDICTION
from matlake.studies.transfer.target_rows import TargetRows

FEW_ROWS: Final = 4096
"""Up to so many rows, all layers of a source are computed at once and kept: they are looked at in turn."""

KEPT_BYTES: Final = 1 << 30
"""Layers of all rows of a target that are kept."""


@dataclass
class FeatureReader:
    """Computes features, and keeps those of the rows asked for last, and of the target asked for last.

    Attributes:
        lake: Its registry holds the encoders.
        threads: Threads inside one operator of an encoder.
    """

    lake: Lake
    threads: int = 1
    _target: str = ""
    _rows: bytes = b""
    _of_rows: dict[LayerRef, NDArray[np.float32]] = field(default_factory=dict)
    _of_target: dict[LayerRef, NDArray[np.float32]] = field(default_factory=dict)

    def read(self, target: TargetRows, features: tuple[str, ...], rows: Rows) -> NDArray[np.float32]:
        """Return features side by side.

        Args:
            target: The rows of a target.
            features: ``NAME`` or ``NAME@LAYER``.
            rows: Which of them [m].

        Returns:
            float32 [m, d].

        Raises:
            EncoderError: No such encoder or layer.
            TrainingError: A layer of an encoder of crystals was not read with the target.
        """
        if target.digest != self._target:
            self._target, self._rows, self._of_target = target.digest, b"", {}
        parts = [self._one(target, feature, rows) for feature in features]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def identify(self, features: tuple[str, ...]) -> list[str]:
        """Return features with the digests of their encoders: what a measurement is keyed by."""
        return [self._identity(feature) for feature in features]

    def layers(self, encoder: str) -> tuple[str, ...]:
        """Return the hidden layers of a source in order, as ``NAME@LAYER``.

        Raises:
            EncoderError: No such encoder.
            TrainingError: It takes crystals, or has no hidden layer.
        """
        card = self.lake.find_encoder(encoder).card
        if card.input != "composition" or len(card.layers) < 2:  # noqa: PLR2004 - a descriptor has one
            raise TrainingError(
                f"{encoder} is no source: it {'takes crystals' if card.input == 'crystal' else 'has no hidden layers'}",
                "name encoders of compositions with hidden layers, see `matlake encoders list`",
            )
        return tuple(str(card.ref(layer.name)) for layer in card.layers if layer.name != PREDICTION)

    def _identity(self, feature: str) -> str:
        ref = LayerRef.parse(feature)
        card = self.lake.find_encoder(ref.encoder).card
        return str(LayerRef(card.sha256, card.layer(ref.layer).name))

    def _one(self, target: TargetRows, feature: str, rows: Rows) -> NDArray[np.float32]:
        if feature == FRACTIONS:
            return target.fractions[rows]
        if feature in target.embedded_columns:
            return np.ascontiguousarray(target.embedded[rows, target.embedded_columns[feature]])
        wanted = LayerRef.parse(feature)
        card = self.lake.find_encoder(wanted.encoder).card
        if card.input != "composition":
            raise TrainingError(f"the layer {feature} of crystals was not read", "name it with --embedded")
        ref = card.ref(wanted.layer)
        if len(rows) > FEW_ROWS:
            return self._whole(target, card, card.layer(wanted.layer).name)[rows]
        if rows.tobytes() != self._rows:
            self._rows, self._of_rows = rows.tobytes(), {}
        if ref not in self._of_rows:
            layers = [known.name for known in card.layers]
            vectors = self._open(card.name, layers).encode_inputs(target.fractions[rows], layers)
            self._of_rows |= {card.ref(known): part for known, part in zip(layers, vectors, strict=True)}
        return self._of_rows[ref]

    def _whole(self, target: TargetRows, card: EncoderCard, layer: str) -> NDArray[np.float32]:
        """Return a layer of all rows of a target; those used longest ago make room."""
        ref = card.ref(layer)
        found = self._of_target.pop(ref, None)
        if found is None:
            found = self._open(card.name, [layer]).encode_inputs(target.fractions, [layer])[0]
            while self._of_target and sum(part.nbytes for part in self._of_target.values()) > KEPT_BYTES:
                del self._of_target[next(iter(self._of_target))]
        self._of_target[ref] = found
        return found

    def _open(self, name: str, layers: list[str]) -> Encoder:
        return open_encoder(self.lake.find_encoder(name).folder, threads=self.threads, layers=layers)
