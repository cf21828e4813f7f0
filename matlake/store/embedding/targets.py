"""What a run of ``embed`` fills: layers of encoders, each a partition of the embeddings table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matlake.encoders.card import InputKind
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.registry import RegisteredEncoder, named_layers
from matlake.store.lake import Lake
from matlake.store.tables.appender import Appender
from matlake.store.views import embedding_partition, failure_partition

KEY: Final = "content_hash"
VECTOR: Final = "vector"


@dataclass(frozen=True, eq=False)
class Model:
    """An encoder that a run uses.

    Attributes:
        encoder: The encoder.
        failures: Adds to its partition of the failures table.
    """

    encoder: Encoder
    failures: Appender

    @property
    def kind(self) -> InputKind:
        """What it encodes."""
        return self.encoder.input


@dataclass(frozen=True, eq=False)
class Target:
    """A layer that a run fills.

    Attributes:
        model: The encoder.
        layer: Name of the layer.
        vectors: Adds to its partition of the embeddings table.
    """

    model: Model
    layer: str
    vectors: Appender

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.model.encoder.card.layer(self.layer).dim


def open_targets(lake: Lake, features: Sequence[str], device: str) -> list[Target]:
    """Open the encoders that features name, each once, and look at what the lake holds of them.

    Args:
        lake: The lake; an encoder used for the first time is copied into it.
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, each; a layer named twice counts once.
        device: ``cpu`` or ``cuda``.

    Raises:
        EncoderError: An encoder or layer is unknown, or its file is refused.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    registered: dict[str, RegisteredEncoder] = {}
    layers: dict[tuple[str, str], None] = {}  # a set that keeps the order
    for found, layer in named_layers(features, lake.find_encoder):
        registered[found.card.name] = found
        layers[found.card.name, layer.name] = None
    encoders = {
        name: open_encoder(found.folder, device=device, layers=[layer for owner, layer in layers if owner == name])
        for name, found in registered.items()
    }
    models = {}
    for name, encoder in encoders.items():
        lake.keep_encoder(registered[name])
        failures = Appender(lake.failures_table, failure_partition(encoder.card), KEY, verify=lake.verify)
        models[name] = Model(encoder, failures)
    return [
        Target(
            models[name],
            layer,
            Appender(
                lake.embeddings, embedding_partition(encoders[name].card, layer), KEY, (VECTOR,), verify=lake.verify
            ),
        )
        for name, layer in layers
    ]
