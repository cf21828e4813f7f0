"""From contents to Parquet parts: inputs are made ahead of the encoder, vectors are written where they are made."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Encoder, Inputs
from matlake.store.embedding.shards import Shard
from matlake.store.embedding.targets import KEY, VECTOR, Target
from matlake.store.storage.places import LakePath
from matlake.store.tables import writing

NOT_FINITE = "the encoder returned values that are not finite"


@dataclass(frozen=True, eq=False)
class Output:
    """A layer, and where its vectors are written.

    Attributes:
        encoder: The encoder.
        layer: Name of the layer.
        root: The table's folder.
        partition: The partition.
    """

    encoder: Encoder
    layer: str
    root: LakePath
    partition: dict[str, str]

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return the output of a target."""
        return cls(target.model.encoder, target.layer, target.vectors.root, target.vectors.partition)


@dataclass(frozen=True)
class Task:
    """A shard as it is handed to whoever encodes it.

    Attributes:
        outputs: Places of its targets among all of the run. Their encoders all run on the same inputs.
        contents: Its contents.
    """

    outputs: tuple[int, ...]
    contents: pa.Table


@dataclass(frozen=True)
class Encoded:
    """What came of a task for one encoder.

    Attributes:
        outputs: Places of the targets among all of the run.
        parts: A part for each target, not yet committed; none where all contents were rejected.
        rejected: Contents without a vector: ``content_hash``, ``n_rows``.
    """

    outputs: tuple[int, ...]
    parts: list[writing.Part]
    rejected: pa.Table


def by_inputs(shard: Shard) -> Iterator[Shard]:
    """Yield the shard once for each kind of inputs that its encoders run on: encoders with equal keys share them."""
    targets: dict[Hashable, list[Target]] = {}
    for target in shard.targets:
        targets.setdefault(target.model.encoder.inputs_key, []).append(target)
    for some in targets.values():
        yield Shard(tuple(some), shard.contents)


@dataclass(frozen=True)
class ShardEncoder:
    """Encodes shards with encoders that are open. Threads may share it.

    Attributes:
        outputs: All of the run.
    """

    outputs: Sequence[Output]

    @property
    def stages(
        self,
    ) -> tuple[Callable[[Task], tuple[Task, Inputs]], Callable[[tuple[Task, Inputs]], list[Encoded]]]:
        """The two stages, as engines take them."""
        return self.prepare, self.encode

    def prepare(self, task: Task) -> tuple[Task, Inputs]:
        """Make the inputs of a task."""
        encoder = self.outputs[task.outputs[0]].encoder
        return task, encoder.inputs(encoder.read_columns(task.contents), ahead=True)

    def encode(self, prepared: tuple[Task, Inputs]) -> list[Encoded]:
        """Encode what ``prepare`` made and write its parts; each network is run once for all of its layers."""
        task, inputs = prepared
        places: dict[int, list[int]] = {}
        for place in task.outputs:
            places.setdefault(id(self.outputs[place].encoder), []).append(place)
        return [self._encode(tuple(some), task.contents.select([KEY, "n_rows"]), inputs) for some in places.values()]

    def _encode(self, places: tuple[int, ...], contents: pa.Table, inputs: Inputs) -> Encoded:
        outputs = [self.outputs[place] for place in places]
        vectors, reasons = outputs[0].encoder.encode_finite(inputs, [output.layer for output in outputs])
        finite = np.array([reason is None for reason in reasons], dtype=bool)
        keys = contents[KEY].filter(finite)
        parts = [_write(output, keys, matrix) for output, matrix in zip(outputs, vectors, strict=True) if len(keys)]
        return Encoded(places, parts, contents.filter(np.logical_not(finite)))


def _write(output: Output, keys: pa.ChunkedArray, vectors: NDArray[np.float32]) -> writing.Part:
    count, dim = vectors.shape
    offsets = pa.array(np.arange(0, count * dim + 1, dim, dtype=np.int32))
    table = pa.table({KEY: keys, VECTOR: pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))})
    return writing.write_part(output.root, table, output.partition, (VECTOR,))
