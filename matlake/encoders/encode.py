"""``matlake.encode``: from what a notebook holds to a matrix, without a lake, as fast as ``embed`` into one.

Materials are read as an import reads them and encoded as ``embed`` does: equal contents once, in shards, inputs made
ahead of the threads that encode.
"""

import os
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, Inputs
from matlake.encoders.card import InputKind, Layer, read_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.pipeline import run_stages
from matlake.encoders.registry import RegisteredEncoder, find_encoder, named_layers
from matlake.encoders.rejections import NO_CRYSTAL
from matlake.encoders.shard_sizes import most_contents, most_sites
from matlake.errors import EncoderError, FormulaError, MatlakeError, NotEncodedError, NotEncodedWarning, StructureError
from matlake.materials.crystal import MAX_ATOMS, Crystal, CrystalColumns
from matlake.materials.disorder import DisorderedError
from matlake.materials.formula import Composition
from matlake.materials.objects import Material, as_material, has_composition, has_structure
from matlake.progress import Progress, watched
from matlake.sequences import as_list, split_names

EncoderName: TypeAlias = str | os.PathLike[str]

_KEPT_OPEN: Final = 4
_READ_AT_ONCE: Final = 1024  # rows whose atoms are compared at once
_SHOWN: Final = 3  # failures in a message


@dataclass(frozen=True)
class EncodingFailure:
    """A material that was not encoded.

    Attributes:
        row: Its place, from 0.
        reason: Why.
    """

    row: int
    reason: str

    def __str__(self) -> str:
        """Return the text for people."""
        return f"row {self.row:,}: {self.reason}"


@overload
def encode(
    materials: Any,
    encoder: EncoderName | Iterable[EncoderName],
    *,
    errors: Literal["raise", "nan"] = ...,
    return_failures: Literal[False] = ...,
    device: str = ...,
    workers: int | None = ...,
    max_atoms: int = ...,
    progress: bool | Progress = ...,
) -> NDArray[np.float32]: ...
@overload
def encode(
    materials: Any,
    encoder: EncoderName | Iterable[EncoderName],
    *,
    errors: Literal["raise", "nan"] = ...,
    return_failures: Literal[True],
    device: str = ...,
    workers: int | None = ...,
    max_atoms: int = ...,
    progress: bool | Progress = ...,
) -> tuple[NDArray[np.float32], list[EncodingFailure]]: ...
def encode(
    materials: Any,
    encoder: EncoderName | Iterable[EncoderName],
    *,
    errors: Literal["raise", "nan"] = "raise",
    return_failures: bool = False,
    device: str = "cpu",
    workers: int | None = None,
    max_atoms: int = MAX_ATOMS,
    progress: bool | Progress = False,
) -> NDArray[np.float32] | tuple[NDArray[np.float32], list[EncodingFailure]]:
    """Encode materials, without a lake.

    The vectors are those that ``embed`` stores. A material that an import would refuse, or that an encoder does not
    take, has none.

    Args:
        materials: n materials: pymatgen ``Structure``, ASE ``Atoms``, formulas, structures as text, ``Crystal``,
            ``Composition``; in a list, a Series, an array or a generator. One of them is taken for a list of one.
        encoder: One or several, as features of a head are named: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or
            ``NAME@all``, several in a list or with commas between them; or the folder of an encoder, as a path or as
            text with a slash in it. Their vectors stand side by side, in that order.
        errors: ``raise`` a ``NotEncodedError`` if a material has no vector; or warn, and let its row be ``nan``.
        return_failures: Return the failures as well, rather than raise or warn.
        device: ``cpu`` or ``cuda``.
        workers: Threads that encode; by default one a core.
        max_atoms: Largest cell that is encoded.
        progress: Whether a terminal or a notebook shows how far it is; or what to report to.

    Returns:
        float32 [n, d]; and with ``return_failures`` the materials without a vector, whose rows are NaN.

    Raises:
        NotEncodedError: See ``errors``.
        EncoderError: An encoder or layer is unknown or named twice, or its file is refused.
        MissingExtraError: ONNX Runtime or the device is not there.
        MatlakeError: A table is given, not a list; or ``errors`` is neither ``raise`` nor ``nan``.
    """
    if errors not in ("raise", "nan"):
        raise MatlakeError(f"errors={errors!r}", "errors is 'raise' or 'nan'")
    given = _as_list(materials)
    models = _open(encoder, device)
    with watched(progress, "encoding", "rows") as reporter:
        run = _Run(models, given, max_atoms, reporter)
        pieces = run.pieces()
        with closing(
            run_stages(pieces, run.make, run.encode, device=device, workers=workers or os.cpu_count() or 1)
        ) as stages:
            for piece in stages:
                run.finish(piece)
        vectors, failures = run.result()
    if return_failures:
        return vectors, failures
    if failures:
        some = "; ".join(map(str, failures[:_SHOWN])) + ("; …" if len(failures) > _SHOWN else "")
        message = f"{len(failures):,} of {len(given):,} materials cannot be encoded: {some}"
        if errors == "raise":
            raise NotEncodedError(message, failures)
        warnings.warn(NotEncodedWarning(message), stacklevel=2)
    return vectors


