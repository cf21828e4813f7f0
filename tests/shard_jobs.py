"""Jobs that embed a shard of a lake each, in processes of their own, some of which are killed at a chosen moment."""

import os
import signal
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from forked import CONTEXT

_LONGEST_S: Final = 120.0


def run_jobs(
    lake: str, features: Sequence[str], shards: Sequence[str], killed: Mapping[str, int] = MappingProxyType({})
) -> list[int | None]:
    """Embed shards at the same time and return the exit codes.

    Args:
        lake: Path of the lake.
        features: What to embed.
        shards: A shard for each job.
        killed: For some of the shards, after how many steps of writing their job is killed.
    """
    jobs = [CONTEXT.Process(target=_embed, args=(lake, [*features], shard, killed.get(shard))) for shard in shards]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(_LONGEST_S)
        if job.exitcode is None:
            job.kill()
            job.join()
    return [job.exitcode for job in jobs]


def _embed(lake: str, features: list[str], shard: str, steps: int | None) -> None:
    from matlake import embed, open_lake
    from matlake.encoders import shard_sizes

    shard_sizes.SHARD_BYTES = 0  # parts of 256 rows
    if steps is not None:
        _die_after(steps)
    embed(open_lake(lake), features, shard=shard)


def _die_after(steps: int) -> None:
    """Kill this process before it writes its nth part or makes its nth commit, whichever is the nth step."""
    from matlake.store import delta, writing

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
