"""A server of heads beside what else a notebook does."""

import signal
import threading
from types import TracebackType
from typing import Self

from matlake.serving.server import Server
from matlake.serving.settings import Settings
from matlake.store.lake import Lake


class RunningServer:
    """Heads served over HTTP from a thread of this process, until it is stopped or Python ends.

    It can stand in a ``with`` statement, which stops it at its end.

    Args:
        lake: The lake.
        settings: How to serve.

    Raises:
        MatlakeError: See ``Server``.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        """Take the address, and begin to serve."""
        self._heads = settings.heads
        self._server = Server(lake, settings)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.listen, args=(lambda _: None,), daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        """Say where it is."""
        state = "serving" if self._thread.is_alive() else "stopped serving"
        return f"<{state} {', '.join(self._heads)} at {self.url}, API documentation at {self.url}docs>"

    def wait(self) -> None:
        """Serve until Ctrl-C, as a script's last line."""
        try:
            self._thread.join()
        finally:
            self.stop()

    def stop(self) -> None:
        """Finish the requests that were accepted, and stop."""
        self._server.handle_exit(signal.SIGTERM, None)
        self._thread.join()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
