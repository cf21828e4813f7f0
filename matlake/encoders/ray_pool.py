"""A pool of Ray actors that do pieces of work on all nodes of a cluster, whatever becomes of some of them.

The driver hands out pieces and takes what comes of them. An actor has few pieces at a time, so that the source of work
is read no faster than it is used. Pieces of an actor that is lost, alone or with its node, are done again by others.
"""

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Protocol, TypeVar

from matlake.errors import USE_CPU, Hint, MatlakeError
from matlake.extras import require_extra, tool_versions
from matlake.text_tables import in_a_line

Work = TypeVar("Work")
Made = TypeVar("Made")
Done = TypeVar("Done")
Work_contra = TypeVar("Work_contra", contravariant=True)
Done_co = TypeVar("Done_co", covariant=True)

ADDRESS_VARIABLE: Final = "RAY_ADDRESS"
_CONNECT_S: Final = 5.0
_START_S: Final = 180.0
"""Seconds in which an actor must have started: it loads an encoder from a file system that may be slow."""

_ATTEMPTS: Final = 3
"""Actors that may be lost over one piece of work: it may take more memory than there is."""

_MOST_MAKERS: Final = 8
_SHOWN: Final = 300  # characters of what Ray says
_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # of connecting to a head, forty seconds each
}


class Opener(Protocol[Work_contra, Done_co]):
    """What an actor needs to begin: plain values, such as names and digests, that are sent to another machine."""

    def open(self) -> tuple[Callable[[Work_contra], Any], Callable[[Any], Done_co]]:
        """Return the stages of work, as ``run_stages`` takes them.

        Raises:
            MatlakeError: The machine lacks what is named, or has another.
        """
        ...


def run_on_ray(
    work: Iterator[Work], opener: Opener[Work, Done], *, address: str | None, device: str, workers: int | None
) -> Generator[Done]:
    """Take pieces of work through both stages, in actors; see ``pipeline.run_stages``.

    Args:
        work: The pieces, read by the caller's thread; they are pickled.
        opener: Makes the stages, once in each actor.
        address: HOST:PORT of the head of a cluster; by default ``$RAY_ADDRESS``, or else Ray is started here.
        device: ``cpu`` or ``cuda``: an actor takes one CPU, or one GPU.
        workers: Actors; by default one for each CPU, or GPU, of the cluster.

    Yields:
        What the second stage returns, as it is done, not in order.

    Raises:
        MissingExtraError: Ray is not installed.
        MatlakeError: The cluster is not there, has no such device, or has another matlake; a piece of work has lost
            actor after actor; or what a stage raises.
    """
    first = next(work, None)
    if first is None:
        return
    require_extra("ray", "the engine ray")
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    joined = not ray.is_initialized()
    if joined:
        _join(address or os.environ.get(ADDRESS_VARIABLE))
    try:
        yield from _Pool(opener, device, workers).run(chain([first], work))
    finally:
        if joined:
            ray.shutdown()


