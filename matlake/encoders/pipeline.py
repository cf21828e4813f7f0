"""Two stages of threads: some make inputs ahead of those that encode, and few pieces of work are in flight at once."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

Work = TypeVar("Work")
Made = TypeVar("Made")
Done = TypeVar("Done")

_ENCODERS_A_MAKER: Final = 4
"""Encoding threads that a thread of input makers keeps busy on a CPU: a network takes six times as long as its graph,
or longer."""


def run_stages(
    work: Iterator[Work], make: Callable[[Work], Made], encode: Callable[[Made], Done], *, device: str, workers: int
) -> Generator[Done]:
    """Take pieces of work through both stages; each encoding thread has one ready for when it is done with another.

    Memory is bounded by the pieces in flight: ``work`` is read as fast as they leave. Closing the generator ends the
    threads.

    Args:
        work: The pieces, read by the caller's thread.
        make: The first stage, in Python and NumPy.
        encode: The second, which runs the network.
        device: ``cpu`` or ``cuda``.
        workers: Threads that encode on a CPU; on a GPU one does, and these make its inputs.

    Yields:
        What the second stage returns, as it is done, not in order.
    """
    makers, encoders = (-(-workers // _ENCODERS_A_MAKER), workers) if device == "cpu" else (workers, 1)
    most = makers + 2 * encoders
    making: list[Future[Any]] = []  # of Made
    encoding: list[Future[Any]] = []  # of Done
    with (
        ThreadPoolExecutor(makers, thread_name_prefix="make-inputs") as make_pool,
        ThreadPoolExecutor(encoders, thread_name_prefix="encode") as encode_pool,
    ):
        try:
            while True:
                while len(making) + len(encoding) < most and (piece := next(work, None)) is not None:
                    making.append(make_pool.submit(make, piece))
                if not making and not encoding:
                    return
                wait([*making, *encoding], return_when=FIRST_COMPLETED)
                for made in [future for future in making if future.done()]:
                    making.remove(made)
                    encoding.append(encode_pool.submit(encode, made.result()))
                for ended in [future for future in encoding if future.done()]:
                    encoding.remove(ended)
                    yield ended.result()
        finally:
            for future in [*making, *encoding]:
                future.cancel()
