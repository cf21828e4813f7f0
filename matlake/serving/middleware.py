"""The outermost layer: hosts, keys and limits, the headers of every answer, logs and metrics."""

import asyncio
import hashlib
import hmac
import itertools
import logging
import secrets
import time
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from matlake.serving.errors import RequestError, internal_error, overloaded
from matlake.serving.hosts import AllowedHosts
from matlake.serving.logs import log
from matlake.serving.metrics import Metrics
from matlake.serving.request_limits import BodyBytes, LimitedRequest, too_large
from matlake.serving.settings import Settings

HEALTH: Final = frozenset({"/healthz", "/readyz"})
"""Answered to everybody, however busy the server is."""

_PAGE: Final = ("/page/", "/favicon.ico")
_LENGTH_DIGITS: Final = 20  # of 2⁶⁴
_CLIENT_CLOSED: Final = 499  # as nginx logs it
_DISCARDED: Final = 4
"""A refused body up to so many times the limit is read and thrown away, so that the client gets to see the answer."""


class Middleware:
    """Checks requests before the application gets them, and logs what became of them.

    Args:
        app: The application.
        direct: Handlers of POST requests by path, which need none of the application's layers.
        settings: Limits, hosts and key.
        metrics: Counts answers.
    """

    def __init__(self, app: ASGIApp, direct: dict[str, ASGIApp], settings: Settings, metrics: Metrics) -> None:
        """Start with nothing in flight."""
        self._app = app
        self._direct = direct
        self._limits = settings.limits
        self._hosts = AllowedHosts(settings.host, settings.allowed_hosts)
        self._held = BodyBytes()
        self._key = None if settings.api_key is None else hashlib.sha256(settings.api_key.encode()).digest()
        self._metrics = metrics
        self._in_flight = 0
        self._ids = (f"{prefix}-{number}" for prefix in [secrets.token_hex(4)] for number in itertools.count(1))
        metrics.watch_requests(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        direct = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        request = LimitedRequest(
            next(self._ids), self._limits, self._held, receive, send, is_reading=direct is not None
        )
        scope["matlake.id"], scope["matlake.log_fields"] = request.id, request.log_fields
        running: set[LimitedRequest] = scope["matlake.running"]
        running.add(request)
        self._in_flight += 1
        try:
            self._admit(scope)
            async with request.deadline:
                await (direct or self._app)(scope, request.receive, request.send)
        except RequestError as error:
            await request.refuse(error)
        except TimeoutError:
            await request.refuse(request.timeout_error())
        except asyncio.CancelledError:
            if not request.is_abandoned:
                raise
            await request.refuse(RequestError(_CLIENT_CLOSED, "the client disconnected", "stay connected"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the reason
            log(logging.ERROR, "failure", request=request.id, path=scope["path"], error=error)
            await request.refuse(internal_error(request.id))
        finally:
            self._in_flight -= 1
            running.discard(request)
            request.close()
            self._record(scope, request)

    def _admit(self, scope: Scope) -> None:
        """Refuse what is clear from the headers.

        Raises:
            RequestError: A host that is not this server's (421), no key or a wrong one (401), too large a body (413),
                too many requests (503).
        """
        path, headers = scope["path"], dict(scope["headers"])
        if b"host" in headers:  # HTTP/1.0 knows clients without, but no browser is one
            self._hosts.check(headers[b"host"])
        length = int(headers.get(b"content-length", b"0")[:_LENGTH_DIGITS])
        if length > self._limits.body_bytes:
            raise too_large(self._limits, close=length > _DISCARDED * self._limits.body_bytes)
        if path in HEALTH:
            return
        if not (path == "/" or path.startswith(_PAGE)):
            self._check_key(headers)
        if self._in_flight > self._limits.requests:
            raise overloaded(f"{self._limits.requests:,} requests are being worked on")

    def _check_key(self, headers: dict[bytes, bytes]) -> None:
        if self._key is None:
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key")
        if given is None or not hmac.compare_digest(hashlib.sha256(given).digest(), self._key):
            raise RequestError(
                401,
                "no API key" if given is None else "a wrong API key",
                "send the header Authorization: Bearer KEY, or X-API-Key: KEY",
                {"WWW-Authenticate": "Bearer"},
            )

    def _record(self, scope: Scope, request: LimitedRequest) -> None:
        seconds = time.perf_counter() - request.started
        status = request.status or _CLIENT_CLOSED
        path = scope["path"]
        self._metrics.request(path if path in self._direct else _label(scope), status, seconds)
        log(
            logging.INFO if status < 500 else logging.WARNING,  # noqa: PLR2004 - the server's fault
            "request",
            request=request.id,
            client=(scope.get("client") or ("",))[0],
            method=scope["method"],
            path=path,
            status=status,
            ms=round(1000 * seconds, 2),
            bytes_in=request.bytes_in,
            bytes_out=request.bytes_out,
            **request.log_fields,
        )


def _label(scope: Scope) -> str:
    """Return the path of the route: names in paths would make as many counters as there are clients with ideas."""
    return getattr(scope.get("route"), "path", "other")
