"""Listening, and stopping without losing what was taken on."""

import gc
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import threadpoolctl
import uvicorn

from matlake.errors import Hint, SourceError
from matlake.platforms import on_windows
from matlake.serving.app import fast_handlers, make_app
from matlake.serving.logs import flush_logs, log, set_up_logs
from matlake.serving.middleware import Middleware
from matlake.serving.protocol import make_protocol
from matlake.serving.service import Service
from matlake.serving.settings import Settings
from matlake.store.lake import Lake

_BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """A server that is ready to listen.

    Raises:
        HeadError: A head is missing or damaged.
        EncoderError: Likewise an encoder.
        SourceError: The address cannot be listened at.
    """

    def __init__(self, lake: Lake, settings: Settings) -> None:
        """Open and warm up the heads, and take the address."""
        set_up_logs(settings.log_level)
        self.service = Service(lake, settings)
        app = make_app(self.service)
        self._socket = _listen(settings.host, settings.port)
        limits = settings.limits
        super().__init__(
            uvicorn.Config(
                Middleware(app, fast_handlers(app), settings, self.service.metrics),
                http=make_protocol(limits),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=int(limits.idle_s),
                timeout_graceful_shutdown=int(limits.stop_s),
            )
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def listen(self, announce: Callable[[str], None]) -> None:
        """Announce the address, and serve until SIGTERM or SIGINT; then finish the requests that were accepted."""
        announce(self.url)
        log(logging.INFO, "start", url=self.url, heads=list(self.service.heads))
        self.run(sockets=[self._socket])
        log(logging.INFO, "stop", requests=self.server_state.total_requests)
        flush_logs()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop at the first signal, and at once when interrupted again; uvicorn would die of the signal in the end."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self.service.is_stopping = True


def serve(lake: Lake, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve as ``Server`` does, from a process that does nothing else, until it is stopped."""
    server = Server(lake, settings)
    # numpy's own threads would spin for a while after each of its small products, on the cores that others need
    threadpoolctl.threadpool_limits(1, user_api="blas")
    gc.collect()
    gc.freeze()  # what is loaded stays: no need to look through it again and again
    server.listen(announce)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if not on_windows():  # where it would let another process listen at the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise SourceError(
            f"cannot listen at {host}:{port}: {error.strerror or error}",
            Hint("name another port or host", cli="name another --port or --host"),
        ) from error
    return listener
