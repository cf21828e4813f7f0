"""From contents to Parquet parts: inputs are made ahead of the encoder, vectors are written where they are made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder
from matlake.errors import NotFiniteError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.formula import fractions_matrix, uncovered_elements
from matlake.materials.graph_recipe import GraphRecipe
from matlake.store import delta
from matlake.store.embedding.shards import Shard
from matlake.store.embedding.targets import KEY, VECTOR, Model, Target

if TYPE_CHECKING:
    from matlake.encoders.graph_batches import Batch
    from matlake.materials.angular_graphs import AngularGraphs
    from matlake.materials.pair_graphs import PairGraphs

NOT_FINITE = "the encoder returned values that are not finite"


@dataclass(frozen=True)
class Prepared:
    """What encoders take, of a shard whose targets' encoders all take the same.

    Attributes:
        shard: The shard.
        inputs: float32 [n, 86] element fractions, or n graphs.
        batches: The graphs in batches, where the device is so fast that these are made ahead as well.
    """

    shard: Shard
    inputs: "NDArray[np.float32] | PairGraphs | AngularGraphs"
    batches: "Sequence[Batch] | None" = None


@dataclass(frozen=True)
class Encoded:
    """What came of a shard for one encoder.

    Attributes:
        model: The encoder.
        layers: Number of targets.
        parts: A part for each target, not yet committed; none where all contents were refused.
        refused: Contents without a vector: ``content_hash``, ``n_rows``.
    """

    model: Model
    layers: int
    parts: list[tuple[Target, delta.Part]]
    refused: pa.Table


def reasons_against(model: Model, contents: pa.Table) -> list[str | None]:
    """Say for each content why an encoder has no input for it; None where it has."""
    if model.kind == "crystal":
        return model.encoder.uncovered(CrystalColumns.from_arrow(contents))
    reasons: list[str | None] = uncovered_elements(contents["atomic_numbers"]).to_pylist()
    return reasons


def by_recipe(shard: Shard) -> Iterator[Shard]:
    """Yield the shard once for each kind of input that its encoders take; encoders with equal recipes share graphs."""
    targets: dict[GraphRecipe | None, list[Target]] = {}
    for target in shard.targets:
        targets.setdefault(target.model.encoder.recipe, []).append(target)
    for some in targets.values():
        yield Shard(tuple(some), shard.contents)


def prepare(shard: Shard) -> Prepared:
    """Make the inputs of a shard from ``by_recipe``."""
    encoder = shard.targets[0].model.encoder
    contents = shard.contents
    if encoder.recipe is None:
        return Prepared(shard, fractions_matrix(contents["atomic_numbers"], contents["fractions"]))
    graphs = encoder.recipe.build(CrystalColumns.from_arrow(contents))
    if encoder.device == "cpu":
        return Prepared(shard, graphs)  # batches are made just before they run, while they are in the cache
    from matlake.encoders.graph_batches import EDGES_A_RUN, collate

    return Prepared(shard, graphs, collate(graphs, EDGES_A_RUN[encoder.device]))


def encode(prepared: Prepared) -> list[Encoded]:
    """Encode a shard and write its parts; each network is run once for all of its layers."""
    layers: dict[Model, list[Target]] = {}
    for target in prepared.shard.targets:
        layers.setdefault(target.model, []).append(target)
    encoded = []
    for model, targets in layers.items():
        vectors, finite = _finite_vectors(model.encoder, prepared, [target.layer for target in targets])
        contents = prepared.shard.contents.select([KEY, "n_rows"])
        keys = contents[KEY].filter(finite)
        parts = [
            (target, _write(target, keys, matrix)) for target, matrix in zip(targets, vectors, strict=True) if len(keys)
        ]
        encoded.append(Encoded(model, len(targets), parts, contents.filter(np.logical_not(finite))))
    return encoded


def _finite_vectors(
    encoder: Encoder, prepared: Prepared, layers: Sequence[str]
) -> tuple[list[NDArray[np.float32]], NDArray[np.bool_]]:
    """Return float32 [m, dim] for each layer, and bool [n]: of which contents the m are."""
    finite = np.ones(prepared.shard.contents.num_rows, dtype=bool)
    inputs = prepared.inputs
    try:
        if isinstance(inputs, np.ndarray):
            return encoder.encode_fractions(inputs, layers), finite
        return encoder.encode_graphs(inputs, layers, prepared.batches), finite
    except NotFiniteError as error:
        finite[error.rows] = False
    rows = np.flatnonzero(finite)
    if isinstance(inputs, np.ndarray):
        return encoder.encode_fractions(inputs[rows], layers), finite
    return encoder.encode_graphs(inputs.take(rows), layers), finite


def _write(target: Target, keys: pa.ChunkedArray, vectors: NDArray[np.float32]) -> delta.Part:
    count, dim = vectors.shape
    offsets = pa.array(np.arange(0, count * dim + 1, dim, dtype=np.int32))
    table = pa.table({KEY: keys, VECTOR: pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))})
    return delta.write_part(target.vectors.root, table, target.vectors.partition, (VECTOR,))
