"""Bulk embedding: what has no vector yet gets one, in shards whose parts are committed every few seconds.

The unit of work is *shard in, Parquet parts out*. Some threads make inputs (graphs of crystals, fractions of elements)
ahead of the threads that encode and write; one driver selects, reads and commits. A killed run loses the shards in
flight and those of the last seconds, see ``commits``; the next run finds what is missing. Memory is bounded by the
shards in flight.
"""

import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.card import InputKind
from matlake.encoders.engine import RAY, Engine
from matlake.encoders.precision import AS_NAMED, in_precision
from matlake.errors import Hint, LakeError
from matlake.progress import SILENT, Progress
from matlake.reports import Report
from matlake.sequences import as_list
from matlake.store.damage import reads_what_is_sound
from matlake.store.embedding.commits import Commits
from matlake.store.embedding.encoding import NOT_FINITE, Encoded, Output, ShardEncoder, Task, by_inputs
from matlake.store.embedding.job_shard import JobShard
from matlake.store.embedding.pending import Pending, Selection
from matlake.store.embedding.remote_encoding import RemoteEncoders, check_shared
from matlake.store.embedding.shards import Cutter, Shard, read_contents, split
from matlake.store.embedding.targets import KEY, Target, open_targets
from matlake.store.lake import Lake
from matlake.store.tables import delta
from matlake.store.tables.parts import LivePart


@dataclass(frozen=True, repr=False)
class EmbedReport(Report):
    """What a run did, over all features.

    Attributes:
        embedded: Vectors added.
        skipped: Rows, for each layer, that needed none: their content has one already, or shares the one added.
        failed: Rows, for each layer, that the encoder cannot take; they are in ``failures``, once an encoder.
        seconds: Wall time.
        features: Those that were named -> those that were embedded, which ``precision`` may have chosen.
    """

    embedded: int
    skipped: int
    failed: int
    seconds: float
    features: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Return the text for people."""
        rate = self.embedded / self.seconds if self.seconds else 0.0
        failed = [f"{self.failed:,} vectors failed (see the view failures)"] if self.failed else []
        others = [(named, taken) for named, taken in self.features.items() if named != taken]
        return [
            f"embedded {self.embedded:,} vectors in {self.seconds:.1f} s ({rate:,.0f}/s)",
            f"{self.skipped:,} vectors were there already, or are those of equal materials",
            *failed,
            *(f"embedded {taken} for {named}: name it so from now on" for named, taken in others),
        ]


def embed(
    lake: Lake,
    features: str | Iterable[str],
    *,
    dataset: str | None = None,
    where: str | None = None,
    device: str = "cpu",
    workers: int | None = None,
    shard: str | None = None,
    engine: str = "local",
    address: str | None = None,
    precision: str = AS_NAMED,
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
        workers: Threads that encode on a CPU; on a GPU one does, and these make its inputs. By default one per core.
            With Ray, the number of actors; by default one for each CPU, or GPU, of the cluster.
        shard: ``i/N``: only the contents that the i-th of N jobs embeds, from 0; see ``JobShard``.
        engine: ``local``: threads of this process; or ``ray``: actors on the nodes of a Ray cluster, which must all
            reach the lake.
        address: HOST:PORT of the head of the cluster; by default ``$RAY_ADDRESS``, or else Ray is started here.
        precision: ``as-named``; or ``auto``: in int8 where that is faster here and loses nothing. Its vectors are those
            of another encoder, ``NAME-int8``, which the report names; see ``in_precision``.
        progress: Receives the number of rows done, over all features.

    Raises:
        EncoderError: An encoder, layer or precision is unknown, or an encoder's file is refused.
        LakeError: There is no such dataset, or nothing to embed.
        QueryError: ``where`` is not a predicate over ``materials``.
        MissingExtraError: ONNX Runtime, the device or Ray is not there.
        MatlakeError: ``shard`` is not a shard; or there is no such engine, see ``run_on_ray``.
    """
    started = time.monotonic()
    lake.check_writable()
    job = None if shard is None else JobShard.parse(shard)
    encoding = Engine(engine, address, workers)
    parts = _sound_parts(lake, dataset)
    # the device of actors is not that of this machine, which needs no more of an encoder than its card
    own_device = "cpu" if engine == RAY else device
    taken = in_precision(as_list(features), precision, lake.find_encoder, device)
    targets, opened = _open(lake, list(taken.values()), own_device, Selection(parts, where, job))
    with closing(opened) as pending:
        run = _Run(targets, pending, sum(part.rows for some in parts.values() for part in some), progress)
        stages = ShardEncoder([Output.of(target) for target in targets]).stages
        opener = RemoteEncoders.of(lake, targets, device)
        with closing(run), closing(encoding.run(run.tasks(parts), stages, opener, device)) as done:
            for encoded in done:
                if engine == RAY:
                    check_shared(encoded, targets)
                run.take(encoded)
            run.commit()
    skipped = pending.selected - run.embedded - run.failed
    return EmbedReport(run.embedded, skipped, run.failed, round(time.monotonic() - started, 3), taken)


