"""Jobs that embed a shard of a lake each, in processes of their own, some of which are killed at a chosen moment.

``PYTHONPATH=tests:. python -m shard_jobs`` does so with eight jobs on an object store, round after round: too long for
the tests. It ends with an error where the rows are not those of a clean run.
"""

import argparse
import os
import random
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from forked import CONTEXT
from object_store import object_store
from samples import ENCODER, GAPS

from matlake import Lake, embed, import_table, open_lake
from matlake.store.storage.parquet import read_table
from matlake.store.tables import delta

FEATURE: Final = f"{ENCODER}@16"
"""The shortest vectors: 32 numbers."""

_STEPS: Final = 4
_LONGEST_S: Final = 240.0


def stored(lake: Lake) -> pa.Table:
    """Return what the embeddings table holds, in an order that does not depend on the run."""
    table = delta.open_table(lake.embeddings)
    assert table is not None
    parts = [read_table(file) for file in delta.live_files(table)]
    return pa.concat_tables(parts).sort_by("content_hash")


def assert_same_rows(lake: Lake, clean: Lake) -> None:
    """Compare two lakes: contents, vectors, failures."""
    found, expected = stored(lake), stored(clean)
    assert found["content_hash"].equals(expected["content_hash"])
    vectors = [np.array(each["vector"].to_pylist()) for each in (found, expected)]
    np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-4)
    rejected = "SELECT dataset, material_id, encoder, reason FROM failures ORDER BY ALL"
    assert lake.query(rejected).equals(clean.query(rejected))


def make_lake(place: str | Path, rows: int | None = None) -> Lake:
    """Make a lake of measured band gaps, 4,604 by default."""
    made = open_lake(place, create=True)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pq.read_table(GAPS).slice(0, rows), Path(folder) / "gaps.parquet")
        import_table(made, Path(folder) / "gaps.parquet", "gaps")
    return made


def kill_half(lake: Lake, count: int, dice: random.Random) -> tuple[list[str], list[str]]:
    """Embed shards at the same time, and kill half of the jobs; return the shards, and which of them were killed."""
    shards = [f"{job}/{count}" for job in range(count)]
    killed = {shard: dice.randrange(_STEPS) for shard in dice.sample(shards, count // 2)}
    codes = run_jobs(lake, shards, killed)
    assert [code == -signal.SIGKILL for code in codes] == [shard in killed for shard in shards], codes
    assert sum(code == 0 for code in codes) == count - len(killed), codes
    return shards, [*killed]


def run_jobs(lake: Lake, shards: Sequence[str], killed: Mapping[str, int] = MappingProxyType({})) -> list[int | None]:
    """Embed shards at the same time and return the exit codes.

    Args:
        lake: The lake.
        shards: A shard for each job.
        killed: For some of the shards, after how many steps of writing their job is killed.
    """
    settings = str(lake.path), dict(os.environ)
    jobs = [CONTEXT.Process(target=_embed, args=(*settings, shard, killed.get(shard))) for shard in shards]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(_LONGEST_S)
        if job.exitcode is None:
            job.kill()
            job.join()
    return [job.exitcode for job in jobs]


def _embed(lake: str, environment: dict[str, str], shard: str, steps: int | None) -> None:
    os.environ.update(environment)
    from matlake.encoders import shard_sizes
    from matlake.store.embedding import commits

    shard_sizes.SHARD_BYTES = 0  # parts of 256 rows
    commits.COMMIT_SECONDS = 0.0  # each by itself
    if steps is not None:
        _die_after(steps)
    embed(open_lake(lake), [FEATURE], shard=shard)


def _die_after(steps: int) -> None:
    """Kill this process before it writes its nth part or makes its nth commit, whichever is the nth step."""
    from matlake.store.tables import writing

    taken = 0

    def counted(function: Any) -> Any:
        def wrapper(*arguments: Any, **words: Any) -> Any:
            nonlocal taken
            if taken == steps:
                os.kill(os.getpid(), signal.SIGKILL)
            taken += 1
            return function(*arguments, **words)

        return wrapper

    writing.write_part = counted(writing.write_part)  # type: ignore[assignment]
    delta.commit = counted(delta.commit)  # type: ignore[assignment]


def main() -> None:
    """Kill and restart half of eight jobs on an object store, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with object_store() as store, tempfile.TemporaryDirectory() as folder:
        os.environ.update(store.environment | {"MATLAKE_CACHE": folder})
        clean = make_lake(Path(folder) / "clean")
        embed(clean, [FEATURE])
        for seed in range(rounds):
            lake = make_lake(f"s3://{store.make_bucket()}/lake")
            _, killed = kill_half(lake, 8, random.Random(seed))  # noqa: S311 - a choice of what to kill
            rows = stored(lake).num_rows
            assert run_jobs(lake, killed) == [0] * len(killed)
            assert_same_rows(lake, clean)
            print(f"round {seed}: {len(killed)} jobs killed at {rows:,} rows, {stored(clean).num_rows:,} after")  # noqa: T201


if __name__ == "__main__":
    main()
