"""Cards that people write by hand, for encoders that another program made: few entries, each of them checked.

What is left out follows from the graph or from the file, or has a default that is stated here. Graph parameters,
elements, licence and training data are never guessed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from matlake.documents import DIGEST, EditedError, from_document, opened, parse_json, read_json
from matlake.encoders.card import (
    ALL_LAYERS,
    DESCRIPTORS,
    FORMAT_VERSION,
    NOTHING,
    EncoderCard,
    InputKind,
    InputParameters,
    Layer,
    Precision,
    Target,
    check_new_name,
)
from matlake.encoders.training_record import TrainingRecord, TrainingScope
from matlake.errors import EncoderError, Hint
from matlake.extras import tool_versions
from matlake.materials.graph_recipe import GRAPH_PLUGINS, GraphRecipe
from matlake.materials.periodic_table import ATOMIC_NUMBER, ELEMNET_ELEMENTS, SYMBOLS

BRING_YOUR_OWN: Final = 'docs/science/encoders.md, "Bring your own", says what a graph takes and what a card states'
"""A hint."""

LARGEST_TOLERANCE: Final = 0.05
"""Of a card: what int8 costs. A looser one would let vectors move with their batch."""

_NOT_STATED: Final = ("", "not stated")
_TOLERANCE: Final = 1e-5
_VERSION: Final = "format_version"
_LAYER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RANGE: Final = re.compile(r"([A-Z][a-z]?)-([A-Z][a-z]?)")


@dataclass(frozen=True)
class WrittenCard:
    """What a person may write on a card; see ``EncoderCard``.

    Attributes:
        architecture: What kind of network it is, in free text.
        input: What it encodes.
        licence: Of the weights.
        training: ``nothing``, of a descriptor; or entries of a ``TrainingRecord``, such as its ``scope``.
        name: Of the encoder; may be given beside the card instead.
        input_parameters: ``elements``, in which ``"H-Pu"`` is a range, and ``graph``. Those of compositions are known.
        layers: Names of layers -> outputs of the graph; or entries with ``name``, ``output`` and ``dim``. By default
            all outputs, under their own names.
        default_layer: May be left out where there is one layer.
        version: Counts releases of the weights.
        precision: How the weights are stored.
        parity_tolerance: How far a vector may be from the original, relative to the layer's largest value.
        citation: What to cite.
        target: ``name`` and ``unit`` of the property that it predicts.
        metrics: Its errors, with units in the keys.
        parity: Its error against the original, by layer.
        tool_versions: What made it.
        sha256: Of the ONNX file, where it is known.
    """

    architecture: str
    input: InputKind
    licence: str
    training: Any
    name: str | None = None
    input_parameters: dict[str, Any] = field(default_factory=dict)
    layers: Any = None
    default_layer: str | None = None
    version: int | None = None
    precision: Precision = Precision.FLOAT32
    parity_tolerance: float = _TOLERANCE
    citation: tuple[str, ...] = ()
    target: Target | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    parity: dict[str, float] = field(default_factory=dict)
    tool_versions: dict[str, str] = field(default_factory=dict)
    sha256: str | None = None


def read_written(card: str | Path | Mapping[str, Any], name: str | None = None) -> EncoderCard:
    """Read a card that a person wrote.

    Args:
        card: The JSON file, or its entries.
        name: Name of the encoder, in place of the card's.

    Returns:
        The card. What it leaves out is empty: layers, the default layer and the digest; the dimension of a layer and
        the version are 0.

    Raises:
        EncoderError: It cannot be read, lacks an entry, or one is unknown, of another type or out of range.
        PluginError: Its graphs are of a kind whose package is not installed.
    """
    place = "the card" if isinstance(card, Mapping) else str(card)
    try:
        written = from_document(WrittenCard, _entries(card))
        return _checked(written, name or written.name or "")
    except EditedError as error:
        raise EncoderError(f"{place}: {error}", f"leave out {DIGEST!r}: it is filled in") from error
    except OSError as error:
        raise EncoderError(f"cannot read {place}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise EncoderError(f"{place} is not the card of an encoder: {problem}", BRING_YOUR_OWN) from error


def _entries(card: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a card; of one that matlake wrote, after comparing it with its digest."""
    # what is given in Python may have tuples, and numbers as names of layers, which JSON has not
    found = parse_json(json.dumps(dict(card)).encode()) if isinstance(card, Mapping) else read_json(Path(card))
    if not isinstance(found, dict):
        raise TypeError("it is not a JSON object")
    entries: dict[str, Any] = opened(found) if DIGEST in found else found
    version = entries.pop(_VERSION, FORMAT_VERSION)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ValueError(f"{_VERSION} {version}, newer than {FORMAT_VERSION}")
    if entries.get("target") == {}:  # of a descriptor, as matlake writes it
        del entries["target"]
    return entries


