"""Engines: what does pieces of work in two stages, here or on other machines."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from matlake.encoders.pipeline import run_stages
from matlake.encoders.ray_pool import Opener, run_on_ray
from matlake.errors import Hint, MatlakeError
from matlake.platforms import usable_cores

Work = TypeVar("Work")
Made = TypeVar("Made")
Done = TypeVar("Done")

LOCAL: Final = "local"
RAY: Final = "ray"
ENGINES: Final = (LOCAL, RAY)
"""Threads of this process, or actors on the nodes of a Ray cluster."""


@dataclass(frozen=True)
class Engine:
    """What does pieces of work.

    Attributes:
        name: One of ``ENGINES``.
        address: HOST:PORT of the head of a Ray cluster; by default ``$RAY_ADDRESS``, or else Ray is started here.
        workers: Threads that encode, or actors; by default one a core, or one for each CPU, or GPU, of the cluster.
    """

    name: str = LOCAL
    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse engines that do not exist."""
        if self.name not in ENGINES:
            raise MatlakeError(f"unknown engine {self.name!r}", f"engines: {', '.join(ENGINES)}")
        if self.address is not None and self.name != RAY:
            raise MatlakeError("only Ray has an address", Hint("add engine='ray'", cli="add --engine ray"))

    def run(
        self,
        work: Iterator[Work],
        stages: tuple[Callable[[Work], Made], Callable[[Made], Done]],
        opener: Opener[Work, Done],
        device: str = "cpu",
    ) -> Generator[Done]:
        """Take pieces of work through both stages; see ``run_stages``.

        Args:
            work: The pieces, read by the caller's thread.
            stages: The stages in this process.
            opener: Makes the stages on another machine.
            device: ``cpu`` or ``cuda``.

        Yields:
            What the second stage returns, as it is done, not in order.

        Raises:
            MissingExtraError: Ray is not installed.
            MatlakeError: See ``run_on_ray``; or what a stage raises.
        """
        if self.name == RAY:
            return self.run_on_ray(work, opener, device)
        return run_stages(work, *stages, device=device, workers=self.workers or usable_cores())

    def run_on_ray(self, work: Iterator[Work], opener: Opener[Work, Done], device: str = "cpu") -> Generator[Done]:
        """Take pieces of work through the stages on other machines; see ``run``."""
        return run_on_ray(work, opener, address=self.address, device=device, workers=self.workers)
