"""What ``encode`` does with a piece of work, in this process or on another machine."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, Inputs
from matlake.encoders.card import read_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import RegisteredEncoder, check_same_file, find_encoder
from matlake.materials.objects import Material


@dataclass(frozen=True, eq=False)
class Model:
    """An opened encoder, and where its layers go.

    Attributes:
        name: Name or folder that it was found by.
        encoder: The encoder.
        layers: Names of the layers.
        columns: Columns of each layer in the matrix.
    """

    name: str
    encoder: Encoder
    layers: list[str]
    columns: list[slice]

    @property
    def dim(self) -> int:
        """How many numbers its layers make of a material."""
        return sum(columns.stop - columns.start for columns in self.columns)


@dataclass(frozen=True, eq=False)
class Piece:
    """Materials that are encoded together.

    Attributes:
        models: Places of encoders that run on the same inputs.
        rows: int64 [k], places of the materials.
        materials: The materials.
    """

    models: list[int]
    rows: NDArray[np.int64]
    materials: list[Material]


@dataclass(frozen=True, eq=False)
class Made:
    """A piece with its inputs.

    Attributes:
        piece: The piece.
        taken: bool [k] for each encoder: which materials it takes.
        reasons: Why it does not take another.
        inputs: Those of the materials that at least one encoder takes; None where there are none.
    """

    piece: Piece
    taken: list[NDArray[np.bool_]]
    reasons: list[tuple[int, str]]
    inputs: Inputs | None


@dataclass(frozen=True, eq=False)
class Encoded:
    """What came of a piece.

    Attributes:
        models: Places of the encoders.
        count: Number of materials.
        vectors: For each encoder that took some: its place; int64 [m], places of these materials; and for each layer
            float32 [m, dim].
        reasons: Places of the others, and why.
    """

    models: list[int]
    count: int
    vectors: list[tuple[int, NDArray[np.int64], list[NDArray[np.float32]]]]
    reasons: list[tuple[int, str]]


def stages_of(models: Sequence[Model]) -> tuple[Callable[[Piece], Made], Callable[[Made], Encoded]]:
    """Return the stages of encoding, as engines take them."""

    def make(piece: Piece) -> Made:
        encoder = models[piece.models[0]].encoder
        columns = encoder.columns(piece.materials)
        taken, reasons = [], []
        for place in piece.models:
            found = models[place].encoder.rejections(columns)
            taken.append(np.array([reason is None for reason in found]))
            reasons += [(int(piece.rows[row]), reason) for row, reason in enumerate(found) if reason is not None]
        usable = np.flatnonzero(np.logical_or.reduce(taken))
        if not len(usable):
            return Made(piece, taken, reasons, None)
        some = columns if len(usable) == len(columns) else columns.take(usable)
        return Made(piece, taken, reasons, encoder.inputs(some, ahead=True))

    def encode(made: Made) -> Encoded:
        """Run each network once for all of its layers."""
        piece, reasons, encoded = made.piece, list(made.reasons), []
        usable = np.logical_or.reduce(made.taken)
        for place, taken in zip(piece.models, made.taken, strict=True):
            places, own = np.flatnonzero(taken), taken[usable]
            if made.inputs is None or not len(places):
                continue
            model = models[place]
            inputs = made.inputs if own.all() else model.encoder.take(made.inputs, np.flatnonzero(own))
            vectors, refused = model.encoder.encode_finite(inputs, model.layers)
            rows = piece.rows[places]
            reasons += [(int(row), reason) for row, reason in zip(rows, refused, strict=True) if reason is not None]
            encoded.append((place, rows[[reason is None for reason in refused]], vectors))
        return Encoded(piece.models, len(piece.rows), encoded, reasons)

    return make, encode


@dataclass(frozen=True)
class RemoteModels:
    """The encoders of a run, for machines that find them by name.

    Attributes:
        models: Name or folder, sha256 and layers of each.
        device: ``cpu`` or ``cuda``.
    """

    models: tuple[tuple[str, str, tuple[str, ...]], ...]
    device: str

    @classmethod
    def of(cls, models: Sequence[Model], device: str) -> Self:
        """Return what is named of encoders that are open here."""
        return cls(tuple((one.name, one.encoder.card.sha256, tuple(one.layers)) for one in models), device)

    def open(self) -> tuple[Callable[[Piece], Made], Callable[[Made], Encoded]]:
        """Open the encoders, and return the stages.

        Raises:
            EncoderError: An encoder is not there, or is another one.
            MissingExtraError: ONNX Runtime or the device is not there.
        """
        models = []
        for name, sha256, layers in self.models:
            found = find_named(name)
            check_same_file(found, sha256)
            encoder = open_encoder(found.folder, device=self.device, layers=layers)
            models.append(Model(name, encoder, list(layers), []))
        return stages_of(models)


def is_path(name: str) -> bool:
    """Say whether what names an encoder is the path of its folder."""
    return "/" in name or os.sep in name


def find_named(name: str) -> RegisteredEncoder:
    """Find an encoder by its name, or by the path of its folder.

    Raises:
        EncoderError: There is none.
    """
    if not is_path(name):
        return find_encoder(name)
    return RegisteredEncoder(read_card(Path(name)), Path(name), shipped=False)
