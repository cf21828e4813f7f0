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
from matlake.encoders.registry import EncoderFolders, find_encoder

Block = NDArray[np.float32]

STEP = 512
"""Materials at a time: their graphs are in memory together."""


class FeatureBlocks:
    """Vectors of the materials of sources, each computed once and kept in a folder."""

    def __init__(self, cache: Path, encoders: Path | EncoderFolders | None = None, *, every_layer: bool = True) -> None:
        """Name the folder that vectors are kept in, and encoders that do not ship with matlake.

        Args:
            cache: Receives the folder ``features``.
            encoders: Folder of further encoders; they win over those that ship.
            every_layer: Whether to keep all layers of an encoder as soon as one is asked for, or those asked for.
        """
        self._cache, self._encoders, self._every_layer = cache / "features", encoders, every_layer
        self._cards: dict[str, EncoderCard] = {}
        self._contents: dict[str, str] = {}

    def blocks(self, source: Source, features: Sequence[str]) -> list[Block]:
        """Return float32 [n, d] for each layer; NaN for materials that the encoder does not take.

        Args:
            source: n materials.
            features: ``NAME`` for the default layer, ``NAME@LAYER``, or ``NAME@all``: every layer but the prediction
                and deviations, a block each.
        """
        refs = [ref for feature in features for ref in self.layers(feature)]
        missing = [ref for ref in refs if not self._file(source, ref).exists()]
        for name in dict.fromkeys(ref.encoder for ref in missing):
            self._encode(source, name, [str(ref.layer) for ref in missing if ref.encoder == name])
        return [np.load(self._file(source, ref)) for ref in refs]

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

    def _encode(self, source: Source, name: str, asked: Sequence[str]) -> None:
        """Run an encoder once for all layers that are kept."""
        registered = find_encoder(name, self._encoders)
        layers = [layer.name for layer in registered.card.layers if self._every_layer or layer.name in asked]
        encoder = open_encoder(registered.folder, layers=layers)
        columns = encoder.columns(source.materials)
        accepted = np.flatnonzero([reason is None for reason in encoder.rejections(columns)])
        found = [np.full((len(source), registered.card.layer(name).dim), np.nan, np.float32) for name in layers]
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
