"""The card of an encoder: what it is, what it was trained on, and what its file must hash to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NoReturn

from matlake.documents import EditedError, opened, read_json, sealed_json
from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError
from matlake.files import write_whole
from matlake.materials.graph_recipe import GraphRecipe
from matlake.platforms import NOT_PORTABLE, is_portable

CARD_FILE: Final = "card.json"
MODEL_FILE: Final = "encoder.onnx"
LICENCE_FILE: Final = "LICENSE"
CITATION_FILE: Final = "CITATION.bib"
"""Beside the weights of others: the text of their licence goes wherever they go."""

FORMAT_VERSION: Final = 2
"""1 had no digest."""

DESCRIPTORS: Final = frozenset({"fractions", "geometry", "magpie"})
"""Architectures of descriptors: encoders that have learned nothing, such as the element fractions themselves.

They are so cheap that a head may name them as features without their being embedded before. Those of plug-ins say so
on their cards.
"""

NOTHING: Final = "nothing"
"""What the card of a descriptor says that it has learned."""

PREDICTION: Final = "prediction"
"""The layer that predicts the property which an encoder was trained on."""

ALL_LAYERS: Final = "all"
"""What ``NAME@all`` writes for the layers of ``EncoderCard.hidden_layers``."""

JOINED_BY: Final = "+"

_DEVIATIONS: Final = "_std"  # ends the names of layers that hold standard deviations over atoms
_IN_FRONT: Final = {"dimenet++": ("sums_", "messages_")}
"""Architecture -> what the names of layers in front of its output blocks begin with. What is behind these has forgotten
what their target does not need: see ``benchmarks/studies/dimenet_layers.py``."""

NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9+._-]{0,99}")


class InputKind(StrEnum):
    """What an encoder encodes."""

    COMPOSITION = "composition"
    CRYSTAL = "crystal"
    EXTERNAL = "external"
    """Nothing here: another program made its vectors, which were imported."""


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


class Precision(StrEnum):
    """How the weights of an encoder are stored; all but ``int8`` compute in float32."""

    FLOAT32 = "float32"
    FLOAT16_STORED = "float16-stored"
    INT8 = "int8"


@dataclass(frozen=True)
class InputParameters:
    """What turns a material into the inputs of an encoder: stated, never guessed.

    Attributes:
        elements: Symbols of the elements that the encoder takes, for compositions in the order of the fractions.
        graph: How crystals become graphs; None for an encoder of compositions.
        oxidation_states: Those of each element, for an encoder that takes whether a composition can be neutral as well.
    """

    elements: tuple[str, ...]
    graph: GraphRecipe | None = None
    oxidation_states: Mapping[str, Sequence[int]] | None = None


@dataclass(frozen=True)
class Target:
    """The property that an encoder was trained to predict.

    Attributes:
        name: Its column; several, separated by commas, where it predicts several.
        unit: Its unit, for people; ``""`` for none.
    """

    name: str
    unit: str = ""


@dataclass(frozen=True, repr=False)
class EncoderCard:
    """Everything known about an encoder apart from its weights.

    Attributes:
        name: Lower-case name, unique in a registry.
        version: Counts releases of the weights under this name.
        architecture: ``elemnet``, …
        input: What it encodes.
        layers: Named outputs, in the order of the graph.
        default_layer: The layer meant when none is named.
        sha256: Digest of the ONNX file, hexadecimal; of an external encoder one that was drawn with its first vectors.
        precision: How its weights are stored.
        parity_tolerance: Largest error allowed against the original network, relative to the largest
            absolute value of each layer's output.
        input_parameters: What turns a material into the graph's input (element order, cutoff, …).
        target: Property predicted during pretraining; None for a descriptor.
        training: How it was trained.
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
    input: InputKind
    layers: tuple[Layer, ...]
    default_layer: str
    sha256: str
    precision: Precision
    parity_tolerance: float
    licence: str
    input_parameters: InputParameters
    target: Target | None = None
    training: TrainingRecord = field(default_factory=TrainingRecord)
    metrics: dict[str, float] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)
    citation: tuple[str, ...] = ()
    tool_versions: dict[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __repr__(self) -> str:
        """Say in a line which encoder it is of."""
        return f"<card of encoder {self.name}, which takes {self.input}s: {len(self.layers)} layers>"

    @property
    def is_external(self) -> bool:
        """Whether its vectors were made by another program: there is no file that could make more of them."""
        return self.input is InputKind.EXTERNAL

    @property
    def is_descriptor(self) -> bool:
        """Whether the encoder has learned nothing."""
        return self.architecture in DESCRIPTORS or self.training.learned == NOTHING

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Properties that it, or a teacher of it, was trained on; empty for a descriptor, and where no card says."""
        if self.training.columns is not None:
            of_teachers = (name for teacher in self.training.teachers for name in teacher.trained_on)
            return tuple(dict.fromkeys((*self.training.columns.target_columns, *of_teachers)))
        if self.training.scope is not None:
            return self.training.scope.properties
        return tuple(name.strip() for name in self.target.name.split(",")) if self.target is not None else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of a card of an older format."""
        if self.format_version >= FORMAT_VERSION:
            return ()
        return (f"the card has format {self.format_version}, without a digest: an edit of it would go unnoticed",)

    @property
    def hidden_layers(self) -> tuple[Layer, ...]:
        """What ``NAME@all`` means: all layers but the prediction and the standard deviations over atoms.

        Of DimeNet++ those in front of its output blocks are all, where it has them.
        """
        hidden = tuple(
            layer for layer in self.layers if layer.name != PREDICTION and not layer.name.endswith(_DEVIATIONS)
        )
        beginnings = _IN_FRONT.get(self.architecture, ())
        return tuple(layer for layer in hidden if layer.name.startswith(beginnings)) or hidden

    def layer(self, name: str | None) -> Layer:
        """Return the layer of that name, or the default layer for None.

        Raises:
            EncoderError: There is no such layer, or the name means several.
        """
        wanted = name or self.default_layer
        for layer in self.layers:
            if layer.name == wanted:
                return layer
        choices = f"layers: {', '.join(layer.name for layer in self.layers)}"
        if wanted == ALL_LAYERS or JOINED_BY in wanted:
            raise EncoderError(f"{self.name}@{wanted} means several layers, and this takes one", choices)
        raise EncoderError(f"encoder {self.name} has no layer {wanted!r}", choices)

    def named_layers(self, names: str | None) -> tuple[Layer, ...]:
        """Return the layers that stand behind the ``@``.

        Args:
            names: Name of a layer; ``0+2+3`` for several, in that order; ``all`` for ``hidden_layers``; None for the
                default layer.

        Raises:
            EncoderError: There is no such layer, or one is named twice.
        """
        if names is None or any(layer.name == names for layer in self.layers):
            return (self.layer(names),)
        if names == ALL_LAYERS:
            if not self.hidden_layers:
                raise EncoderError(f"encoder {self.name} has no layer but its prediction", "name it: @prediction")
            return self.hidden_layers
        parts = names.split(JOINED_BY)
        if ALL_LAYERS in parts:
            raise EncoderError(
                f"{self.name}@{names} joins {ALL_LAYERS!r} and other layers",
                f"write {self.name}@{ALL_LAYERS}, or each layer by its name",
            )
        found = tuple(self.layer(name) if name else self._no_name(names) for name in parts)
        if len(set(found)) < len(found):
            raise EncoderError(f"{self.name}@{names} names a layer twice", "name each once")
        return found

    def _no_name(self, names: str) -> NoReturn:
        raise EncoderError(
            f"{self.name}@{names} lacks the name of a layer beside {JOINED_BY!r}", f"write {self.name}@1{JOINED_BY}2"
        )

    def ref(self, layer: str | None = None) -> LayerRef:
        """Return the reference to a layer: to the default layer for None.

        Raises:
            EncoderError: There is no such layer.
        """
        return LayerRef(self.name, self.layer(layer).name)

    def document(self) -> dict[str, Any]:
        """Return the entries of ``card.json``."""
        entries = asdict(self)
        parameters = {name: value for name, value in entries["input_parameters"].items() if value is not None}
        if self.input_parameters.graph is not None:
            parameters["graph"] = self.input_parameters.graph.to_card()
        target = entries["target"] or {}
        return {**entries, "input_parameters": parameters, "target": target, "training": self.training.document()}


def read_card(folder: Path) -> EncoderCard:
    """Read ``card.json`` from an encoder's folder.

    Raises:
        EncoderError: The card is missing, not valid, edited, or of a newer format.
    """
    path = folder / CARD_FILE
    try:
        entries = read_json(path)
        version = entries["format_version"]
        if version > FORMAT_VERSION:
            raise EncoderError(f"{path} has card format {version}, newer than {FORMAT_VERSION}", "update matlake")
        card = _read_entries(entries if version == 1 else opened(entries))
    except EditedError as error:
        raise EncoderError(
            f"{path}: {error}", "restore the file; the copy of an encoder that ships with matlake can be deleted"
        ) from error
    except OSError as error:
        raise EncoderError(f"no encoder card at {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderError(f"{path} is not an encoder card: {type(error).__name__}: {error}") from error
    check_name(card.name)
    card.layer(None)
    return card


def _read_entries(entries: dict[str, Any]) -> EncoderCard:
    parameters, target = entries.get("input_parameters", {}), entries.get("target")
    graph = parameters.get("graph")
    return EncoderCard(
        **entries
        | {
            "input": InputKind(entries["input"]),
            "precision": Precision(entries["precision"]),
            "layers": tuple(Layer(**layer) for layer in entries["layers"]),
            "citation": tuple(entries.get("citation", ())),
            "input_parameters": InputParameters(
                **parameters
                | {
                    "elements": tuple(parameters.get("elements", ())),
                    "graph": None if graph is None else GraphRecipe.from_card(graph),
                }
            ),
            "target": Target(**target) if target else None,
            "training": TrainingRecord.read_entries(entries.get("training", {})),
        }
    )


def write_card(card: EncoderCard, folder: Path) -> None:
    """Write ``card.json`` in this format, whole or not at all."""
    write_whole(folder / CARD_FILE, card_bytes(card))


def card_bytes(card: EncoderCard) -> bytes:
    """Return the content of ``card.json`` in this format."""
    return sealed_json(replace(card, format_version=FORMAT_VERSION).document())


def check_name(name: str) -> None:
    """Raise EncoderError unless a name is safe as a folder and an SQL view."""
    if not NAME_PATTERN.fullmatch(name):
        raise EncoderError(f"{name!r} is not an encoder name", "use lower-case letters, digits, '.', '_', '+' and '-'")


def check_new_name(name: str) -> None:
    """Raise EncoderError unless a name is one that a new encoder can have, on every system."""
    check_name(name)
    if not is_portable(name):
        raise EncoderError(f"no folder can be named {name!r} on Windows", NOT_PORTABLE)
