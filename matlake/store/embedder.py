"""Bulk embedding: what has no vector yet gets one, in shards that are committed as they are done.

The unit of work is *shard in, Parquet part out*: workers encode and write, one driver commits. A killed run loses
the shards in flight; the next run finds what is missing. Memory is bounded by the shards in flight.
"""

import random
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.shelf import shelve, split_feature
from matlake.errors import LakeError, QueryError
from matlake.materials.formula import fractions_matrix, uncovered_elements
from matlake.progress import Tracker, untracked
from matlake.store import delta
from matlake.store.lake import Lake
from matlake.store.sql import embedding_partition, failure_partition, literal, not_a_predicate, read_parquet

SHARD_BYTES: Final = 32 << 20
KEY: Final = "content_hash"


@dataclass(frozen=True)
class EmbedReport:
    """What a run did, over all features.

    Attributes:
        embedded: Vectors added.
        skipped: Rows that needed none: their content has one already, or shares the one added.
        failed: Rows that the encoder cannot take; they are in ``failures``.
        seconds: Wall time.
    """

    embedded: int
    skipped: int
    failed: int
    seconds: float


@dataclass(frozen=True)
class _Job:
    """One encoder and layer at work."""

    lake: Lake
    encoder: Encoder
    layer: str

    @property
    def partition(self) -> dict[str, str]:
        return embedding_partition(self.encoder.card, self.layer)


def embed(
    lake: Lake,
    features: list[str],
    *,
    dataset: str | None = None,
    where: str | None = None,
    device: str = "cpu",
    workers: int = 1,
    track: Tracker = untracked,
) -> EmbedReport:
    """Embed all materials, or some, with one or several encoders.

    Args:
        lake: The lake; an encoder used for the first time is copied into it.
        features: ``NAME`` or ``NAME@LAYER``, each.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        device: ``cpu`` or ``cuda``.
        workers: Shards encoded at once, one thread each.
        track: Told the number of rows done.

    Raises:
        EncoderError: An encoder or layer is unknown, or its file is refused.
        LakeError: There is no such dataset, or nothing to embed.
        QueryError: ``where`` is no predicate over ``materials``.
        MissingExtraError: ONNX Runtime or the device is not there.
    """
    started = time.monotonic()
    sources = _sources(lake, dataset)
    jobs = []
    for feature in features:
        name, layer = split_feature(feature)
        shelved = lake.find_encoder(name)
        encoder = open_encoder(shelved.folder, device=device)
        jobs.append(_Job(lake, encoder, encoder.card.layer(layer).name))
        shelve(shelved, lake.encoders)
    total = len(jobs) * sum(count for _, _, count in sources)
    done = 0
    counts = np.zeros(3, dtype=np.int64)
    with ThreadPoolExecutor(workers, thread_name_prefix="embed") as pool:
        for job in jobs:
            random.shuffle(sources)  # two processes at once then meet rarely
            for name, file, rows in sources:
                counts += _embed_file(job, name, file, where, pool, workers)
                done += rows
                track(done, total)
    embedded, selected, failed = (int(count) for count in counts)
    return EmbedReport(embedded, selected - embedded - failed, failed, round(time.monotonic() - started, 3))


def _sources(lake: Lake, dataset: str | None) -> list[tuple[str, str, int]]:
    """Return (dataset, file, rows) for each file of the datasets."""
    names = lake.dataset_names()
    if dataset is not None and dataset not in names:
        raise LakeError(f"there is no dataset {dataset!r}", f"datasets: {', '.join(names) or 'none yet'}")
    if not names:
        raise LakeError("the lake holds no dataset", "`matlake import FILE --dataset NAME` first")
    sources = []
    for name in names if dataset is None else [dataset]:
        table = delta.open_table(lake.dataset(name))
        if table is not None:
            actions = pa.table(table.get_add_actions(flatten=True))
            rows = dict(zip(actions["path"].to_pylist(), actions["num_records"].to_pylist(), strict=True))
            sources += [(name, file, rows[Path(file).name]) for file in delta.live_files(table)]
    return sources