def _checked(written: WrittenCard, name: str) -> EncoderCard:
    if not name:
        raise EncoderError("the card does not name the encoder", Hint("give name=…", cli="give --name NAME"))
    check_new_name(name)
    if written.input not in (InputKind.COMPOSITION, InputKind.CRYSTAL):
        raise ValueError(f"input is {written.input}, and graphs take {InputKind.COMPOSITION} or {InputKind.CRYSTAL}")
    for what in ("architecture", "licence"):
        if getattr(written, what).strip().lower() in _NOT_STATED:
            raise ValueError(f"{what} is not stated")
    if not 0 < written.parity_tolerance <= LARGEST_TOLERANCE:
        raise ValueError(f"parity_tolerance is {written.parity_tolerance:g}, not above 0 and up to {LARGEST_TOLERANCE}")
    if written.version is not None and written.version < 1:
        raise ValueError(f"version is {written.version}, and counts from 1")
    training = _training(written.training)
    if written.architecture in DESCRIPTORS and training.learned != NOTHING:
        raise ValueError(f"architecture {written.architecture!r} is a descriptor of matlake, which learns nothing")
    layers = _layers(written.layers)
    default = written.default_layer or (layers[0].name if len(layers) == 1 else "")
    if layers and default not in [layer.name for layer in layers]:
        raise ValueError(f"default_layer is {default!r}, and the layers are {', '.join(one.name for one in layers)}")
    return EncoderCard(
        name=name,
        version=written.version or 0,
        architecture=written.architecture,
        input=written.input,
        layers=layers,
        default_layer=default,
        sha256=written.sha256 or "",
        precision=written.precision,
        parity_tolerance=written.parity_tolerance,
        licence=written.licence,
        input_parameters=_parameters(written),
        target=written.target,
        training=training,
        metrics=written.metrics,
        parity=written.parity,
        citation=written.citation,
        tool_versions=written.tool_versions or tool_versions(("matlake", "onnx", "onnxruntime")),
    )


def _layers(given: Any) -> tuple[Layer, ...]:
    """Read layers, as a mapping of names to outputs or as a list of entries; dimensions may be missing."""
    if given is None:
        return ()
    if isinstance(given, dict):
        given = [{"name": name, "output": output} for name, output in given.items()]
    if not isinstance(given, list) or not given:
        raise TypeError("layers are neither entries with name and output nor names with outputs")
    layers = tuple(from_document(Layer, {"dim": 0, **layer} if isinstance(layer, dict) else layer) for layer in given)
    check_layers(layers)
    return layers


def check_layers(layers: Sequence[Layer]) -> None:
    """Raise ValueError where a layer cannot be named as ``NAME@LAYER``, or two have one name or output."""
    for layer in layers:
        if not _LAYER.fullmatch(layer.name) or layer.name == ALL_LAYERS:
            raise ValueError(f"{layer.name!r} cannot name a layer: use letters, digits, '.', '_' and '-'")
    for what, found in {
        "name": [layer.name.lower() for layer in layers],  # SQL does not tell capitals apart
        "output": [layer.output for layer in layers],
    }.items():
        double = next((one for one in found if found.count(one) > 1), None)
        if double is not None:
            raise ValueError(f"two layers have the {what} {double!r}{', capitals aside' * (what == 'name')}")