@reads_what_is_sound
def _open(lake: Lake, features: list[str], device: str, selection: Selection) -> tuple[list[Target], Pending]:
    targets = open_targets(lake, features, device)
    return targets, Pending(lake, targets, selection)


def _sound_parts(lake: Lake, dataset: str | None) -> dict[str, list[LivePart]]:
    """Return the parts of the datasets, less those that differ from their digests: wrong formulas have vectors, too."""
    if dataset is not None:
        lake.check_dataset(dataset)
    names = lake.dataset_names() if dataset is None else [dataset]
    if not names:
        raise LakeError(
            "the lake holds no dataset",
            Hint("import one: matlake.import_table(…)", cli="`matlake import FILE --dataset NAME` first"),
        )
    return {name: delta.sound_parts(delta.snapshot_or_warn(lake.dataset(name)), verify=True) for name in names}


class _Run:
    """What the driver knows and does: it alone selects, reads and commits."""

    def __init__(self, targets: Sequence[Target], pending: Pending, rows: int, progress: Progress) -> None:
        self.embedded, self.failed = 0, pending.failed
        self._targets, self._pending, self._progress = targets, pending, progress
        self._commits = Commits()
        self._total = len(targets) * rows
        self._done = self._total - pending.vectors

    def shards(self, parts: Mapping[str, Sequence[LivePart]]) -> Iterator[Shard]:
        """Yield shards, each for encoders that take the same input.

        Args:
            parts: Dataset -> its parts, as they were selected from.
        """
        self._advance(0)
        cutters = {kind: Cutter(targets) for kind, targets in self._pending.targets.items()}
        files = [(number, part.path) for number, some in enumerate(parts.values()) for part in some]
        random.shuffle(files)  # two processes at once then meet rarely
        for number, path in files if self._pending.vectors else ():
            for kind, contents, lacks in read_contents(path, number, self._pending.places):
                covered = self._reject(kind, contents, lacks)
                for shard in cutters[kind].add(contents, covered):
                    yield from self._unless_foreign(shard)
        for cutter in cutters.values():
            for shard in cutter.rest():
                yield from self._unless_foreign(shard)

    def tasks(self, parts: Mapping[str, Sequence[LivePart]]) -> Iterator[Task]:
        """Yield shards as engines take them."""
        places = {target: place for place, target in enumerate(self._targets)}
        for shard in self.shards(parts):
            yield Task(tuple(places[target] for target in shard.targets), shard.contents)

    def take(self, shard: list[Encoded]) -> None:
        """Take what came of a shard, and commit what has gathered when it is due."""
        for encoded in shard:
            targets = [self._targets[place] for place in encoded.outputs]
            for target, part in zip(targets, encoded.parts, strict=False):  # none where all contents were rejected
                self._commits.add(target, part)
                self._advance(part.rows)
            if encoded.rejected.num_rows:
                self.failed += len(targets) * int(pc.sum(encoded.rejected["n_rows"]).as_py())
                reasons = pa.array([NOT_FINITE] * encoded.rejected.num_rows)
                self._commits.reject(targets[0].model, encoded.rejected[KEY], reasons)
                self._advance(len(targets) * encoded.rejected.num_rows)
        if self._commits.is_due:
            self.commit()

    def commit(self) -> None:
        """Make what has gathered part of the lake."""
        self.embedded += self._commits.make()

    def close(self) -> None:
        """Remove what was not committed."""
        self._commits.discard()

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
            some = pa.array([reasons[row] for row in rejected], pa.string())
            self._commits.reject(model, contents[KEY].take(rejected), some)
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
