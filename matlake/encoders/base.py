"""What all encoders do alike: reject materials, run the network in batches, leave out what is not finite."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard, InputKind
from matlake.encoders.rejections import Materials, rejections
from matlake.errors import USE_CPU, EncoderError, Hint, NotFiniteError
from matlake.materials.crystal import Crystal
from matlake.materials.formula import Composition
from matlake.materials.graphs import Graphs

Arrays: TypeAlias = dict[str, NDArray[Any]]
"""What an ONNX graph takes, by the names of its inputs."""

Batch: TypeAlias = tuple[NDArray[np.int64], Arrays | None]
"""The places of the materials that run together; and their arrays, where these were made ahead."""

Vectors: TypeAlias = list[NDArray[np.float32]]
"""float32 [n, dim] for each layer."""

_OUT_OF_MEMORY: Final = ("out of memory", "failed to allocate", "bad_alloc", "is smaller than requested bytes")


@dataclass(frozen=True)
class GraphsToEncode:
    """The inputs of an encoder of crystals.

    Attributes:
        graphs: Of n crystals.
        batches: All of them in batches with their arrays, where these were made ahead.
    """

    graphs: Graphs
    batches: Sequence[Batch] | None = None

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.graphs)


Inputs: TypeAlias = NDArray[np.float32] | GraphsToEncode
"""What encoders run on, of n materials: element fractions float32 [n, 86], or graphs."""


@dataclass(frozen=True)
class Encoder(ABC):
    """An opened encoder. Safe to call from several threads at once.

    Attributes:
        card: What it is; its layers.
        session: The ONNX Runtime session.
        device: ``cpu`` or ``cuda``.
    """

    card: EncoderCard
    session: Any
    device: str

    @property
    def input(self) -> InputKind:
        """What it encodes."""
        return self.card.input

    @property
    @abstractmethod
    def inputs_key(self) -> Hashable:
        """Equal for encoders that take the same inputs: these are made once for all of them."""

    @property
    @abstractmethod
    def bytes_a_site(self) -> float:
        """Most bytes that the inputs take for each element of a composition, or each atom of a crystal."""

    @abstractmethod
    def columns(self, materials: Sequence[Composition | Crystal]) -> Materials:
        """Put materials into columns: crystals as compositions where the encoder takes those.

        Raises:
            EncoderError: The encoder takes crystals, and a material is a composition.
        """

    @abstractmethod
    def read_columns(self, table: pa.Table) -> Materials:
        """Read materials from the columns of a dataset; nothing is parsed."""

    @abstractmethod
    def inputs(self, materials: Materials, *, ahead: bool = False) -> Inputs:
        """Make inputs of n materials that are not rejected.

        Args:
            materials: The materials.
            ahead: Make batches as well, where the device is faster than their making.

        Raises:
            EncoderError: The encoder takes crystals, and these are compositions.
        """

    @abstractmethod
    def take(self, inputs: Any, rows: NDArray[np.int64]) -> Any:
        """Return the inputs of some of the materials."""

    @abstractmethod
    def batches(self, inputs: Any) -> Iterator[Batch]:
        """Yield the materials in batches of bounded size.

        Raises:
            EncoderError: Inputs of another kind of encoder.
        """

    @abstractmethod
    def describe(self, inputs: Any, row: int) -> str:
        """Say how large one of the materials is."""

    @abstractmethod
    def feed(self, inputs: Any) -> Arrays:
        """Return the arrays that the ONNX graph takes for all inputs in one run."""

    def rejections(self, materials: Materials, *, overlaps: bool = False) -> list[str | None]:
        """Say for each material why it cannot be encoded, None where it can; see ``rejections.rejections``."""
        return rejections(materials, self.card.input_parameters.elements, overlaps=overlaps)

    def encode_inputs(self, inputs: Inputs, layers: Sequence[str]) -> Vectors:
        """Return the vectors of several layers, from one run of the network.

        A batch that is too large for the memory is halved. So are rows that are not finite, until each ran alone: in
        the sum over a padded pool of atoms, one crystal's NaN spoils its whole batch.

        Args:
            inputs: Of n materials.
            layers: Names of layers.

        Returns:
            float32 [n, dim] for each layer.

        Raises:
            EncoderError: Unknown layer, inputs of another kind of encoder, or a material too large for the memory.
            NotFiniteError: A vector is not finite.
        """
        vectors = [np.empty((len(inputs), self.card.layer(layer).dim), dtype=np.float32) for layer in layers]
        waiting = list(self.batches(inputs))
        while waiting:
            rows, made = waiting.pop()
            try:
                self._run(made or self.feed(self.take(inputs, rows)), layers, vectors, rows)
            except Exception as error:  # onnxruntime's exceptions share no public base class
                if not _is_out_of_memory(error):
                    raise
                if len(rows) == 1:
                    raise EncoderError(
                        f"{self.describe(inputs, int(rows[0]))} does not fit into the memory of device {self.device}",
                        Hint(
                            f"{USE_CPU}, or leave the material out", cli=f"{USE_CPU.cli}, or leave it out with --where"
                        ),
                    ) from error
                again = rows
            else:
                again = rows[_not_finite([matrix[rows] for matrix in vectors])] if len(rows) > 1 else rows[:0]
            waiting += [(half, None) for half in np.array_split(again, 2) if len(half)]
        if len(bad := _not_finite(vectors)):
            raise NotFiniteError(f"encoder {self.card.name} returned values that are not finite", bad.tolist())
        return vectors

    def encode_finite(self, inputs: Inputs, layers: Sequence[str]) -> tuple[Vectors, list[str | None]]:
        """Return the vectors of several layers; rows in which one is not finite are left out, and the others run again.

        Returns:
            float32 [m, dim] for each layer; and n reasons, None for the m materials that have vectors.

        Raises:
            EncoderError: As for ``encode_inputs``.
        """
        reasons: list[str | None] = [None] * len(inputs)
        rows, some = np.arange(len(inputs)), inputs
        while True:
            try:
                return self.encode_inputs(some, layers), reasons
            except NotFiniteError as error:
                for row in rows[error.rows]:
                    reasons[row] = str(error)
                rows = np.delete(rows, error.rows)
                some = self.take(inputs, rows)

    def encode(self, materials: NDArray[np.float32] | Materials, layer: str | None = None) -> NDArray[np.float32]:
        """Return one layer's vectors.

        Args:
            materials: n materials, none of them rejected. For an encoder of compositions also float32 [n, 86], the
                fractions of the elements in the card's order.
            layer: Name of a layer; None for the default.

        Returns:
            float32 [n, dim].

        Raises:
            EncoderError: Unknown layer, materials of the other kind, or a vector that is not finite.
        """
        inputs = materials if isinstance(materials, np.ndarray) else self.inputs(materials)
        return self.encode_inputs(inputs, [self.card.layer(layer).name])[0]

    def _run(self, arrays: Arrays, layers: Sequence[str], vectors: Vectors, rows: NDArray[np.int64]) -> None:
        outputs = self.session.run([self.card.layer(layer).output for layer in layers], arrays)
        for target, output in zip(vectors, outputs, strict=True):
            target[rows] = output.reshape(len(output), target.shape[1])


def _not_finite(vectors: Vectors) -> NDArray[np.int64]:
    """Return the rows in which a vector of some layer is not finite."""
    if all(np.isfinite(matrix).all() for matrix in vectors):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(~np.logical_and.reduce([np.isfinite(matrix).all(axis=1) for matrix in vectors]))


def _is_out_of_memory(error: Exception) -> bool:
    message = str(error).lower()
    return isinstance(error, MemoryError) or any(words in message for words in _OUT_OF_MEMORY)