@dataclass(frozen=True, eq=False)
class _Model:
    """An opened encoder, and where its layers go.

    Attributes:
        encoder: The encoder.
        layers: Names of the layers.
        columns: Columns of each layer in the matrix.
    """

    encoder: Encoder
    layers: list[str]
    columns: list[slice]

    @property
    def dim(self) -> int:
        return sum(columns.stop - columns.start for columns in self.columns)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Materials that are encoded together.

    Attributes:
        models: Encoders that run on the same inputs.
        rows: int64 [k], places of the materials.
        materials: The materials.
    """

    models: list[_Model]
    rows: NDArray[np.int64]
    materials: list[Material]


@dataclass(frozen=True, eq=False)
class _Made:
    """A piece with its inputs.

    Attributes:
        piece: The piece.
        taken: bool [k] for each encoder: which materials it takes.
        reasons: Why it does not take another.
        inputs: Those of the materials that at least one encoder takes; None where there are none.
    """

    piece: _Piece
    taken: list[NDArray[np.bool_]]
    reasons: list[tuple[int, str]]
    inputs: Inputs | None


class _Waiting:
    """Contents of one kind that do not fill a shard yet."""

    def __init__(self, models: list[_Model]) -> None:
        encoders = [model.encoder for model in models]
        self.most = most_contents(encoders, [model.dim for model in models])
        self.most_sites = most_sites(encoders)
        self.rows: list[int] = []
        self.materials: list[Material] = []
        self.sites = 0
        self.groups: dict[Hashable, list[_Model]] = {}
        for model in models:
            self.groups.setdefault(model.encoder.inputs_key, []).append(model)

    def add(self, row: int, material: Material) -> Iterator[_Piece]:
        sites = len(material.numbers) if isinstance(material, Crystal) else len(material.amounts)
        if self.rows and (len(self.rows) >= self.most or self.sites + sites > self.most_sites):
            yield from self.cut()
        self.rows.append(row)
        self.materials.append(material)
        self.sites += sites

    def cut(self) -> Iterator[_Piece]:
        rows, materials = np.array(self.rows, dtype=np.int64), self.materials
        self.rows, self.materials, self.sites = [], [], 0
        if len(rows):
            yield from (_Piece(models, rows, materials) for models in self.groups.values())


class _Run:
    """What is known of a run: the caller's thread reads and counts, others fill rows of the matrix."""

    def __init__(self, models: list[_Model], given: list[Any], max_atoms: int, progress: Progress) -> None:
        dim = sum(model.dim for model in models)
        self.vectors = np.full((len(given), dim), np.nan, dtype=np.float32)
        self._given, self._max_atoms, self._progress = given, max_atoms, progress
        self._models = {kind: [m for m in models if m.encoder.input is kind] for kind in InputKind}
        self._models = {kind: some for kind, some in self._models.items() if some}
        self._waiting = {kind: _Waiting(some) for kind, some in self._models.items()}
        self._rows: dict[InputKind, dict[str, int]] = {kind: {} for kind in self._models}
        self._same: list[tuple[InputKind, int, int]] = []
        self._reasons: dict[InputKind, dict[int, str]] = {kind: {} for kind in self._models}
        self._done, self._total = 0, len(given) * len(models)

    def pieces(self) -> Iterator[_Piece]:
        """Read the materials, and yield what is to be encoded: equal contents once."""
        for start in range(0, len(self._given), _READ_AT_ONCE):
            some = read_materials(self._given[start : start + _READ_AT_ONCE], self._max_atoms)
            for row, found in enumerate(some, start):
                for kind in self._models:
                    yield from self._take(kind, row, found)
        for waiting in self._waiting.values():
            yield from waiting.cut()

    def make(self, piece: _Piece) -> _Made:
        """Make the inputs of a piece."""
        encoder = piece.models[0].encoder
        columns = encoder.columns(piece.materials)
        taken, reasons = [], []
        for model in piece.models:
            found = model.encoder.rejections(columns)
            taken.append(np.array([reason is None for reason in found]))
            reasons += [(int(piece.rows[place]), reason) for place, reason in enumerate(found) if reason is not None]
        usable = np.flatnonzero(np.logical_or.reduce(taken))
        if not len(usable):
            return _Made(piece, taken, reasons, None)
        some = columns if len(usable) == len(columns) else columns.take(usable)
        return _Made(piece, taken, reasons, encoder.inputs(some, ahead=True))

    def encode(self, made: _Made) -> _Made:
        """Fill the rows of a piece; each network runs once for all of its layers."""
        if made.inputs is None:
            return made
        usable = np.logical_or.reduce(made.taken)
        reasons = list(made.reasons)
        for model, taken in zip(made.piece.models, made.taken, strict=True):
            places, own = np.flatnonzero(taken), taken[usable]
            if not len(places):
                continue
            inputs = made.inputs if own.all() else model.encoder.take(made.inputs, np.flatnonzero(own))
            vectors, refused = model.encoder.encode_finite(inputs, model.layers)
            rows = made.piece.rows[places]
            reasons += [(int(row), reason) for row, reason in zip(rows, refused, strict=True) if reason is not None]
            finite = rows[[reason is None for reason in refused]]
            for columns, matrix in zip(model.columns, vectors, strict=True):
                self.vectors[finite, columns] = matrix
        return _Made(made.piece, made.taken, reasons, None)

    def finish(self, made: _Made) -> None:
        """Take note of a piece that is done."""
        models = made.piece.models
        for row, reason in made.reasons:
            self._reasons[models[0].encoder.input].setdefault(row, reason)
        self._advance(len(models) * len(made.piece.rows))

    def result(self) -> tuple[NDArray[np.float32], list[EncodingFailure]]:
        """Return the matrix and the failures; a row that one encoder does not take is NaN throughout."""
        for kind, row, first in self._same:
            if first in self._reasons[kind]:
                self._reasons[kind][row] = self._reasons[kind][first]
            for columns in [columns for model in self._models[kind] for columns in model.columns]:
                self.vectors[row, columns] = self.vectors[first, columns]
        reasons: dict[int, str] = {}
        for some in self._reasons.values():
            for row, reason in some.items():
                reasons.setdefault(row, reason)
        failures = [EncodingFailure(row, reasons[row]) for row in sorted(reasons)]
        self.vectors[list(reasons)] = np.nan
        return self.vectors, failures

    def _take(self, kind: InputKind, row: int, found: Material | MatlakeError) -> Iterator[_Piece]:
        material = _content(kind, found)
        if isinstance(material, str):
            self._reasons[kind][row] = material
            self._advance(len(self._models[kind]))
            return
        first = self._rows[kind].setdefault(material.content_hash, row)
        if first == row:
            yield from self._waiting[kind].add(row, material)
        else:
            self._same.append((kind, row, first))
            self._advance(len(self._models[kind]))

    def _advance(self, vectors: int) -> None:
        self._done += vectors
        self._progress.track(self._done, self._total)


