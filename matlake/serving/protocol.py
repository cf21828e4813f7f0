"""Connections: uvicorn's HTTP protocol, with limits on what it leaves open.

uvicorn waits for ever for the headers of a request, takes any amount of them, and any number of connections.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from matlake.serving.errors import RequestError, error_body, overloaded
from matlake.serving.settings import Limits

HEADER_BYTES: Final = 1 << 16


class _Gathering:
    """A transport that writes in one go what comes in one go: headers and body would each be a packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))


class LimitedProtocol(HttpToolsProtocol):
    """Closes connections that send no whole headers in time, or too long ones, and those that are too many."""

    limits: ClassVar[Limits]

    _refused = False
    _in_headers = True
    _header_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the headers of the first request."""
        super().connection_made(transport)
        self.transport = _Gathering(transport, self.loop)  # type: ignore[assignment]
        if len(self.connections) > self.limits.connections:
            self._refuse(overloaded(f"{self.limits.connections:,} connections are open"))
        else:
            self._expect_headers(self.limits.read_s)

    def data_received(self, data: bytes) -> None:
        """Count bytes until the headers are complete."""
        if self._refused:
            return
        super().data_received(data)
        if self._in_headers and not self._refused:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                self._refuse(RequestError(431, f"headers of more than {HEADER_BYTES:,} bytes", "send shorter ones"))

    def on_headers_complete(self) -> None:
        """Leave the body to the application."""
        self._in_headers = False
        self._header_bytes = 0
        self._forget_deadline()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the headers of the next request, while the rest of a body that was refused may still come in."""
        waiting = bool(self.pipeline)
        super().on_response_complete()
        if not waiting:
            self._in_headers = True
            self._expect_headers(self.limits.idle_s + self.limits.read_s)

    def on_body(self, body: bytes) -> None:
        """Count a body that nobody reads any more as no headers."""
        self._header_bytes = -len(body) if self._in_headers else 0
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(RequestError(400, msg, "speak HTTP/1.1"))

    def _expect_headers(self, seconds: float) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: RequestError) -> None:
        self._refused = True
        self._forget_deadline()
        body = error_body(error)
        lines = [
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
            *(f"{name.lower()}: {value}" for name, value in error.headers.items()),
        ]
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        self.transport.close()


def make_protocol(limits: Limits) -> type[LimitedProtocol]:
    """Return a protocol that keeps to some limits."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})
