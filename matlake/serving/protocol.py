"""Connections: uvicorn's HTTP protocol, with limits on what it leaves open.

uvicorn waits for ever for the headers of a request, takes any amount of them, and any number of connections.
"""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final, NoReturn

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from matlake.serving.errors import RequestError, error_body, overloaded
from matlake.serving.request_limits import LimitedRequest
from matlake.serving.settings import Limits

HEADER_BYTES: Final = 1 << 16
"""Request line and headers together; as much is allowed around the chunks of a body."""

_FRAMING: Final = 8
"""Bytes around each byte of a chunked body at most: a chunk of one byte has five."""

_LINGER_S: Final = 1.0
"""Seconds in which a client may read why it was refused."""

_SPEAK: Final = "speak HTTP/1.1"


class _Gathering:
    """A transport that writes in one go what comes in one go: headers and body would each be a packet."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._has_ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._has_ended:
            return
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def write_eof(self) -> None:
        self._flush()
        self._has_ended = True
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))


class LimitedProtocol(HttpToolsProtocol):
    """Refuses what is not HTTP/1.1 or 1.0, too long, too slow, or one connection too many.

    Attributes:
        limits: Of time and number.
    """

    limits: ClassVar[Limits]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Start with nothing received."""
        super().__init__(*arguments, **options)
        self._error: RequestError | None = None
        self._is_refused = False
        self._in_headers = True
        self._unfinished = 0  # bytes received since the last request was complete, without those of its body
        self._header_bytes = 0
        self._body_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._running: set[LimitedRequest] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the headers of the first request."""
        super().connection_made(transport)
        self.transport = _Gathering(transport, self.loop)  # type: ignore[assignment]
        if len(self.connections) > self.limits.connections:
            self._refuse(overloaded(f"{self.limits.connections:,} connections are open"))
            self.transport.close()
        else:
            self._expect_headers(self.limits.read_s)

    def data_received(self, data: bytes) -> None:
        """Bound what is no body: headers, sizes of chunks and what may stand beside them, trailers."""
        if self._is_refused:
            return
        self._unfinished += len(data)
        super().data_received(data)
        body = self._body_bytes
        if not self._is_refused and self._unfinished - body > HEADER_BYTES + _FRAMING * body:
            self._refuse(_too_long())

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of a header or trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Leave the body to the application."""
        self._check_headers()
        self._in_headers = False
        self._unfinished = self._header_bytes = self._body_bytes = 0
        self._forget_deadline()
        self.scope["matlake.running"] = self._running  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait for the headers of the next request, while the rest of a body that was refused may still come in."""
        waiting = bool(self.pipeline)
        super().on_response_complete()
        if not waiting:
            self._in_headers = True
            self._expect_headers(self.limits.idle_s + self.limits.read_s)

    def on_body(self, body: bytes) -> None:
        """Count the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and the work for a client that has gone."""
        self._forget_deadline()
        super().connection_lost(exc)
        for request in self._running:
            request.abandon()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or not to the server's liking."""
        self._refuse(self._error or RequestError(400, msg, _SPEAK))

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > HEADER_BYTES:
            self._fail(_too_long())

    def _check_headers(self) -> None:
        """Refuse headers that leave open what the request is for, or where it ends."""
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._fail(RequestError(400, f"HTTP/{version}", _SPEAK))
        encodings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if encodings and (encodings != [b"chunked"] or version == "1.0"):
            self._fail(RequestError(400, "a transfer encoding other than chunked", _SPEAK))
        if self.parser.should_upgrade() and self.parser.get_method() != b"GET":
            self._fail(RequestError(400, "a body after the header Upgrade", _SPEAK))  # the parser would not read it
        if not self.url.startswith((b"/", b"*")):
            self._take_host_from_target()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            self._fail(RequestError(400, f"{hosts} headers Host" if hosts else "no header Host", "send it once"))

    def _take_host_from_target(self) -> None:
        """Let the host of an absolute target win over the header, as RFC 9112 has it (section 3.2.2)."""
        target = httptools.parse_url(self.url)
        if target.schema not in (b"http", b"https") or not target.host or target.userinfo:
            self._fail(RequestError(400, "the target of the request is neither a path nor an http URL", _SPEAK))
        host = b"[" + target.host + b"]" if b":" in target.host else target.host
        self.headers[:] = [(b"host", host), *(header for header in self.headers if header[0] != b"host")]

    def _fail(self, error: RequestError) -> NoReturn:
        """Stop the parser; uvicorn then asks for a 400."""
        self._error = error
        raise error

    def _expect_headers(self, seconds: float) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: RequestError) -> None:
        """Answer, and close once the client has read it: closing before all it sends is read would take it away."""
        self._is_refused = True
        unanswered = self.cycle is not None and not self.cycle.response_complete
        if unanswered and (self.pipeline or self.cycle.response_started or not self.cycle.more_body):
            self.transport.abort()  # the client would take this for the answer to an earlier request
            return
        body = error_body(error)
        lines = [
            f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
            *(f"{name.lower()}: {value}" for name, value in error.headers.items()),
        ]
        self.transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        self.transport.write_eof()
        self._expect_headers(_LINGER_S)
        for request in self._running:
            request.abandon()


def _too_long() -> RequestError:
    return RequestError(431, f"request line and headers of more than {HEADER_BYTES:,} bytes", "send shorter ones")


def make_protocol(limits: Limits) -> type[LimitedProtocol]:
    """Return a protocol that keeps to some limits."""
    return type("LimitedProtocol", (LimitedProtocol,), {"limits": limits})
