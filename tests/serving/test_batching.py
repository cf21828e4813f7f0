"""Micro-batches: what waits shares a run, nobody is lost, nobody is held up."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from matlake.serving.batching import Batcher
from matlake.serving.errors import RequestError
from matlake.serving.metrics import Metrics
from matlake.serving.settings import Capacity


class Work:
    """Squares numbers as soon as it may, and remembers its batches; a negative number is a fault."""

    def __init__(self) -> None:
        self.may_run = threading.Event()
        self.batches: list[list[int]] = []

    def run(self, items: list[int]) -> list[int]:
        assert self.may_run.wait(10)
        self.batches.append(items)
        if min(items) < 0:
            raise ValueError("negative")
        return [item * item for item in items]


@contextmanager
def batching(
    work: Work, batch: int = 10, queue: int = 1000, weigh: Callable[[int], int] = lambda _: 1
) -> Iterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher("test", work.run, weigh, Capacity(batch, queue), Metrics())
    try:
        yield batcher
    finally:
        work.may_run.set()
        batcher.close()


async def first_busy(batcher: Batcher[int, int]) -> "asyncio.Future[list[int]]":
    """Give the thread something to wait in."""
    future = batcher.submit([0])
    while batcher.weight:  # noqa: ASYNC110 - a thread takes it
        await asyncio.sleep(0.001)
    return future


def test_what_waits_shares_a_run_and_each_gets_its_own() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        others = [batcher.submit([number, number + 100]) for number in range(1, 5)]
        work.may_run.set()
        assert await busy == [0]
        for number, other in enumerate(others, start=1):
            assert await other == [number**2, (number + 100) ** 2]

    work = Work()
    with batching(work) as batcher:
        asyncio.run(scenario(batcher))
    assert [len(batch) for batch in work.batches] == [1, 8]


def test_a_large_request_goes_in_pieces_and_lets_others_pass() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        large, small = batcher.submit(list(range(1, 26))), batcher.submit([7])
        work.may_run.set()
        await busy
        assert await small == [49]
        assert await large == [item * item for item in range(1, 26)]

    work = Work()
    with batching(work) as batcher:
        asyncio.run(scenario(batcher))
    assert [len(batch) for batch in work.batches] == [1, 10, 10, 6]
    assert work.batches[2][0] == 7


def test_batches_are_filled_by_weight_and_what_is_too_heavy_goes_alone() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        others = [batcher.submit([weight]) for weight in (4, 6, 1, 50, 3)]
        work.may_run.set()
        await asyncio.gather(busy, *others)

    work = Work()
    with batching(work, weigh=lambda weight: max(1, weight)) as batcher:
        asyncio.run(scenario(batcher))
    assert work.batches == [[0], [4, 6], [1], [50], [3]]


def test_one_bad_request_does_not_spoil_the_others() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        good, bad, other = batcher.submit([2]), batcher.submit([-1]), batcher.submit([3])
        work.may_run.set()
        assert [await busy, await good, await other] == [[0], [4], [9]]
        with pytest.raises(ValueError, match="negative"):
            await bad
        assert await batcher.submit([5]) == [25]

    work = Work()
    with batching(work) as batcher:
        asyncio.run(scenario(batcher))


def test_a_full_queue_refuses_but_keeps_what_it_has() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        kept = batcher.submit([1, 2, 3])
        with pytest.raises(RequestError, match="too busy") as caught:
            batcher.submit([4, 5])
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
        work.may_run.set()
        assert await busy == [0]
        assert await kept == [1, 4, 9]
        assert batcher.weight == 0

    work = Work()
    with batching(work, queue=4) as batcher:
        asyncio.run(scenario(batcher))


def test_what_was_given_up_is_not_run() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        given_up, kept = batcher.submit([1, 2]), batcher.submit([3])
        given_up.cancel()
        work.may_run.set()
        await busy
        assert await kept == [9]
        assert batcher.weight == 0

    work = Work()
    with batching(work) as batcher:
        asyncio.run(scenario(batcher))
    assert work.batches == [[0], [3]]


def test_what_was_given_up_makes_room_while_the_thread_is_busy() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        given_up = [batcher.submit([1, 2]) for _ in range(2)]
        with pytest.raises(RequestError, match="is full"):
            batcher.submit([3])
        given_up[0].cancel()
        await asyncio.sleep(0)
        assert batcher.weight == 2
        kept = batcher.submit([3])
        work.may_run.set()
        await busy
        assert [await given_up[1], await kept] == [[1, 4], [9]]
        assert batcher.weight == 0

    work = Work()
    with batching(work, queue=4) as batcher:
        asyncio.run(scenario(batcher))
    assert work.batches == [[0], [1, 2, 3]]


def test_the_rest_of_a_large_request_that_was_given_up_is_not_run() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        large = batcher.submit(list(range(25)))
        while batcher.weight == 25:  # noqa: ASYNC110 - a thread takes its first part
            await asyncio.sleep(0.001)
        large.cancel()
        await asyncio.sleep(0)
        assert batcher.weight == 0
        work.may_run.set()
        assert await batcher.submit([7]) == [49]

    work = Work()
    with batching(work) as batcher:
        asyncio.run(scenario(batcher))
    assert [len(batch) for batch in work.batches] == [10, 1]


def test_closing_finishes_what_waits_and_refuses_what_comes() -> None:
    async def scenario(batcher: Batcher[int, int]) -> None:
        busy = await first_busy(batcher)
        waiting = [batcher.submit([number]) for number in range(30)]
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="stopping"):
            batcher.submit([1])
        work.may_run.set()
        assert await busy == [0]
        assert [await one for one in waiting] == [[number**2] for number in range(30)]
        await closing

    work = Work()
    with batching(work) as batcher:
        asyncio.run(scenario(batcher))