def _parameters(written: WrittenCard) -> InputParameters:
    given = dict(written.input_parameters)
    elements = _elements(given.pop("elements", None))
    graph, states = given.pop("graph", None), given.pop("oxidation_states", None)
    if given:
        raise ValueError(f"input_parameters has the unknown entry {next(iter(given))!r}")
    if written.input is InputKind.COMPOSITION:
        if graph is not None:
            raise ValueError("an encoder of compositions has no graph")
        if elements and elements != ELEMNET_ELEMENTS:
            other = next((a for a, b in zip(elements, ELEMNET_ELEMENTS, strict=False) if a != b), "the last one")
            raise ValueError(
                f"elements of compositions are the {len(ELEMNET_ELEMENTS)} that matlake makes, in their order, and "
                f"these are not from {other} on: leave them out"
            )
        return InputParameters(ELEMNET_ELEMENTS, None, states)
    if states is not None:
        raise ValueError("an encoder of crystals has no oxidation_states")
    if not elements:
        raise ValueError('input_parameters lacks the elements that the graph takes, such as ["H-Pu"]')
    if graph is None:
        raise ValueError('input_parameters lacks "graph", which says how crystals become graphs')
    return InputParameters(elements, _recipe(graph))


def _elements(given: Any) -> tuple[str, ...]:
    """Read symbols; ``"H-Pu"`` stands for all from H to Pu."""
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        raise TypeError('elements are a list, such as ["H-Pu"] or ["Ti", "O"]')
    found: list[str] = []
    for text in given:
        between = _RANGE.fullmatch(str(text))
        ends = between.groups() if between else (str(text), str(text))
        unknown = next((symbol for symbol in ends if symbol not in ATOMIC_NUMBER), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} among the elements is none")
        first, last = (ATOMIC_NUMBER[symbol] for symbol in ends)
        if first > last:
            raise ValueError(f"elements {text!r}: {ends[0]} comes after {ends[1]}")
        found += SYMBOLS[first - 1 : last]
    double = next((symbol for symbol in found if found.count(symbol) > 1), None)
    if double is not None:
        raise ValueError(f"element {double} is named twice")
    return tuple(found)


def _recipe(graph: Any) -> GraphRecipe:
    """Read graph parameters. The package of a plug-in's kind is filled in: a card says later what is missing."""
    if not isinstance(graph, dict):
        raise TypeError("graph is not an object with kind, cutoff_A, max_neighbours and blocks")
    kind = str(graph.get("kind"))
    package = None if kind in GRAPH_PLUGINS.built_in() else GRAPH_PLUGINS.package(kind)
    recipe = GraphRecipe.from_card({**({"package": package} if package else {}), **graph})
    _ = recipe.plugin
    plain = {name: value for name, value in recipe.to_card().items() if name != "options"}
    from_document(GraphRecipe, plain)  # which compares types
    return recipe


def _training(given: Any) -> TrainingRecord:
    if given == NOTHING:
        return TrainingRecord(learned=NOTHING)
    if not isinstance(given, dict):
        raise TypeError(f'training is neither "{NOTHING}" nor an object such as {{"scope": …}}')
    unknown = given.keys() - ({one.name for one in fields(TrainingRecord)} - {"others"})
    if unknown:
        raise ValueError(f"training has the unknown entry {min(unknown)!r}")
    if given.get("scope") is not None:
        try:
            from_document(TrainingScope, given["scope"])
        except ValueError as error:
            raise ValueError(f"until in scope is not a day, month or year, such as 2025-06: {error}") from error
    record = TrainingRecord.read_entries(given)
    if record.scope is None and record.columns is None and record.learned != NOTHING:
        raise ValueError(
            f'training does not say what was learned from: "{NOTHING}", or {{"scope": {{"database": …, "properties": '
            '["energy_eV_per_atom"], "until": "2025-06"}}'
        )
    return record
