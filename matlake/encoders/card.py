"""The card of an encoder: what it is, what it was trained on, and what its file must hash to."""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from matlake.errors import EncoderError
from matlake.files import write_whole

CARD_FILE: Final = "card.json"
MODEL_FILE: Final = "encoder.onnx"
FORMAT_VERSION: Final = 1
NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9+._-]{0,99}")


@dataclass(frozen=True)
class Layer:
    """A named output of an encoder.

    Attributes:
        name: What stands behind the ``@``: ``4``, or ``prediction``.
        output: Name of the output in the ONNX graph.
        dim: Length of the vector.
    """

    name: str
    output: str
    dim: int


@dataclass(frozen=True)
class EncoderCard:
    """Everything known about an encoder apart from its weights.

    Attributes:
        name: Lower-case name, unique in a registry.
        version: Counts releases of the weights under this name.
        architecture: ``elemnet``, …
        input: ``composition`` or ``crystal``.
        layers: Named outputs, in the order of the graph.
        default_layer: The layer meant when none is named.
        sha256: Digest of the ONNX file, hexadecimal.
        precision: ``float32``, ``float16-stored`` (computes in float32) or ``int8``.
        parity_tolerance: Largest error allowed against the original network, relative to the largest
            absolute value of each layer's output.
        input_parameters: What turns a material into the graph's input (element order, cutoff, …).
        target: Property predicted during pretraining, with ``unit``.
        training: Data, rows used and dropped, split, settings.
        metrics: Errors of the shipped file on held-out rows, with units in the keys.
        parity: Measured error of each layer.
        licence: Licence of the weights.
        citation: Papers and data to cite.
        tool_versions: Versions that made the file.
        format_version: Version of this schema.
    """

    name: str
    version: int
    architecture: str
    input: str
    layers: tuple[Layer, ...]
    default_layer: str
    sha256: str
    precision: str
    parity_tolerance: float
    licence: str
    input_parameters: dict[str, Any] = field(default_factory=dict)
    target: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)
    citation: tuple[str, ...] = ()
    tool_versions: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def layer(self, name: str | None) -> Layer:
        """Return the layer of that name, or the default layer for None.

        Raises:
            EncoderError: There is no such layer.
        """
        wanted = name or self.default_layer
        for layer in self.layers:
            if layer.name == wanted:
                return layer
        raise EncoderError(
            f"encoder {self.name} has no layer {wanted!r}",
            f"layers: {', '.join(layer.name for layer in self.layers)}",
        )

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_card(folder: Path) -> EncoderCard:
    """Read ``card.json`` from an encoder's folder.

    Raises:
        EncoderError: The card is missing, not valid, or of a newer format.
    """
    path = folder / CARD_FILE
    try:
        fields = json.loads(path.read_bytes())
        if fields["format_version"] > FORMAT_VERSION:
            raise EncoderError(
                f"{path} has card format {fields['format_version']}, newer than {FORMAT_VERSION}",
                "update matlake",
            )
        fields["layers"] = tuple(Layer(**layer) for layer in fields["layers"])
        fields["citation"] = tuple(fields.get("citation", ()))
        card = EncoderCard(**fields)
    except OSError as error:
        raise EncoderError(f"no encoder card at {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderError(f"{path} is not an encoder card: {error!r}") from error
    check_name(card.name)
    card.layer(None)
    return card


def write_card(card: EncoderCard, folder: Path) -> None:
    """Write ``card.json``, whole or not at all."""
    write_whole(folder / CARD_FILE, card.to_json().encode())


def check_name(name: str) -> None:
    """Raise EncoderError unless a name is safe as a folder and an SQL view."""
    if not NAME_PATTERN.fullmatch(name):
        raise EncoderError(f"{name!r} is not an encoder name", "use lower-case letters, digits, '.', '_', '+' and '-'")
