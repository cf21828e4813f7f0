"""Where the time of ``embed`` goes: clocks around its stages, put in place from outside."""

import functools
import inspect
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any


class Stages:
    """Processor seconds by stage, summed over threads; what a thread waits for does not count."""

    def __init__(self) -> None:
        """Start with no seconds."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def clock(self, home: Any, name: str, stage: str) -> None:
        """Replace a function or generator of a module or class by one that counts its seconds.

        Args:
            home: The module or class.
            name: Name of the function in it.
            stage: What the seconds are counted under.
        """
        inner: Callable[..., Any] = getattr(home, name)
        setattr(
            home,
            name,
            self._generator(inner, stage) if inspect.isgeneratorfunction(inner) else self._function(inner, stage),
        )

    def _function(self, inner: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*arguments: Any, **named: Any) -> Any:
            started = time.thread_time()
            try:
                return inner(*arguments, **named)
            finally:
                self._add(stage, started)

        return outer

    def _generator(self, inner: Callable[..., Iterator[Any]], stage: str) -> Callable[..., Iterator[Any]]:
        @functools.wraps(inner)
        def outer(*arguments: Any, **named: Any) -> Iterator[Any]:
            items = inner(*arguments, **named)
            while True:
                started = time.thread_time()
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    self._add(stage, started)
                yield item

        return outer

    def _add(self, stage: str, started: float) -> None:
        with self._lock:
            self.seconds[stage] += time.thread_time() - started


def watch_embed() -> Callable[[], dict[str, float]]:
    """Put clocks into ``embed``; the function returned tells the seconds so far.

    Stages: ``read`` (selection and reading of what is missing), ``graph`` (what the network takes: graphs of crystals
    and their batches, fractions of elements), ``encoder`` (the network), ``write`` (Parquet) and ``commit``.
    """
    from matlake.encoders.base import Encoder
    from matlake.store.embedding import embedder
    from matlake.store.embedding.encoding import ShardEncoder
    from matlake.store.embedding.pending import Pending
    from matlake.store.tables import writing
    from matlake.store.tables.appender import Appender

    stages = Stages()
    stages.clock(embedder, "open_targets", "read")
    stages.clock(Pending, "__init__", "read")
    stages.clock(embedder, "read_contents", "read")
    stages.clock(ShardEncoder, "prepare", "graph")
    stages.clock(ShardEncoder, "encode", "encode")
    stages.clock(Encoder, "_run", "encoder")
    stages.clock(writing, "write_part", "write")
    stages.clock(Appender, "append", "commit")

    def found() -> dict[str, float]:
        seconds = stages.seconds
        batching = seconds["encode"] - seconds["encoder"] - seconds["write"]
        return {
            "read": seconds["read"],
            "graph": seconds["graph"] + batching,
            "encoder": seconds["encoder"],
            "write": seconds["write"],
            "commit": seconds["commit"],
        }

    return found
