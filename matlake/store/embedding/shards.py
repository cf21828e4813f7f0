"""Shards: contents that are encoded together and become one Parquet part for each target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.base import Encoder
from matlake.encoders.card import InputKind
from matlake.encoders.shard_sizes import most_contents, most_sites
from matlake.materials.crystal import COLUMNS
from matlake.store.content_keys import STORED_KEYS
from matlake.store.embedding.places import LACKS, Places
from matlake.store.embedding.targets import KEY, Model, Target
from matlake.store.storage.parquet import open_parquet
from matlake.store.storage.places import LakePath

INPUT_COLUMNS: Final = {
    InputKind.COMPOSITION: ("atomic_numbers", "fractions"),
    InputKind.CRYSTAL: tuple(COLUMNS.names),
}
"""What encoders are given of a content, by their kind of input; the first lists its sites."""

_BLOCK_ROWS: Final = 64


@dataclass(frozen=True)
class Shard:
    """Contents that lack the same targets.

    Attributes:
        targets: What they lack, all of one kind of input.
        contents: ``content_hash``, ``n_rows``, and the columns that encoders of that kind take.
    """

    targets: tuple[Target, ...]
    contents: pa.Table

    @property
    def vectors(self) -> int:
        """Number of vectors to be made."""
        return len(self.targets) * int(self.contents.num_rows)


def read_contents(
    file: LakePath, dataset: int, places: Mapping[InputKind, Places]
) -> Iterator[tuple[InputKind, pa.Table, NDArray[np.bool_]]]:
    """Read what encoders take of the pending contents of a dataset's file.

    Row groups come in random order, and so do blocks of their rows: two processes that do the same rarely meet, and
    shards cost about the same. Rows of a block stay together, since neighbours are often alike and compress well.

    Args:
        file: The Parquet file.
        dataset: Number of the dataset.
        places: Kind of input -> where the pending contents stand.

    Yields:
        For a row group and a kind of input: the kind; n contents as ``Shard`` holds them; bool [n, t], which of the
        kind's targets they lack.
    """
    random = np.random.default_rng()
    with open_parquet(file) as parquet:
        for group in random.permutation(parquet.num_row_groups):
            rows = parquet.read_row_group(int(group), columns=["source_row"])["source_row"].to_numpy()
            found = {}
            for kind, pending in places.items():
                contents = pending.between(dataset, int(rows.min()), int(rows.max()))
                _, here, there = np.intersect1d(
                    rows, contents["source_row"].to_numpy(), assume_unique=True, return_indices=True
                )
                if len(here):
                    blocks = np.arange(len(here)) // _BLOCK_ROWS
                    order = np.argsort(random.random(blocks[-1] + 1)[blocks], kind="stable")
                    found[kind] = here[order], contents.take(there[order])
            if not found:
                continue
            columns = [column for kind in found for column in (STORED_KEYS[kind], *INPUT_COLUMNS[kind])]
            inputs = parquet.read_row_group(int(group), columns=columns)
            for kind, (here, contents) in found.items():
                lacks = [contents[name].to_numpy() for name in contents.column_names if name.startswith(LACKS)]
                taken = inputs.select([*INPUT_COLUMNS[kind], STORED_KEYS[kind]]).take(here)
                taken = taken.rename_columns([*INPUT_COLUMNS[kind], KEY])
                yield kind, taken.append_column("n_rows", contents["n_rows"]), np.stack(lacks, axis=1)


def split(contents: pa.Table, targets: Sequence[Target], lacks: NDArray[np.bool_]) -> Iterator[Shard]:
    """Yield contents in groups that lack the same targets; those that lack none are left out.

    Args:
        contents: n contents.
        targets: t targets.
        lacks: bool [n, t].
    """
    patterns, places = np.unique(lacks, axis=0, return_inverse=True)
    for place, pattern in enumerate(patterns):
        if pattern.any():
            rows = np.flatnonzero(places.reshape(-1) == place)
            some = contents if len(rows) == contents.num_rows else contents.take(rows)
            yield Shard(tuple(target for target, lack in zip(targets, pattern, strict=True) if lack), some)


class Cutter:
    """Gathers contents of one kind of input until they fill a shard, whatever file they are from."""

    def __init__(self, targets: Sequence[Target]) -> None:
        """Take the targets that contents may lack."""
        self._targets = targets
        self._waiting: dict[tuple[Target, ...], pa.Table] = {}

    def add(self, contents: pa.Table, lacks: NDArray[np.bool_]) -> Iterator[Shard]:
        """Take contents and yield shards that are full.

        Args:
            contents: n contents.
            lacks: bool [n, t], which of the targets they lack.
        """
        for some in split(contents, self._targets, lacks):
            waiting = self._waiting.pop(some.targets, some.contents.slice(0, 0))
            yield from self._cut(some.targets, pa.concat_tables([waiting, some.contents]), last=False)

    def rest(self) -> Iterator[Shard]:
        """Yield what has not filled a shard."""
        for targets, contents in self._waiting.items():
            yield from self._cut(targets, contents, last=True)

    def _cut(self, targets: tuple[Target, ...], contents: pa.Table, *, last: bool) -> Iterator[Shard]:
        encoders, dims = _models_and_dims(targets)
        most, sites_a_shard = most_contents(encoders, dims), most_sites(encoders)
        sites = np.cumsum(pc.list_value_length(contents[INPUT_COLUMNS[targets[0].model.kind][0]]).to_numpy())
        start = 0
        while start < contents.num_rows:
            before = sites[start - 1] if start else 0
            stop = min(start + most, max(start + 1, int(np.searchsorted(sites, before + sites_a_shard, side="right"))))
            if stop >= contents.num_rows and not last:
                self._waiting[targets] = contents.slice(start)
                return
            yield Shard(targets, contents.slice(start, stop - start))
            start = stop


def _models_and_dims(targets: Sequence[Target]) -> tuple[list[Encoder], list[int]]:
    """Return the encoders, and how many numbers the targets of each make of a content."""
    dims: dict[Model, int] = {}
    for target in targets:
        dims[target.model] = dims.get(target.model, 0) + target.dim
    return [model.encoder for model in dims], list(dims.values())
