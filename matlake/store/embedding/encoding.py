"""From contents to Parquet parts: inputs are made ahead of the encoder, vectors are written where they are made."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Inputs
from matlake.store import writing
from matlake.store.embedding.shards import Shard
from matlake.store.embedding.targets import KEY, VECTOR, Model, Target

NOT_FINITE = "the encoder returned values that are not finite"


@dataclass(frozen=True)
class Encoded:
    """What came of a shard for one encoder.

    Attributes:
        model: The encoder.
        layers: Number of targets.
        parts: A part for each target, not yet committed; none where all contents were rejected.
        rejected: Contents without a vector: ``content_hash``, ``n_rows``.
    """

    model: Model
    layers: int
    parts: list[tuple[Target, writing.Part]]
    rejected: pa.Table


def by_inputs(shard: Shard) -> Iterator[Shard]:
    """Yield the shard once for each kind of inputs that its encoders run on: encoders with equal keys share them."""
    targets: dict[Hashable, list[Target]] = {}
    for target in shard.targets:
        targets.setdefault(target.model.encoder.inputs_key, []).append(target)
    for some in targets.values():
        yield Shard(tuple(some), shard.contents)


def prepare(shard: Shard) -> tuple[Shard, Inputs]:
    """Make the inputs of a shard from ``by_inputs``: its targets' encoders all run on the same."""
    encoder = shard.targets[0].model.encoder
    return shard, encoder.inputs(encoder.read_columns(shard.contents), ahead=True)


def encode(prepared: tuple[Shard, Inputs]) -> list[Encoded]:
    """Encode what ``prepare`` made and write its parts; each network is run once for all of its layers."""
    shard, inputs = prepared
    layers: dict[Model, list[Target]] = {}
    for target in shard.targets:
        layers.setdefault(target.model, []).append(target)
    encoded = []
    for model, targets in layers.items():
        vectors, reasons = model.encoder.encode_finite(inputs, [target.layer for target in targets])
        finite = np.array([reason is None for reason in reasons], dtype=bool)
        contents = shard.contents.select([KEY, "n_rows"])
        keys = contents[KEY].filter(finite)
        parts = [
            (target, _write(target, keys, matrix)) for target, matrix in zip(targets, vectors, strict=True) if len(keys)
        ]
        encoded.append(Encoded(model, len(targets), parts, contents.filter(np.logical_not(finite))))
    return encoded


def _write(target: Target, keys: pa.ChunkedArray, vectors: NDArray[np.float32]) -> writing.Part:
    count, dim = vectors.shape
    offsets = pa.array(np.arange(0, count * dim + 1, dim, dtype=np.int32))
    table = pa.table({KEY: keys, VECTOR: pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))})
    return writing.write_part(target.vectors.root, table, target.vectors.partition, (VECTOR,))
