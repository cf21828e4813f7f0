"""What ``/metrics`` shows, in Prometheus' format."""

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        """Start from zero."""
        self.registry = registry = CollectorRegistry()

        def of_queue(name: str, what: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(name, what, ["queue"], buckets=buckets, registry=registry)

        about = "From the headers of a request to the end of its answer."
        self._requests = Counter("matlake_requests", "Requests answered.", ["path", "status"], registry=registry)
        self._seconds = Histogram("matlake_request_seconds", about, ["path"], buckets=_SECONDS, registry=registry)
        self._rows = Counter("matlake_rows", "Materials received.", ["path", "outcome"], registry=registry)
        self._batch_requests = of_queue("matlake_batch_requests", "Requests that shared a run.", _SIZES)
        self._batch_rows = of_queue("matlake_batch_rows", "Materials of a run.", _SIZES)
        self._batch_seconds = of_queue("matlake_batch_seconds", "Seconds of a run.", _SECONDS)
        self._waiting = Gauge(
            "matlake_queue_weight", "Rows or atoms that wait for a run.", ["queue"], registry=registry
        )
        self._in_flight = Gauge("matlake_requests_in_flight", "Requests being worked on.", registry=registry)
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        ProcessCollector(registry=registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        if (path, status) not in self._known:  # looking for labels takes longer than counting
            self._known[path, status] = self._requests.labels(path, str(status)), self._seconds.labels(path)
        counter, histogram = self._known[path, status]
        counter.inc()
        histogram.observe(seconds)

    def rows(self, path: str, answered: int, failed: int) -> None:
        """Count materials."""
        self._rows.labels(path, "answered").inc(answered)
        if failed:
            self._rows.labels(path, "failed").inc(failed)

    def watch_queue(self, name: str, weight: Callable[[], int]) -> Callable[[int, int, float], None]:
        """Show what waits in a queue, and return what takes the requests, the rows and the seconds of a run."""
        self._waiting.labels(name).set_function(weight)
        requests, rows, seconds = (
            histogram.labels(name) for histogram in (self._batch_requests, self._batch_rows, self._batch_seconds)
        )

        def observe(n_requests: int, n_rows: int, elapsed: float) -> None:
            requests.observe(n_requests)
            rows.observe(n_rows)
            seconds.observe(elapsed)

        return observe

    def watch_requests(self, in_flight: Callable[[], int]) -> None:
        """Show the number of requests being worked on."""
        self._in_flight.set_function(in_flight)

    def render(self) -> bytes:
        """Return all of them as text."""
        return generate_latest(self.registry)
