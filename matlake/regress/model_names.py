"""From what ``--model`` says to a model: a kind of regressor, or a way of training an encoder's weights on."""

from typing import Final

from matlake.encoders.shelf import split_feature
from matlake.errors import EncoderError, TrainingError
from matlake.regress.features import Feature
from matlake.regress.models import Model, named_model
from matlake.regress.models.deep import WAYS, Source, fine_tuned
from matlake.regress.models.deep_training import require_torch
from matlake.regress.models.source_layers import read_source_layers
from matlake.store.lake import Lake

_FRACTIONS: Final = "fractions"


def resolve_model(lake: Lake, text: str, features: tuple[Feature, ...]) -> Model:
    """Return the model that a name means.

    Args:
        lake: Its shelf holds the encoder that ``fine-tune:ENCODER`` and the like name.
        text: A name of ``MODELS``, or one of ``deep.WAYS`` with a colon and an encoder.
        features: What the model is to be fitted to.

    Raises:
        TrainingError: Unknown model; or the features are not those that the encoder takes.
        EncoderError: No such encoder, or its weights are no start for a training.
        MissingExtraError: The model is a deep network, and torch is not installed.
    """
    way, colon, encoder = text.partition(":")
    if not colon or way not in WAYS:
        model = named_model(text)
        if model.slow:
            require_torch()
        return model
    require_torch()
    name, layer = split_feature(encoder)
    if layer is not None:
        raise EncoderError(f"{text} names a layer, and all weights are used", f"write {way}:{name}")
    found = lake.find_encoder(name)
    if [feature.encoder for feature in features] != [_FRACTIONS]:
        raise TrainingError(
            f"{text} takes element fractions, as the encoder itself does, not "
            f"{', '.join(feature.feature for feature in features)}",
            f"use --features {_FRACTIONS}",
        )
    return fine_tuned(way, Source(found.card.name, found.card.sha256, read_source_layers(found.folder)))
