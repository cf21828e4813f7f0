"""The name of a layer of an encoder, as users write it and SQL views are called: ``NAME@LAYER``.

``NAME@all`` and ``NAME@0+2+3`` mean several layers; ``EncoderCard.named_layers`` says which.
"""

from dataclasses import dataclass
from typing import Self

from matlake.errors import EncoderError


@dataclass(frozen=True, order=True)
class LayerRef:
    """A layer of an encoder, or several; ``str`` writes it.

    Attributes:
        encoder: Name of the encoder.
        layer: Name of the layer, several joined by ``+``, or ``all``; None for the default layer of the card,
            which ``EncoderCard.ref`` puts in its place.
    """

    encoder: str
    layer: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``.

        Raises:
            EncoderError: It is neither.
        """
        name, at, layer = text.strip().partition("@")
        if not name or (at and not layer):
            raise EncoderError(f"{text!r} is not NAME or NAME@LAYER", "several layers: NAME@1+2, or NAME@all")
        return cls(name, layer or None)

    def __str__(self) -> str:
        """Return ``NAME@LAYER``, or ``NAME`` for the default layer."""
        return self.encoder if self.layer is None else f"{self.encoder}@{self.layer}"
