"""What makes up a head's input: embedded layers, descriptors, columns of the user's own."""

from collections.abc import Sequence
from dataclasses import dataclass

from matlake.encoders.card import InputKind
from matlake.encoders.layer_ref import LayerRef
from matlake.errors import EncoderError, Hint, TrainingError, embed_first, import_first
from matlake.regress.features.own_columns import column_named, feature_name, find_column, is_column
from matlake.store.lake import Lake


@dataclass(frozen=True)
class Feature:
    """A layer of an encoder, or a column, as part of a head's input.

    Attributes:
        feature: ``NAME@LAYER``, or ``column:NAME``.
        encoder: Name of the encoder; empty for a column, as are layer and digest.
        layer: Name of the layer.
        sha256: Digest of the encoder's ONNX file.
        dim: Length of the vector; 1 for a column.
        input: What the encoder encodes; cards of heads older than crystals lack it.
        column: Name of the column of ``materials``; empty for a layer. Cards of formats 1 to 5 lack it.
        carried_by: Name of the head that carries the encoder in its folder: a network that was fine-tuned for it. Empty
            for an encoder of a registry. Cards of formats 1 to 7 lack it.
    """

    feature: str
    encoder: str
    layer: str
    sha256: str
    dim: int
    input: InputKind = InputKind.COMPOSITION
    column: str = ""
    carried_by: str = ""

    def __post_init__(self) -> None:
        """Read the input from the text of a card.

        Raises:
            ValueError: A column is not one number.
        """
        object.__setattr__(self, "input", InputKind(self.input))
        if self.column and self.dim != 1:
            raise ValueError(f"column {self.column} has {self.dim} numbers")

    @property
    def is_external(self) -> bool:
        """Whether another program makes its vectors."""
        return self.input is InputKind.EXTERNAL

    @property
    def remedy(self) -> Hint:
        """What to do where its vectors are lacking."""
        return import_first(self.encoder) if self.is_external else embed_first(self.feature)

    @property
    def carried(self) -> tuple[str, str]:
        """The head and the digest that tell an encoder which a head carries from others; empty names for others."""
        return (self.carried_by, self.sha256) if self.carried_by else ("", "")

    @property
    def partition(self) -> dict[str, str]:
        """The partition of the embeddings table that holds its vectors."""
        return {"encoder": self.encoder, "encoder_sha256": self.sha256, "layer": self.layer}


def no_vector(encoder: str) -> str:
    """Return why a row cannot be used that has no vector of an external encoder."""
    return f"no vector of encoder {encoder}: import it with import-embeddings"


def columns_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """Return the columns among some features."""
    return tuple(feature.column for feature in features if feature.column)


def layers_of(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return the layers of encoders among some features."""
    return tuple(feature for feature in features if not feature.column)


def places_of_columns(features: Sequence[Feature]) -> tuple[int, ...]:
    """Return at which numbers of the features, side by side, the columns are."""
    starts = [sum(other.dim for other in features[:place]) for place in range(len(features))]
    return tuple(start for start, feature in zip(starts, features, strict=True) if feature.column)


def refuse_columns(features: Sequence[str], study: str) -> None:
    """Refuse columns where features of encoders are compared.

    Raises:
        TrainingError: One of the features is a column.
    """
    found = [feature for feature in features if is_column(feature)]
    if found:
        raise TrainingError(
            f"{study} compares encoders and descriptors, and {found[0]} is a column",
            Hint("train heads with and without it: matlake.train", cli="train heads with and without it"),
        )


def _resolve_columns(lake: Lake, features: Sequence[str]) -> dict[str, Feature]:
    """Return the features that are columns by how they are written."""
    names = _find_columns(lake, [column_named(text) for text in features])
    return {
        text: Feature(feature_name(name), "", "", "", 1, column=name)
        for text, name in zip(features, names, strict=True)
    }


def _find_columns(lake: Lake, wanted: Sequence[str]) -> list[str]:
    from matlake.store.damage import read_what_is_sound  # prediction needs no tables

    def find() -> list[str]:
        with lake.connect() as connection:
            return [find_column(connection, one) for one in wanted]

    return read_what_is_sound(lake, find)


def _column_meant(lake: Lake, text: str) -> TrainingError | None:
    """Return the error for the bare name of a column; None where there is no such column."""
    try:
        (name,) = _find_columns(lake, [text])
    except TrainingError:
        return None
    return TrainingError(f"{text!r} is a column, not an encoder", f"write {feature_name(name)}")


def resolve_features(lake: Lake, features: list[str]) -> tuple[Feature, ...]:
    """Find the encoders and layers that ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` and ``NAME@all`` mean.

    ``column:NAME`` means a column of the datasets that holds numbers, or true and false as 1 and 0.

    Returns:
        One feature for each layer and column.

    Raises:
        EncoderError: No such encoder or layer.
        TrainingError: A feature is named twice, or is the bare name of a column; or there is no such column, or it
            holds no numbers.
    """
    resolved: list[Feature] = []
    written = [text for text in features if is_column(text)]
    columns = _resolve_columns(lake, written) if written else {}
    for text in features:
        if text in columns:
            _add(resolved, columns[text])
            continue
        ref = LayerRef.parse(text)
        try:
            card = lake.find_encoder(ref.encoder).card
        except EncoderError as error:
            raise _column_meant(lake, text) or error from None
        for layer in card.named_layers(ref.layer):
            ref_of_layer = str(card.ref(layer.name))
            _add(resolved, Feature(ref_of_layer, card.name, layer.name, card.sha256, layer.dim, card.input))
    return tuple(resolved)


def _add(resolved: list[Feature], feature: Feature) -> None:
    if feature in resolved:
        raise TrainingError(f"feature {feature.feature} is named twice", "name each layer and column once")
    resolved.append(feature)
