"""Features of the evaluation sets: one block of numbers for each layer of each encoder, kept between runs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.evaluation_sets import Source
from matlake.encoders.card import EncoderCard
from matlake.encoders.encoder import open_encoder
from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.registry import find_encoder

Block = NDArray[np.float32]

STEP = 512
"""Materials at a time: their graphs are in memory together."""


class FeatureBlocks:
    """Vectors of the materials of sources, each computed once and kept in a folder."""

    def __init__(self, cache: Path, encoders: Path | None = None) -> None:
        """Name the folder that vectors are kept in, and one of encoders that do not ship with matlake."""
        self._cache, self._encoders = cache / "features", encoders
        self._cards: dict[str, EncoderCard] = {}
        self._contents: dict[str, str] = {}

    def blocks(self, source: Source, features: Sequence[str]) -> list[Block]:
        """Return float32 [n, d] for each layer; NaN for materials that the encoder does not take.

        Args:
            source: n materials.
            features: ``NAME`` for the default layer, ``NAME@LAYER``, or ``NAME@all``: every layer but the prediction
                and deviations, a block each.
        """
        return [self._block(source, ref) for feature in features for ref in self.layers(feature)]

    def layers(self, feature: str) -> list[LayerRef]:
        """Return the single layers that a feature stands for."""
        ref = LayerRef.parse(feature)
        card = self.card(ref.encoder)
        return [card.ref(layer.name) for layer in card.named_layers(ref.layer)]

    def card(self, name: str) -> EncoderCard:
        """Return the card of an encoder."""
        if name not in self._cards:
            self._cards[name] = find_encoder(name, self._encoders).card
        return self._cards[name]

    def digest(self, source: Source, features: Sequence[str]) -> str:
        """Return what the blocks depend on, hexadecimal."""
        refs = [ref for feature in features for ref in self.layers(feature)]
        return _digest(*(self._file(source, ref).name for ref in refs))

    def _file(self, source: Source, ref: LayerRef) -> Path:
        if source.name not in self._contents:
            self._contents[source.name] = "\n".join(source.formulas)
        digest = _digest(self.card(ref.encoder).sha256, self._contents[source.name])
        return self._cache / f"{source.name}-{ref}-{digest}.npy"

    def _block(self, source: Source, ref: LayerRef) -> Block:
        if not self._file(source, ref).exists():
            self._encode(source, ref.encoder)
        block: Block = np.load(self._file(source, ref))
        return block

    def _encode(self, source: Source, name: str) -> None:
        """Run an encoder once for all of its layers."""
        encoder = open_encoder(find_encoder(name, self._encoders).folder)
        columns = encoder.columns(source.materials)
        accepted = np.flatnonzero([reason is None for reason in encoder.rejections(columns)])
        layers = [layer.name for layer in encoder.card.layers]
        found = [np.full((len(source), layer.dim), np.nan, np.float32) for layer in encoder.card.layers]
        for start in range(0, len(accepted), STEP):
            rows = accepted[start : start + STEP]
            vectors, reasons = encoder.encode_finite(encoder.inputs(columns.take(rows)), layers)
            finite = rows[[reason is None for reason in reasons]]
            for block, part in zip(found, vectors, strict=True):
                block[finite] = part
        self._cache.mkdir(parents=True, exist_ok=True)
        for layer, block in zip(layers, found, strict=True):
            np.save(self._file(source, LayerRef(name, layer)), block)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