def _embed_file(
    job: _Job, dataset: str, file: str, where: str | None, pool: ThreadPoolExecutor, workers: int
) -> NDArray[np.int64]:
    """Embed the rows of one file of a dataset; return vectors added, rows selected, rows failed."""
    vectors = delta.Appender(job.lake.embeddings, job.partition, KEY, ("vector",))
    failures = delta.Appender(job.lake.failures, failure_partition(job.encoder.card), KEY)
    selected, failed, contents = _pending(job, dataset, file, where, vectors.files, failures.files)
    contents, refused = _refuse(failures, contents)
    failed += refused
    shard_rows = max(256, SHARD_BYTES // (4 * job.encoder.card.layer(job.layer).dim))
    shards = [contents.slice(start, shard_rows) for start in range(0, contents.num_rows, shard_rows)]
    random.shuffle(shards)
    embedded = 0
    running: set[Future[delta.Part | None]] = set()
    try:
        while shards or running:
            while shards and len(running) <= workers:
                running.add(pool.submit(_encode_shard, job, vectors.without_foreign(shards.pop())))
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                part = future.result()
                if part is not None:
                    embedded += vectors.append(part)
    finally:
        for future in running:
            future.cancel()
    return np.array([embedded, selected, failed], dtype=np.int64)


def _pending(
    job: _Job, dataset: str, file: str, where: str | None, vector_files: list[str], failure_files: list[str]
) -> tuple[int, int, pa.Table]:
    """Return rows selected, rows known to fail, and the contents that have neither vector nor failure."""
    rows = (
        f"(SELECT {literal(dataset)} AS dataset, * FROM {read_parquet([file])} WHERE import_error IS NULL "
        "UNION ALL BY NAME (SELECT * FROM materials LIMIT 0))"  # so that every property can be named
    )
    refused, embedded = _hashes(failure_files), _hashes(vector_files)
    selection = (
        f"SELECT composition_hash AS content_hash, atomic_numbers, fractions FROM {rows} WHERE ({where or 'true'}\n)"
    )
    with job.lake.connect() as connection:
        try:
            if len(connection.extract_statements(selection)) != 1:
                raise QueryError(f"{where!r} is not one SQL predicate")
            connection.execute(f"CREATE TEMP TABLE selected AS {selection}")
        except duckdb.Error as error:
            raise not_a_predicate(where, error) from error
        (selected,) = connection.execute("SELECT count(*) FROM selected").fetchall()[0]
        (failed,) = connection.execute(
            f"SELECT count(*) FROM selected SEMI JOIN {refused} AS r USING (content_hash)"
        ).fetchall()[0]
        contents = connection.sql(
            "SELECT content_hash, any_value(atomic_numbers) AS atomic_numbers, any_value(fractions) AS fractions, "
            f"count(*) AS n_rows FROM selected ANTI JOIN {embedded} AS e USING (content_hash) "
            f"ANTI JOIN {refused} AS r USING (content_hash) GROUP BY content_hash"
        ).to_arrow_table()
    return selected, failed, contents


def _hashes(files: list[str]) -> str:
    """Return a relation of the keys in files, which may be none."""
    return f"(SELECT content_hash FROM {read_parquet(files)})" if files else "(SELECT '' AS content_hash WHERE false)"


def _refuse(failures: delta.Appender, contents: pa.Table) -> tuple[pa.Table, int]:
    """Record the contents that the encoder has no input for; return the others, and the rows refused."""
    reasons = uncovered_elements(contents["atomic_numbers"])
    refused = contents.filter(pc.is_valid(reasons))
    if refused.num_rows:
        rows = pa.table({KEY: refused[KEY], "reason": pc.drop_null(reasons)})
        failures.append(delta.write_part(failures.root, rows, failures.partition))
    return contents.filter(pc.is_null(reasons)), int(pc.sum(refused["n_rows"]).as_py() or 0)


def _encode_shard(job: _Job, shard: pa.Table) -> delta.Part | None:
    """Encode a shard and write its part; None where nothing is left of it."""
    if not shard.num_rows:
        return None
    vectors = job.encoder.encode(fractions_matrix(shard["atomic_numbers"], shard["fractions"]), job.layer)
    count, dim = vectors.shape
    offsets = pa.array(np.arange(0, count * dim + 1, dim, dtype=np.int32))
    table = pa.table({KEY: shard[KEY], "vector": pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))})
    return delta.write_part(job.lake.embeddings, table, job.partition, ("vector",))
