"""Micro-batches: requests that wait at the same time share one run.

Nothing is delayed to fill a batch. While a run is busy requests queue up, and the next run takes what waits. A request
larger than a batch is done in pieces and goes to the end of the queue after each, so it does not hold up small ones.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from matlake.serving.errors import overloaded
from matlake.serving.metrics import Metrics
from matlake.serving.settings import Capacity

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Request(Generic[Item, Result]):
    """Items that came together; ``started`` of them have been taken, and ``results`` are there of some."""

    items: Sequence[Item]
    weights: list[int]
    future: "asyncio.Future[list[Result]]"
    started: int = 0
    results: list[Result] = field(default_factory=list)
    failure: Exception | None = None

    @property
    def is_over(self) -> bool:
        return self.failure is not None or self.future.done()

    @property
    def weight(self) -> int:
        """Weight of what waits."""
        return sum(self.weights[self.started :])

    def take(self, room: int, *, at_least: int) -> Sequence[Item]:
        """Return the next items: as many as fit."""
        count = 0
        for weight in self.weights[self.started :]:
            room -= weight
            if room < 0 and count >= at_least:
                break
            count += 1
        self.started += count
        return self.items[self.started - count : self.started]

    def resolve(self) -> None:
        """Answer whoever waits; in the event loop."""
        if self.future.done():
            return
        if self.failure is not None:
            self.future.set_exception(self.failure)
        elif len(self.results) == len(self.items):
            self.future.set_result(self.results)


Batch = list[tuple[_Request[Item, Result], Sequence[Item]]]
"""Requests, and which of their items are done together."""


class Batcher(Generic[Item, Result]):
    """A queue, and the thread that works through it.

    Args:
        name: For the thread and for messages.
        run: Works on the items of a batch, in the thread, and returns as many results.
        weigh: The weight of an item.
        capacity: How much is taken on.
        metrics: Shows what waits, and takes the numbers of each run.

    Attributes:
        weight: Weight of what waits.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[list[Item]], Sequence[Result]],
        weigh: Callable[[Item], int],
        capacity: Capacity,
        metrics: Metrics,
    ) -> None:
        """Start the thread."""
        self.name = name
        self._run = run
        self._weigh = weigh
        self._capacity = capacity
        self._waiting: deque[_Request[Item, Result]] = deque()
        self.weight = 0
        self._observe = metrics.watch_queue(name, lambda: self.weight)
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, items: Sequence[Item]) -> "asyncio.Future[list[Result]]":
        """Queue the items of a request; call it in the event loop. Cancelling the future withdraws the request.

        Raises:
            RequestError: The queue is full, or the server is stopping (503).
        """
        future: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        if not items:
            future.set_result([])
            return future
        request = _Request(items, [self._weigh(item) for item in items], future)
        with self._changed:
            if self._stopping:
                raise overloaded("the server is stopping")
            # one that comes alone is taken on whatever its weight: the limits of a request bound it
            if self.weight and self.weight + request.weight > self._capacity.queue:
                raise overloaded(f"the queue for {self.name} is full")
            self.weight += request.weight
            self._waiting.append(request)
            self._changed.notify()
        future.add_done_callback(lambda _: self._withdraw(request))
        return future

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _withdraw(self, request: _Request[Item, Result]) -> None:
        """Make room at once for others if what waits of a request is wanted no more."""
        if request.started == len(request.items):
            return
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
                self.weight -= request.weight

    def _work(self) -> None:
        while batch := self._next():
            started = time.perf_counter()
            self._process(batch)
            self._observe(len(batch), sum(len(items) for _, items in batch), time.perf_counter() - started)
            with contextlib.suppress(RuntimeError):  # the event loop was closed: no request waits any more
                loop = batch[0][0].future.get_loop()
                loop.call_soon_threadsafe(_resolve, [request for request, _ in batch])

    def _next(self) -> Batch[Item, Result]:
        """Wait for requests and return what is done next; nothing at the end."""
        with self._changed:
            while True:
                batch = self._take()
                if batch or self._stopping:
                    return batch
                self._changed.wait()

    def _take(self) -> Batch[Item, Result]:
        batch: Batch[Item, Result] = []
        unfinished: list[_Request[Item, Result]] = []
        room = self._capacity.batch
        while self._waiting:
            request = self._waiting[0]
            before = request.weight
            if request.is_over:
                self.weight -= before
                self._waiting.popleft()
                continue
            items = request.take(room, at_least=0 if batch else 1)
            if not items:
                break
            self._waiting.popleft()
            taken = before - request.weight
            self.weight -= taken
            room -= taken
            batch.append((request, items))
            if request.started < len(request.items):
                unfinished.append(request)
        self._waiting.extend(unfinished)
        return batch

    def _process(self, batch: Batch[Item, Result]) -> None:
        """Run a batch; where that fails, run each request alone, so that one does not spoil the others."""
        try:
            results = self._run([item for _, items in batch for item in items])
        except Exception as error:  # noqa: BLE001 - whatever it is, the request is answered and the thread lives on
            if len(batch) > 1:
                for share in batch:
                    if not share[0].is_over:
                        self._process([share])
            else:
                batch[0][0].failure = error
            return
        start = 0
        for request, items in batch:
            request.results += results[start : start + len(items)]
            start += len(items)


def _resolve(requests: list[_Request[Any, Any]]) -> None:
    for request in requests:
        request.resolve()
