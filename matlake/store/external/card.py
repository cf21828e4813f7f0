"""The card of an external encoder: a name for vectors that another program made, and what is known of them."""

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, replace
from typing import Final

from matlake.encoders.card import (
    ALL_LAYERS,
    CARD_FILE,
    PREDICTION,
    EncoderCard,
    InputKind,
    InputParameters,
    Layer,
    Precision,
    card_bytes,
    check_name,
    check_new_name,
)
from matlake.encoders.registry import ENCODER_PLUGINS
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError, Hint, LakeError
from matlake.store.lake import Lake
from matlake.store.storage.places import make_folder, write_whole

ARCHITECTURE: Final = "external"
NOT_STATED: Final = "not stated"

_LAYER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class About:
    """What is said about an external encoder; empty where nothing is.

    Attributes:
        licence: Licence of the weights that made the vectors.
        citation: Papers and data to cite.
        source: The network, the program and its version, the settings: for people.
    """

    licence: str = ""
    citation: tuple[str, ...] = ()
    source: str = ""


def find_external(lake: Lake, name: str) -> EncoderCard | None:
    """Return the card of an external encoder of a lake; None where no encoder has its name.

    Raises:
        EncoderError: The name cannot be an encoder's, is that of another kind of encoder, or its card is damaged.
    """
    check_name(name)
    card = present_card(lake, name)
    if card is None:  # which is cheaper than to look for it among all
        found = next(iter(lake.registered_encoders({name})), None) or ENCODER_PLUGINS.find(name)
        if found is None:
            return None
        card = found.card
    if not card.is_external:
        raise EncoderError(
            f"{name!r} is an encoder of {card.input}s, which makes its vectors itself",
            Hint(
                f"give vectors of another program another name; lake.embed({name!r}) embeds with this encoder",
                cli=f"give vectors of another program another name; `matlake embed --encoder {name}` embeds with it",
            ),
        )
    return card


def present_card(lake: Lake, name: str) -> EncoderCard | None:
    """Return the card that a lake has of an encoder now; None where it has none.

    Raises:
        EncoderError: It is damaged.
    """
    return lake.find_encoder(name).card if (lake.encoders_folder / name / CARD_FILE).is_file() else None


def check_layer_name(layer: str) -> None:
    """Raise EncoderError unless a layer can have a name."""
    if not _LAYER_NAME.fullmatch(layer) or layer in (ALL_LAYERS, PREDICTION):
        raise EncoderError(
            f"{layer!r} cannot name a layer of vectors",
            f"use letters, digits, '.', '_' and '-'; not {ALL_LAYERS!r} or {PREDICTION!r}",
        )


def new_card(name: str, layer: str, dim: int, sha256: str, about: About) -> EncoderCard:
    """Return the card of an external encoder that has no vectors yet.

    Raises:
        EncoderError: No folder can have its name on Windows.
    """
    check_new_name(name)
    card = EncoderCard(
        name=name,
        version=1,
        architecture=ARCHITECTURE,
        input=InputKind.EXTERNAL,
        layers=(Layer(layer, layer, dim),),
        default_layer=layer,
        sha256=sha256,
        precision=Precision.FLOAT32,
        parity_tolerance=0.0,
        licence=NOT_STATED,
        input_parameters=InputParameters(()),
    )
    return described(card, about)


def described(card: EncoderCard, about: About) -> EncoderCard:
    """Return a card with what is said about the encoder, where something is."""
    return replace(
        card,
        licence=about.licence or card.licence,
        citation=about.citation or card.citation,
        training=TrainingRecord(origin=about.source) if about.source else card.training,
    )


def draw_identity(name: str, layer: str) -> str:
    """Return a digest for a new external encoder, 64 hexadecimal digits.

    Nothing that could be digested says which network made the vectors. So it is drawn: vectors that are imported under
    this name elsewhere, or after the encoder was deleted, are those of another encoder, and heads refuse them.
    """
    return hashlib.sha256(json.dumps([ARCHITECTURE, name, layer, uuid.uuid4().hex]).encode()).hexdigest()


def save_card(lake: Lake, card: EncoderCard) -> None:
    """Write a card into a lake, whole or not at all.

    Raises:
        LakeError: It cannot be written.
    """
    folder = lake.encoders_folder / card.name
    try:
        make_folder(folder)
        write_whole(folder / CARD_FILE, card_bytes(card))
    except OSError as error:
        raise LakeError(f"cannot write {folder / CARD_FILE}: {error}", "check the disk and its permissions") from error


def with_layer(card: EncoderCard, layer: str, dim: int) -> EncoderCard:
    """Return a card that has a layer, added where it has none of that name.

    Raises:
        EncoderError: Vectors of the layer have another length, or the name of another one differs in capitals alone.
    """
    known = {one.name: one.dim for one in card.layers}
    same = next((name for name in known if name.lower() == layer.lower() and name != layer), None)
    if same is not None:
        raise EncoderError(
            f"{card.name} has a layer {same!r}, and names in SQL do not tell {layer!r} from it", "use another name"
        )
    if layer not in known:
        return replace(card, layers=(*card.layers, Layer(layer, layer, dim)))
    if known[layer] != dim:
        raise EncoderError(
            f"vectors of {card.name}@{layer} have {known[layer]:,} numbers, and these have {dim:,}",
            "give them another layer, or another encoder's name",
        )
    return card
