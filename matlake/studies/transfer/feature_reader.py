"""Features of the rows of a target: layers of encoders of compositions are computed where they are asked for.

Reading a layer of a thousand numbers from the lake costs more than computing it, and an evaluation looks at layers that
nobody wants to keep. Encoders of crystals cost a thousand times more: their layers are read from the lake.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import open_encoder
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import TrainingError
from matlake.regress.splits import Rows
from matlake.store.lake import Lake
from matlake.studies.transfer.configurations import FRACTIONS, PREDICTION
from matlake.studies.transfer.target_rows import TargetRows

FEW_ROWS: Final = 4096
"""Up to so many rows, all layers of a source are computed at once: they are looked at in turn."""

KEPT_BYTES: Final = 1 << 30
"""Layers that are kept; those read longest ago make room."""


@dataclass
class FeatureReader:
    """Computes features, and keeps those that were read last.

    Attributes:
        lake: Its registry holds the encoders.
    """

    lake: Lake
    _kept: dict[tuple[str, bytes, str, str], NDArray[np.float32]] = field(default_factory=dict)

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
        parts = [self._one(target, feature, rows) for feature in features]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def identify(self, features: tuple[str, ...]) -> list[str]:
        """Return features with the digests of their encoders: what a measurement is keyed by."""
        found = []
        for ref in map(LayerRef.parse, features):
            card = self.lake.find_encoder(ref.encoder).card
            found.append(str(LayerRef(card.sha256, card.layer(ref.layer).name)))
        return found

    def layers(self, encoder: str) -> tuple[str, ...]:
        """Return the hidden layers of a source in order, as ``NAME@LAYER``.

        Raises:
            EncoderError: No such encoder.
            TrainingError: It takes crystals, or has no hidden layer.
        """
        card = self.lake.find_encoder(encoder).card
        if card.input != "composition" or len(card.layers) < 2:  # noqa: PLR2004 - a descriptor has one
            why = "takes crystals" if card.input == "crystal" else "has no hidden layers"
            raise TrainingError(
                f"{encoder} cannot be a source: it {why}",
                "name encoders of compositions with hidden layers; matlake.list_encoders() has all",
            )
        return tuple(str(card.ref(layer.name)) for layer in card.layers if layer.name != PREDICTION)

    def _one(self, target: TargetRows, feature: str, rows: Rows) -> NDArray[np.float32]:
        if feature == FRACTIONS:
            return target.fractions(rows)
        if feature in target.data.places:
            return target.data.columns([feature], rows)
        ref = LayerRef.parse(feature)
        card = self.lake.find_encoder(ref.encoder).card
        if card.input != "composition":
            raise TrainingError(f"the layer {feature} of crystals was not read", "name it among the features")
        layer, few = card.layer(ref.layer).name, len(rows) <= FEW_ROWS
        about = target.digest, rows.tobytes() if few else b"", ref.encoder
        found = self._kept.pop((*about, layer), None)
        if found is None:
            while self._kept and sum(part.nbytes for part in self._kept.values()) > KEPT_BYTES:
                del self._kept[next(iter(self._kept))]
            layers = [known.name for known in card.layers] if few else [layer]
            encoder = open_encoder(self.lake.find_encoder(ref.encoder).folder, layers=layers)
            vectors = encoder.encode_inputs(target.fractions(rows if few else slice(None)), layers)
            self._kept |= {(*about, known): part for known, part in zip(layers, vectors, strict=True)}
            found = self._kept.pop((*about, layer))
        self._kept[*about, layer] = found
        return found if few else found[rows]
