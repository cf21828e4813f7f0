"""Encoders that a head carries: networks that were fine-tuned for it, in its own folder and in no registry."""

from matlake.encoders.card import CARD_FILE, read_card
from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError
from matlake.regress.features.feature import Feature
from matlake.store.folders import CARRIED, LakeFolders


def encoder_of(lake: LakeFolders, feature: Feature) -> RegisteredEncoder:
    """Find the encoder of a feature: in the folder of the head that carries it, or in the registry.

    Raises:
        EncoderError: There is no such encoder, or no such head.
    """
    if not feature.carried_by:
        return lake.find_encoder(feature.encoder)
    folder = lake.head_folder(feature.carried_by)
    place = None if folder is None else folder / CARRIED / feature.encoder
    if place is None or not (place / CARD_FILE).is_file():
        raise EncoderError(
            f"head {feature.carried_by} should carry encoder {feature.encoder}, and it is not there",
            f"restore the folder of the head under the name {feature.carried_by}, or train the head again",
        )
    return RegisteredEncoder(read_card(place), place, shipped=False)