def _join(address: str | None) -> None:
    """Connect to a cluster, or start one on this machine alone; Ray would wait minutes for a head that is not there."""
    import ray

    if address is not None and address != "auto":
        _check_there(address)
    handler = signal.getsignal(signal.SIGTERM)
    settings: dict[str, Any] = (
        {"address": address} if address else {"address": "local", "_node_ip_address": "127.0.0.1"}
    )
    try:
        ray.init(**settings, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise MatlakeError(
            f"cannot join the Ray cluster at {address or 'this machine'}: {_said(error)}",
            "run this on a node of the cluster; `ray status` there shows whether it is up",
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray replaces it


def _check_there(address: str) -> None:
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise MatlakeError(f"{address!r} is not the address of a Ray head", "give HOST:PORT, such as 10.0.0.1:6379")
    import ray

    if host in ("localhost", "127.0.0.1"):
        host = ray.util.get_node_ip_address()  # as Ray does
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise MatlakeError(
            f"no Ray head answers at {address}: {error}",
            Hint(
                "start a head there, or leave out address to start Ray on this machine",
                cli="start one with `ray start --head`, or leave out --address to start Ray on this machine",
            ),
        ) from error


@dataclass(eq=False)
class _Member:
    """An actor.

    Attributes:
        actor: Its handle.
        pieces: How many it has in hand.
        ready: Whether it has opened what it needs.
        lost: Whether it is gone.
    """

    actor: Any
    pieces: int = 0
    ready: bool = False
    lost: bool = False


@dataclass(frozen=True, eq=False)
class _Piece:
    """A piece of work, with its number."""

    number: int
    work: Any


class _Pool:
    """The driver's side: actors, what each is doing, and what is to be done again."""

    def __init__(self, opener: Opener[Any, Any], device: str, workers: int | None) -> None:
        import ray

        cpus, gpus = (int(ray.cluster_resources().get(name, 0)) for name in ("CPU", "GPU"))
        if device == "cuda" and not gpus:
            raise MatlakeError("no node of the Ray cluster has a GPU", USE_CPU)
        self._size = workers or (gpus if device == "cuda" else cpus) or 1
        # one thread of an actor encodes, and others make inputs; on a CPU one piece waits while another is encoded
        makers = max(1, min(_MOST_MAKERS, cpus // gpus)) if device == "cuda" else 1
        self._in_hand = makers + 1
        self._class = ray.remote(
            num_cpus=makers,
            num_gpus=int(device == "cuda"),
            max_concurrency=self._in_hand,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )(_actor_class())
        self._opener = ray.put(opener)
        self._version = tool_versions(["matlake"])["matlake"]
        self._members: list[_Member] = []
        self._starting: dict[Any, _Member] = {}
        self._running: dict[Any, tuple[_Member, _Piece]] = {}
        self._again: list[_Piece] = []
        self._losses: Counter[int] = Counter()
        self._failed_starts = 0

    def run(self, work: Iterator[Any]) -> Generator[Any]:
        """Yield what comes of the pieces."""
        import ray

        numbered = (_Piece(number, piece) for number, piece in enumerate(work))
        try:
            while True:
                while len(self._members) < self._size:
                    self._start()
                self._hand_out(numbered)
                if not self._running and self._any_ready():
                    return
                waiting = [*self._running, *self._starting]
                done, _ = ray.wait(waiting, num_returns=1, timeout=None if self._running else _START_S)
                if not done:
                    raise self._nothing_started()
                if done[0] in self._starting:
                    self._started(done[0])
                    continue
                result = self._result(done[0])
                if result is not None:
                    yield from result
        finally:
            for member in self._members:
                with suppress(Exception):  # the cluster may be gone
                    ray.kill(member.actor)

    def _any_ready(self) -> bool:
        return any(member.ready for member in self._members)

    def _start(self) -> None:
        member = _Member(self._class.remote())
        self._members.append(member)
        # in a list Ray leaves it to the actor to fetch the opener, once it has compared the versions
        self._starting[member.actor.start.remote(self._version, [self._opener])] = member

    def _started(self, reference: Any) -> None:
        import ray

        member = self._starting.pop(reference)
        try:
            problem = ray.get(reference)
        except ray.exceptions.RayActorError as error:
            self._lose(member)
            self._failed_starts += 1
            if self._failed_starts >= self._size + _ATTEMPTS:
                raise MatlakeError(f"Ray actors end as soon as they have started: {_said(error)}") from error
            return
        except ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        if problem is not None:
            raise MatlakeError(
                f"{problem}, and this machine matlake {self._version}", "install the same version on all nodes"
            )
        member.ready = True

    def _hand_out(self, numbered: Iterator[_Piece]) -> None:
        """Give each actor as many pieces as it may have in hand; those with fewest come first."""
        for pieces in range(self._in_hand):
            for member in self._members:
                if not member.ready or member.pieces > pieces:
                    continue
                piece = self._again.pop() if self._again else next(numbered, None)
                if piece is None:
                    return
                member.pieces += 1
                self._running[member.actor.run.remote(piece.work)] = member, piece

    def _result(self, reference: Any) -> list[Any] | None:
        """Return what came of a piece, in a list; None where its actor is lost, and it has to be done again."""
        import ray

        member, piece = self._running.pop(reference)
        member.pieces -= 1
        try:
            result = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        except ray.exceptions.RayError as error:  # the actor, its node, or the answer on it is lost
            self._losses[piece.number] += 1
            if self._losses[piece.number] >= _ATTEMPTS:
                raise MatlakeError(
                    f"{_ATTEMPTS} Ray actors were lost over the same piece of work; the last one: {_said(error)}",
                    "a node may have too little memory for it: use fewer workers",
                ) from error
            self._again.append(piece)
            self._lose(member)
            return None
        self._failed_starts = 0
        return [result]

    def _lose(self, member: _Member) -> None:
        """Forget an actor; its other pieces come back by themselves."""
        import ray

        if not member.lost:
            member.lost, member.ready = True, False
            self._members.remove(member)
            with suppress(Exception):  # it may only be out of reach
                ray.kill(member.actor)

    def _nothing_started(self) -> MatlakeError:
        import ray

        there = ", ".join(f"{count:g} {name}" for name, count in ray.available_resources().items() if name in _KINDS)
        return MatlakeError(
            f"Ray has started no actor in {_START_S:.0f} s; free in the cluster: {there or 'no CPU, no GPU'}",
            "run it again when nodes are free",
        )


_KINDS: Final = ("CPU", "GPU")


def _actor_class() -> type:
    """Return the class of actors.

    It is made in a function, so that Ray sends its code rather than its name, which another version may not have.
    """

    class MatlakeWorker:
        def start(self, version: str, opener: list[Any]) -> str | None:
            import importlib.metadata
            import socket
            import threading

            import ray

            try:
                found = importlib.metadata.version("matlake")
            except importlib.metadata.PackageNotFoundError:
                found = "(not installed)"
            if found != version:
                return f"node {socket.gethostname()} of the Ray cluster has matlake {found}"
            self._make, self._encode = ray.get(opener[0]).open()
            self._encoding = threading.Lock()
            return None

        def run(self, work: Any) -> Any:
            made = self._make(work)
            with self._encoding:
                return self._encode(made)

    return MatlakeWorker


def _cause(error: Any) -> BaseException:
    """Return what was raised in an actor, without Ray's account of it."""
    cause = error.cause
    return cause if isinstance(cause, MatlakeError | OSError) else error


def _said(error: Exception) -> str:
    return in_a_line(str(error).partition("\n")[0])[:_SHOWN]
