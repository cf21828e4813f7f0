"""Bulk embedding: what has no vector yet gets one, in shards that are committed as they are done.

The unit of work is *shard in, Parquet parts out*. Some threads make inputs (graphs of crystals, fractions of elements)
ahead of the threads that encode and write; one driver selects, reads and commits. A killed run loses the shards in
flight; the next run finds what is missing. Memory is bounded by the shards in flight.
"""

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.encoders.pipeline import run_stages
from matlake.errors import Hint, LakeError
from matlake.progress import SILENT, Progress
from matlake.reports import Report
from matlake.sequences import as_list
from matlake.store import delta
from matlake.store.damage import reads_what_is_sound
from matlake.store.embedding.encoding import NOT_FINITE, Encoded, by_inputs, encode, prepare
from matlake.store.embedding.pending import Pending
from matlake.store.embedding.shards import Cutter, Shard, read_contents, split
from matlake.store.embedding.targets import KEY, Target, open_targets
from matlake.store.lake import Lake
from matlake.store.parts import LivePart, split_damaged, warn_of


@dataclass(frozen=True, repr=False)
class EmbedReport(Report):
    """What a run did, over all features.

    Attributes:
        embedded: Vectors added.
        skipped: Rows, for each layer, that needed none: their content has one already, or shares the one added.
        failed: Rows, for each layer, that the encoder cannot take; they are in ``failures``, once an encoder.
        seconds: Wall time.
    """

    embedded: int
    skipped: int
    failed: int
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Return the text for people."""
        rate = self.embedded / self.seconds if self.seconds else 0.0
        failed = [f"{self.failed:,} vectors failed (see the view failures)"] if self.failed else []
        return [
            f"embedded {self.embedded:,} vectors in {self.seconds:.1f} s ({rate:,.0f}/s)",
            f"{self.skipped:,} vectors were there already, or are those of equal materials",
            *failed,
        ]


@dataclass(frozen=True)
class _File:
    """A file of a dataset."""

    dataset: str
    part: LivePart


def embed(
    lake: Lake,
    features: str | Iterable[str],
    *,
    dataset: str | None = None,
    where: str | None = None,
    device: str = "cpu",
    workers: int = 1,
    progress: Progress = SILENT,
) -> EmbedReport:
    """Embed all materials, or some, with one or several encoders.

    Contents are read once for all encoders, encoders with equal graph parameters share the graphs, and several layers
    of an encoder come out of one run of it.

    Args:
        lake: The lake; an encoder used for the first time is copied into it.
        features: ``NAME``, ``NAME@LAYER``, ``NAME@LAYER+LAYER`` or ``NAME@all``, one or several; a layer that is named
            twice counts once.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        device: ``cpu`` or ``cuda``.
        workers: Threads that encode on a CPU; on a GPU one does, and these make its inputs.
        progress: Hears the number of rows done, over all features.

    Raises:
        EncoderError: An encoder or layer is unknown, or its file is refused.
        LakeError: There is no such dataset, or nothing to embed.
        QueryError: ``where`` is not a predicate over ``materials``.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    started = time.monotonic()
    files = _files(lake, dataset)
    targets, opened = _open(lake, as_list(features), device)
    with closing(opened) as pending:
        run = _Run(targets, pending, len(targets) * sum(file.part.rows for file in files), progress)
        shards = run.shards(files, where)
        with closing(run_stages(shards, prepare, encode, device=device, workers=workers)) as stages:
            for encoded in stages:
                run.commit(encoded)
    skipped = run.selected - run.embedded - run.failed
    return EmbedReport(run.embedded, skipped, run.failed, round(time.monotonic() - started, 3))


@reads_what_is_sound
def _open(lake: Lake, features: list[str], device: str) -> tuple[list[Target], Pending]:
    targets = open_targets(lake, features, device)
    return targets, Pending(lake, targets)


