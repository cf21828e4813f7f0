"""The embedded layers that make up a head's input."""

from dataclasses import dataclass

from matlake.encoders.registry import split_feature
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
        input: What the encoder encodes, ``composition`` or ``crystal``; cards of heads older than crystals lack it.
    """

    feature: str
    encoder: str
    layer: str
    sha256: str
    dim: int
    input: str = "composition"


def resolve_features(lake: Lake, features: list[str]) -> tuple[Feature, ...]:
    """Find the encoders and layers that ``NAME`` or ``NAME@LAYER`` mean.

    Raises:
        EncoderError: No such encoder or layer.
        TrainingError: A feature is named twice.
    """
    resolved: list[Feature] = []
    for text in features:
        name, layer_name = split_feature(text)
        card = lake.find_encoder(name).card
        layer = card.layer(layer_name)
        feature = Feature(f"{card.name}@{layer.name}", card.name, layer.name, card.sha256, layer.dim, card.input)
        if feature in resolved:
            raise TrainingError(f"feature {feature.feature} is named twice")
        resolved.append(feature)
    return tuple(resolved)
