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

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind, Layer
from matlake.encoders.encode_stages import Encoded, Model, Piece, RemoteModels, find_named, is_path, stages_of
from matlake.encoders.encoder import open_encoder
from matlake.encoders.engine import RAY, Engine
from matlake.encoders.registry import RegisteredEncoder, named_layers
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
    engine: str = ...,
    address: str | None = ...,
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
    engine: str = ...,
    address: str | None = ...,
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
    engine: str = "local",
    address: str | None = None,
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
        workers: Threads that encode; by default one per core. With Ray, actors; by default one for each CPU, or GPU.
        engine: ``local``: threads of this process; or ``ray``: actors on the nodes of a Ray cluster.
        address: HOST:PORT of the head of the cluster; by default ``$RAY_ADDRESS``, or else Ray is started here.
        max_atoms: Largest cell that is encoded.
        progress: Whether a terminal or a notebook shows the progress; or what to report to.

    Returns:
        float32 [n, d]; and with ``return_failures`` the materials without a vector, whose rows are NaN.

    Raises:
        NotEncodedError: See ``errors``.
        EncoderError: An encoder or layer is unknown or named twice, or its file is refused.
        MissingExtraError: ONNX Runtime, the device or Ray is not there.
        MatlakeError: A table is given, not a list; ``errors`` is neither ``raise`` nor ``nan``; or there is no such
            engine or cluster.
    """
    if errors not in ("raise", "nan"):
        raise MatlakeError(f"errors={errors!r}", "errors is 'raise' or 'nan'")
    encoding = Engine(engine, address, workers)
    given = _as_list(materials)
    # the device of actors is not that of this machine, which needs no more of an encoder than its card
    models = _open(encoder, "cpu" if engine == RAY else device)
    opener = RemoteModels.of(models, device)
    with watched(progress, "encoding", "rows") as reporter:
        run = _Run(models, given, max_atoms, reporter)
        with closing(encoding.run(run.pieces(), stages_of(models), opener, device)) as done:
            for piece in done:
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


class _Waiting:
    """Contents of one kind that do not fill a shard yet."""

    def __init__(self, models: dict[int, Model]) -> None:
        encoders = [model.encoder for model in models.values()]
        self.most = most_contents(encoders, [model.dim for model in models.values()])
        self.most_sites = most_sites(encoders)
        self.rows: list[int] = []
        self.materials: list[Material] = []
        self.sites = 0
        self.groups: dict[Hashable, list[int]] = {}
        for place, model in models.items():
            self.groups.setdefault(model.encoder.inputs_key, []).append(place)

    def add(self, row: int, material: Material) -> Iterator[Piece]:
        sites = len(material.numbers) if isinstance(material, Crystal) else len(material.amounts)
        if self.rows and (len(self.rows) >= self.most or self.sites + sites > self.most_sites):
            yield from self.cut()
        self.rows.append(row)
        self.materials.append(material)
        self.sites += sites

    def cut(self) -> Iterator[Piece]:
        rows, materials = np.array(self.rows, dtype=np.int64), self.materials
        self.rows, self.materials, self.sites = [], [], 0
        if len(rows):
            yield from (Piece(models, rows, materials) for models in self.groups.values())


class _Run:
    """What is known of a run: the caller's thread reads and counts, others encode."""

    def __init__(self, models: list[Model], given: list[Any], max_atoms: int, progress: Progress) -> None:
        dim = sum(model.dim for model in models)
        self.vectors = np.full((len(given), dim), np.nan, dtype=np.float32)
        self._given, self._max_atoms, self._progress = given, max_atoms, progress
        self._all = models
        self._models: dict[InputKind, dict[int, Model]] = {}
        for place, model in enumerate(models):
            self._models.setdefault(model.encoder.input, {})[place] = model
        self._waiting = {kind: _Waiting(some) for kind, some in self._models.items()}
        self._rows: dict[InputKind, dict[str, int]] = {kind: {} for kind in self._models}
        self._same: list[tuple[InputKind, int, int]] = []
        self._reasons: dict[InputKind, dict[int, str]] = {kind: {} for kind in self._models}
        self._done, self._total = 0, len(given) * len(models)

    def pieces(self) -> Iterator[Piece]:
        """Read the materials, and yield what is to be encoded: equal contents once."""
        for start in range(0, len(self._given), _READ_AT_ONCE):
            some = read_materials(self._given[start : start + _READ_AT_ONCE], self._max_atoms)
            for row, found in enumerate(some, start):
                for kind in self._models:
                    yield from self._take(kind, row, found)
        for waiting in self._waiting.values():
            yield from waiting.cut()

    def finish(self, encoded: Encoded) -> None:
        """Fill the rows of a piece that is done."""
        for place, rows, vectors in encoded.vectors:
            for columns, matrix in zip(self._all[place].columns, vectors, strict=True):
                self.vectors[rows, columns] = matrix
        for row, reason in encoded.reasons:
            self._reasons[self._all[encoded.models[0]].encoder.input].setdefault(row, reason)
        self._advance(len(encoded.models) * encoded.count)

    def result(self) -> tuple[NDArray[np.float32], list[EncodingFailure]]:
        """Return the matrix and the failures; a row that one encoder does not take is NaN throughout."""
        for kind, row, first in self._same:
            if first in self._reasons[kind]:
                self._reasons[kind][row] = self._reasons[kind][first]
            for columns in [columns for model in self._models[kind].values() for columns in model.columns]:
                self.vectors[row, columns] = self.vectors[first, columns]
        reasons: dict[int, str] = {}
        for some in self._reasons.values():
            for row, reason in some.items():
                reasons.setdefault(row, reason)
        failures = [EncodingFailure(row, reasons[row]) for row in sorted(reasons)]
        self.vectors[list(reasons)] = np.nan
        return self.vectors, failures

    def _take(self, kind: InputKind, row: int, found: Material | MatlakeError) -> Iterator[Piece]:
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


def _open(encoder: EncoderName | Iterable[EncoderName], device: str) -> list[Model]:
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
        Model(
            one.card.name if one.shipped or one.plugin else str(folder),
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
    yield from named_layers([name for one in as_list(encoder) for name in _names(one)], find_named)


def _names(encoder: EncoderName) -> list[str]:
    if not isinstance(encoder, str):
        return [str(Path(encoder).absolute())]
    return [encoder] if is_path(encoder) else split_names(encoder)


@lru_cache(maxsize=_KEPT_OPEN)
def _opened(folder: Path, _sha256: str, device: str, layers: tuple[str, ...]) -> Encoder:
    """Open an encoder, and keep it open for the next call; a file that has changed since has another digest."""
    return open_encoder(folder, device=device, layers=layers)
