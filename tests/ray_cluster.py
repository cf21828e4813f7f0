"""A Ray cluster of two nodes on this machine: tests kill its actors and remove a node."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

LOOPBACK: Final = "127.0.0.2"
"""Ray takes 127.0.0.1 for the address of this machine in its network."""

_QUICK: Final = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
"""Lost nodes are noticed in seconds rather than in half a minute."""


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Start a cluster of two nodes with one CPU each, and join it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors do not find this file

    handler = signal.getsignal(signal.SIGTERM)
    settings = {"num_cpus": 1, "node_ip_address": LOOPBACK, "object_store_memory": 100 << 20}
    cluster = Cluster(
        initialize_head=True, head_node_args=settings | {"include_dashboard": False, "_system_config": _QUICK}
    )
    try:
        cluster.add_node(**settings)
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        signal.signal(signal.SIGTERM, handler)


def workers(cluster: Any) -> list[int]:
    """Return the processes of our actors."""
    raylets = {process.process.pid for node in cluster.list_all_nodes() for process in node.all_processes["raylet"]}
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            title = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if parent in raylets and title.startswith(b"ray::MatlakeWorker"):
            found.append(int(stat.parent.name))
    return sorted(found)


@dataclass(frozen=True)
class Squares:
    """Squares numbers in an actor, which is killed over some of them.

    Attributes:
        folder: Where it notes that it was killed.
        deadly: Numbers over which the actor is killed.
        times: How often.
    """

    folder: Path
    deadly: frozenset[int] = frozenset()
    times: int = 1

    def open(self) -> tuple[Callable[[int], int], Callable[[int], int]]:
        """Return both stages."""
        return self._make, lambda number: number**2

    def _make(self, number: int) -> int:
        if number in self.deadly:
            for time in range(self.times):
                mark = self.folder / f"{number}-{time}"
                if not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        return number
