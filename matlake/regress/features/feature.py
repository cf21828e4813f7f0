"""The embedded layers that make up a head's input."""

from dataclasses import dataclass

from matlake.encoders.card import InputKind
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import TrainingError
from matlake.store.lake import Lake


@dataclass(frozen=True)
class Feature:
    """A layer of an encoder as part of a head's input.

    Attributes:
        feature: ``NAME@LAYER``.
        encoder: Name of the encoder.
        layer: Name of the layer.
        sha256: Digest of the encoder's ONNX file.
        dim: Length of the vector.
        input: What the encoder encodes; cards of heads older than crystals lack it.
    """

    feature: str
    encoder: str
    layer: str
    sha256: str
    dim: int
    input: InputKind = InputKind.COMPOSITION

    def __post_init__(self) -> None:
        """Read the input from the text of a card."""
        object.__setattr__(self, "input", InputKind(self.input))

    @property
    def partition(self) -> dict[str, str]:
        """The partition of the embeddings table that holds its vectors."""
        return {"encoder": self.encoder, "encoder_sha256": self.sha256, "layer": self.layer}


def resolve_features(lake: Lake, features: list[str]) -> tuple[Feature, ...]:
    """Find the encoders and layers that ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` and ``NAME@all`` mean.

    Returns:
        One feature for each layer.

    Raises:
        EncoderError: No such encoder or layer.
        TrainingError: A feature is named twice.
    """
    resolved: list[Feature] = []
    for text in features:
        ref = LayerRef.parse(text)
        card = lake.find_encoder(ref.encoder).card
        for layer in card.named_layers(ref.layer):
            feature = Feature(str(card.ref(layer.name)), card.name, layer.name, card.sha256, layer.dim, card.input)
            if feature in resolved:
                raise TrainingError(f"feature {feature.feature} is named twice", "name each layer once")
            resolved.append(feature)
    return tuple(resolved)
