"""Encoders that another program made: a graph and a card, held against each other and against the contract.

Nothing counts before all of it holds. What the card leaves out follows from the graph: layers and dimensions.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from matlake.encoders.base import Arrays, Encoder
from matlake.encoders.card import CARD_FILE, MODEL_FILE, EncoderCard, InputKind, Layer, write_card
from matlake.encoders.composition_encoder import CHARGE_NEUTRAL, FRACTIONS, CompositionEncoder
from matlake.encoders.crystal_encoder import CrystalEncoder
from matlake.encoders.reference import covered_materials, reference_materials
from matlake.encoders.registry import licence_files
from matlake.encoders.session import MAX_MODEL_BYTES, open_session
from matlake.encoders.verify import Check, verify_encoder
from matlake.encoders.written_cards import BRING_YOUR_OWN, check_layers
from matlake.errors import EncoderError
from matlake.files import sha256_of, write_whole
from matlake.materials.crystal import CrystalColumns

if TYPE_CHECKING:
    import onnx

Axes: TypeAlias = Mapping[str, tuple[str, ...]]

_COUNTS: Final = (1, 2, 5)
"""Materials that run together when the shapes of outputs are looked at."""

_DYNAMIC: Final = "export with dynamic_shapes that name this axis; " + BRING_YOUR_OWN
_SHOWN: Final = 300  # characters of what ONNX Runtime says


@dataclass(frozen=True)
class Prepared:
    """An encoder that keeps the contract, in a folder of its own.

    Attributes:
        card: The card as written.
        folder: Holds ``encoder.onnx`` and ``card.json``, and the licence of an encoder that is registered again.
        checks: The clauses of the contract, and what was found.
    """

    card: EncoderCard
    folder: Path
    checks: tuple[Check, ...]


@contextmanager
def prepared(onnx_file: str | Path, written: EncoderCard) -> Iterator[Prepared]:
    """Give a folder with an encoder that keeps the contract, for as long as the block runs.

    Args:
        onnx_file: The graph.
        written: What ``read_written`` read.

    Raises:
        EncoderError: The graph is refused by the audit, does not take or give what the card says, or breaks a clause of
            the contract; the first offender is named.
        PluginError: Its graphs are of a kind whose package is not installed.
        MissingExtraError: ONNX Runtime is not installed.
    """
    path = Path(onnx_file)
    content = _read(path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_whole(folder / MODEL_FILE, content)
        if path.name == MODEL_FILE and (path.parent / CARD_FILE).exists():  # of an encoder, such as one of a head
            for file, text in licence_files(path.parent).items():
                write_whole(folder / file, text)
        sha256 = sha256_of(folder / MODEL_FILE)
        if written.sha256 not in ("", sha256):
            raise EncoderError(f"the card states the sha256 {written.sha256}, and {path} has {sha256}")
        card = replace(written, sha256=sha256, version=written.version or 1)
        _check_inputs(_graph(content), card, path)
        card = _with_layers(card, path)
        write_card(card, folder)
        checks = tuple(verify_encoder(folder))
        failed = [check for check in checks if not check.passed]
        if failed:
            more = f" ({len(failed) - 1} more of {len(checks)} clauses fail)" if failed[1:] else ""
            detail = failed[0].detail.replace(str(folder / MODEL_FILE), str(path))
            raise EncoderError(
                f"{path} breaks the contract of encoders: {failed[0].name}: {detail}{more}", BRING_YOUR_OWN
            )
        yield Prepared(card, folder, checks)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise EncoderError(f"{path} is larger than {MAX_MODEL_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise EncoderError(f"cannot read {path}: {error.strerror}") from error


def _graph(content: bytes) -> "onnx.GraphProto | None":
    """Return the graph of a file; None where the audit will say what is wrong with it."""
    import onnx
    from google.protobuf.message import DecodeError

    with suppress(DecodeError, ValueError):
        graph = onnx.load_model_from_string(content).graph
        return graph if graph.node else None
    return None


def _check_inputs(graph: "onnx.GraphProto | None", card: EncoderCard, path: Path) -> None:
    """Refuse a graph whose inputs are not those that matlake makes for its kind."""
    if graph is None:
        return
    import onnx

    kind, arrays, axes = _made(card)
    weights = {tensor.name for tensor in graph.initializer}
    taken = {value.name: value.type.tensor_type for value in graph.input if value.name not in weights}
    known = f"{kind} have the inputs {', '.join(arrays)}"
    for name in taken:
        if name not in arrays:
            raise EncoderError(f"{path} takes the input {name!r}, which nothing makes: {known}", BRING_YOUR_OWN)
    for name, array in arrays.items():
        if name not in taken:
            raise EncoderError(f"{path} does not take the input {name!r}: {known}", BRING_YOUR_OWN)
        given, dims = taken[name].elem_type, taken[name].shape.dim
        if given != onnx.helper.np_dtype_to_tensor_dtype(array.dtype):
            stated = {number: kind for kind, number in onnx.TensorProto.DataType.items()}.get(given, "of no type")
            raise EncoderError(
                f"input {name!r} of {path} is {stated.lower()}, and matlake gives {array.dtype}", BRING_YOUR_OWN
            )
        if len(dims) != array.ndim:
            made = ", ".join(axes[name])
            raise EncoderError(
                f"input {name!r} of {path} has {len(dims)} axes, and matlake gives {array.ndim}: {made}", BRING_YOUR_OWN
            )
        for axis, dim in zip(axes[name], dims, strict=True):
            if dim.HasField("dim_value") and not (axis.isdigit() and dim.dim_value == int(axis)):
                size = axis if axis.isdigit() else "any number of"
                what = f"{dim.dim_value} in the graph, and matlake gives {size}"
                raise EncoderError(f"axis {axis!r} of input {name!r} of {path} is {what}", _DYNAMIC)


def _made(card: EncoderCard) -> tuple[str, Arrays, Axes]:
    """Return what matlake makes of materials for a card: what these are called, arrays of two, and their axes."""
    if card.input is InputKind.COMPOSITION:
        elements = str(len(card.input_parameters.elements))
        axes = {FRACTIONS: ("compositions", elements)}
        if card.input_parameters.oxidation_states is not None:
            axes[CHARGE_NEUTRAL] = ("compositions", "1")
        return (
            "encoders of compositions",
            {name: np.zeros((2, int(of[1])), np.float32) for name, of in axes.items()},
            axes,
        )
    from matlake.encoders.graph_inputs import axes_of, graph_inputs

    recipe, crystals = card.input_parameters.graph, reference_materials(card.input)
    assert recipe is not None  # noqa: S101 - ``read_written`` asks for it
    assert isinstance(crystals, CrystalColumns)  # noqa: S101 - the reference materials of encoders of crystals
    return f"graphs of kind {recipe.kind}", graph_inputs(recipe.build(crystals.take([0, 1])), recipe), axes_of(recipe)


def _with_layers(card: EncoderCard, path: Path) -> EncoderCard:
    """Return the card with its layers as the graph has them, after comparing what it states."""
    session = open_session(path, card.sha256, error=EncoderError)
    outputs = [output.name for output in session.get_outputs()]
    stated = card.layers or tuple(Layer(name, name, 0) for name in outputs)
    named = [layer.output for layer in stated]
    lacking = next((name for name in named if name not in outputs), None)
    unnamed = next((name for name in outputs if name not in named), None)
    if lacking is not None or unnamed is not None:
        problem = f"output {lacking!r}, which it lacks" if lacking is not None else f"no layer for output {unnamed!r}"
        raise EncoderError(
            f"{path} has {len(outputs)} outputs ({', '.join(outputs)}), and the card names {problem}", BRING_YOUR_OWN
        )
    try:
        check_layers(stated)
    except ValueError as error:
        raise EncoderError(f"{path}: {error}", "name layers and their outputs on the card") from error
    if not card.default_layer and len(stated) > 1:
        raise EncoderError(f"the card names no default_layer, and there are {', '.join(one.name for one in stated)}")
    default = card.default_layer or stated[0].name
    if default not in [layer.name for layer in stated]:
        raise EncoderError(f"default_layer is {default!r}, and {path} has the outputs {', '.join(outputs)}")
    card = replace(card, layers=stated, default_layer=default)
    found = _dimensions(card, session, path)
    for layer in stated:
        if layer.dim not in (0, found[layer.output]):
            raise EncoderError(
                f"layer {layer.name} has {layer.dim} numbers on the card, and {found[layer.output]} as output "
                f"{layer.output!r} of {path}"
            )
    return replace(card, layers=tuple(replace(layer, dim=found[layer.output]) for layer in stated))


def _dimensions(card: EncoderCard, session: Any, path: Path) -> dict[str, int]:
    """Run the graph on a few materials; return how many numbers each output has of one of them."""
    opened = CrystalEncoder if card.input is InputKind.CRYSTAL else CompositionEncoder
    encoder: Encoder = opened.open(card, session, "cpu")
    materials, found = covered_materials(encoder), dict[str, int]()
    heaviest = np.maximum.reduceat(materials.numbers, materials.offsets[:-1])
    lightest = np.argsort(heaviest, kind="stable")  # whether the graph takes heavy elements, the contract says better
    names = [layer.output for layer in card.layers]
    for count in _COUNTS:
        arrays = encoder.feed(encoder.inputs(materials.take(lightest[:count])))
        try:
            outputs = session.run(names, arrays)
        except Exception as error:  # onnxruntime's exceptions share no public base class
            reason = " ".join(str(error).split())[:_SHOWN]
            raise EncoderError(f"{path} fails on {count} {card.input}s: {reason}", BRING_YOUR_OWN) from error
        for name, output in zip(names, outputs, strict=True):
            shape = list(np.shape(output))
            if not shape or shape[0] != count:
                raise EncoderError(
                    f"output {name!r} of {path} has the shape {shape} for {count} {card.input}s: its first axis is not "
                    "the one along which these are",
                    BRING_YOUR_OWN,
                )
            if output.dtype != np.float32:
                raise EncoderError(f"output {name!r} of {path} is {output.dtype}, not float32", "cast it in the graph")
            dim = found.setdefault(name, output.size // count)
            if dim != output.size // count or not dim:
                raise EncoderError(
                    f"output {name!r} of {path} has {output.size // count} numbers for each of {count} {card.input}s, "
                    f"and {dim} for one alone",
                    BRING_YOUR_OWN,
                )
    return found