def _files(lake: Lake, dataset: str | None) -> list[_File]:
    if dataset is not None:
        lake.check_dataset(dataset)
    names = lake.dataset_names() if dataset is None else [dataset]
    if not names:
        raise LakeError(
            "the lake holds no dataset",
            Hint("import one: matlake.import_table(…)", cli="`matlake import FILE --dataset NAME` first"),
        )
    files = []
    for name in names:
        parts = delta.sound_parts(delta.snapshot_or_warn(lake.dataset(name)), verify=lake.verify)
        files += [_File(name, part) for part in parts]
    random.shuffle(files)  # two processes at once then meet rarely
    return files


class _Run:
    """What the driver knows and does: it alone selects, reads and commits."""

    def __init__(self, targets: Sequence[Target], pending: Pending, total: int, progress: Progress) -> None:
        self.selected = self.embedded = self.failed = 0
        self._targets, self._pending = targets, pending
        self._done, self._total, self._progress = 0, total, progress

    def shards(self, files: Sequence[_File], where: str | None) -> Iterator[Shard]:
        """Yield shards, each for encoders that take the same input."""
        cutters = {kind: Cutter(targets) for kind, targets in self._pending.targets.items()}
        for file in files:
            path = file.part.path
            _, damaged = split_damaged([file.part], verify=True)  # a wrong formula would have a right vector
            if damaged:
                warn_of(damaged)
                self._advance(len(self._targets) * file.part.rows)
                continue
            selection = self._pending.select(file.dataset, path, where)
            self.selected += len(self._targets) * selection.selected
            self.failed += selection.failed
            self._advance(len(self._targets) * file.part.rows - selection.vectors)
            for kind, contents, lacks in read_contents(path, selection.pending):
                covered = self._reject(kind, contents, lacks)
                for shard in cutters[kind].add(contents, covered):
                    yield from self._unless_foreign(shard)
        for cutter in cutters.values():
            for shard in cutter.rest():
                yield from self._unless_foreign(shard)

    def commit(self, shard: list[Encoded]) -> None:
        """Make what came of a shard part of the lake."""
        for encoded in shard:
            self._commit(encoded)

    def _commit(self, encoded: Encoded) -> None:
        for target, part in encoded.parts:
            rows = part.rows
            self.embedded += target.vectors.append(part)
            self._advance(rows)
        if encoded.rejected.num_rows:
            self.failed += encoded.layers * int(pc.sum(encoded.rejected["n_rows"]).as_py())
            reasons = pa.array([NOT_FINITE] * encoded.rejected.num_rows)
            self._pending.reject(encoded.model, encoded.rejected[KEY], reasons)
            self._advance(encoded.layers * encoded.rejected.num_rows)

    def _advance(self, vectors: int) -> None:
        self._done += vectors
        self._progress.track(self._done, self._total)

    def _reject(self, kind: InputKind, contents: pa.Table, lacks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Record contents that an encoder has no input for; return bool [n, t], what is lacking apart from them."""
        targets = self._pending.targets[kind]
        lacks = lacks.copy()
        for model in dict.fromkeys(target.model for target in targets):
            own = np.array([target.model is model for target in targets])
            reasons = model.encoder.rejections(model.encoder.read_columns(contents))
            rejected = [row for row, reason in enumerate(reasons) if reason is not None and lacks[row, own].any()]
            if not rejected:
                continue
            self._pending.reject(
                model, contents[KEY].take(rejected), pa.array([reasons[row] for row in rejected], pa.string())
            )
            self.failed += int(own.sum() * contents["n_rows"].to_numpy()[rejected].sum())
            self._advance(int(lacks[rejected][:, own].sum()))
            lacks[rejected] &= ~own
        return lacks

    def _unless_foreign(self, shard: Shard) -> Iterator[Shard]:
        """Yield what of a shard no other process has embedded by now."""
        keys = shard.contents[KEY]
        lacks = [pc.invert(pc.is_in(keys, value_set=target.vectors.foreign_keys())) for target in shard.targets]
        rest = list(split(shard.contents, shard.targets, np.stack([lack.to_numpy() for lack in lacks], axis=1)))
        self._advance(shard.vectors - sum(some.vectors for some in rest))
        for some in rest:
            yield from by_inputs(some)