def read_materials(given: Sequence[Any], max_atoms: int = MAX_ATOMS) -> list[Material | MatlakeError]:
    """Return the materials, or for each what an import would refuse it for.

    Args:
        given: n materials, as for ``encode``.
        max_atoms: Largest cell allowed.
    """
    found: list[Material | MatlakeError] = []
    for one in given:
        try:
            found.append(as_material(one, max_atoms=max_atoms))
        except MatlakeError as error:
            found.append(error)
    places = [place for place, one in enumerate(found) if isinstance(one, Crystal)]
    if places:
        from matlake.materials.overlaps import find_overlaps  # numba takes a second to import

        crystals = CrystalColumns.of([one for one in found if isinstance(one, Crystal)])
        for overlap in find_overlaps(crystals):
            found[places[overlap.crystal]] = StructureError(overlap.describe(crystals))
    return found


def _content(kind: InputKind, found: Material | MatlakeError) -> Material | str:
    """Return what encoders of a kind see of a material, or why they see nothing."""
    if kind is InputKind.COMPOSITION:
        if isinstance(found, Crystal | DisorderedError):
            return found.composition
    elif isinstance(found, Composition):
        return NO_CRYSTAL
    if isinstance(found, MatlakeError):
        return found.reason if isinstance(found, FormulaError) else str(found)
    return found


