"""Descriptors: encoders that have learned nothing, such as the element fractions themselves.

They are so cheap that a head may name them as features without their being embedded before.
"""

from typing import Final

from matlake.encoders.card import EncoderCard

DESCRIPTORS: Final = frozenset({"fractions", "magpie"})
"""Architectures of descriptors."""


def is_descriptor(card: EncoderCard) -> bool:
    """Say whether an encoder has learned nothing."""
    return card.architecture in DESCRIPTORS