def _as_list(materials: Any) -> list[Any]:
    one = isinstance(materials, str | Mapping) or has_structure(materials) or has_composition(materials)
    return [materials] if one else as_list(materials)


def _open(encoder: EncoderName | Iterable[EncoderName], device: str) -> list[_Model]:
    """Open encoders, each once, and give the layers their columns in the order of the features.

    Raises:
        EncoderError: One is unknown, a layer is named twice, or a file is refused.
    """
    found: dict[Path, RegisteredEncoder] = {}
    columns: dict[Path, dict[str, slice]] = {}
    start = 0
    for registered, layer in encoded_layers(encoder):
        found[registered.folder] = registered
        layers = columns.setdefault(registered.folder, {})
        if layer.name in layers:
            raise EncoderError(f"{registered.card.ref(layer.name)} is named twice", "name each layer once")
        layers[layer.name] = slice(start, start + layer.dim)
        start += layer.dim
    if not found:
        raise EncoderError("no encoder is named", "name one, such as matlake.encode(materials, 'magpie')")
    return [
        _Model(
            _opened(folder, one.card.sha256, device, tuple(columns[folder])),
            list(columns[folder]),
            list(columns[folder].values()),
        )
        for folder, one in found.items()
    ]


def encoded_layers(encoder: EncoderName | Iterable[EncoderName]) -> Iterator[tuple[RegisteredEncoder, Layer]]:
    """Yield the layers whose vectors ``encode`` puts side by side, in order, with their encoders.

    Raises:
        EncoderError: An encoder or layer is unknown.
    """
    yield from named_layers([name for one in as_list(encoder) for name in _names(one)], _find)


def _names(encoder: EncoderName) -> list[str]:
    if not isinstance(encoder, str):
        return [str(Path(encoder).absolute())]
    return [encoder] if _is_path(encoder) else split_names(encoder)


def _is_path(name: str) -> bool:
    return "/" in name or os.sep in name


def _find(name: str) -> RegisteredEncoder:
    if not _is_path(name):
        return find_encoder(name)
    return RegisteredEncoder(read_card(Path(name)), Path(name), shipped=False)


@lru_cache(maxsize=_KEPT_OPEN)
def _opened(folder: Path, _sha256: str, device: str, layers: tuple[str, ...]) -> Encoder:
    """Open an encoder, and keep it open for the next call; a file that has changed since has another digest."""
    return open_encoder(folder, device=device, layers=layers)
