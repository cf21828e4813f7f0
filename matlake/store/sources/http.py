"""Asking web servers politely: one request at a time, pauses, retries and limits, and one clear line when it fails."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    InvalidHeader,
    LocationValueError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ResponseError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as TimedOutError,
)

from matlake.errors import SourceError
from matlake.store.importing.readers.error_answers import said_in

LARGEST_ANSWER: Final = 256 << 20
"""Bytes of an answer that is kept in memory, after decompression."""

LONGEST_PAUSE_S: Final = 300.0
"""A server that asks for a longer pause than this is asked again another time."""

RUN_AGAIN: Final = "import it again later: that goes on after what was received"

_CONNECT_S, _READ_S = 15.0, 90.0
_LONGEST_ANSWER_S: Final = 900.0
_INTERVAL_S: Final = 0.2
_TRIES, _CONNECTS, _REDIRECTS, _BACKOFF_S, _LONGEST_BACKOFF_S = 5, 3, 5, 1.0, 60.0
_CHUNK: Final = 1 << 16
_MAY_PASS: Final = frozenset({413, 429, 500, 502, 503, 504})
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_SECRET_HEADERS: Final = frozenset({"Authorization", "Cookie", "Proxy-Authorization"})
_SHOWN: Final = 200

_REMEDIES: Final = {
    HTTPStatus.UNAUTHORIZED: "give the key that the database asks for: see the page on sources",
    HTTPStatus.FORBIDDEN: "it refuses this request: check the key and the address, or wait if it limits requests",
    HTTPStatus.NOT_FOUND: "check the address",
    HTTPStatus.TOO_MANY_REQUESTS: f"it limits the number of requests; {RUN_AGAIN}",
}


class AnswerError(SourceError):
    """A server answered with an error.

    Args:
        message: Which server, and what it said.
        hint: What to do.
        status: The HTTP status.
    """

    def __init__(self, message: str, hint: str, status: int) -> None:
        """Keep the status, on which a source may act."""
        super().__init__(message, hint)
        self.status = status


@dataclass(frozen=True)
class Credential:
    """A header that one host may receive, and that nothing shows.

    Attributes:
        host: The host.
        header: Name of the header.
        value: The secret.
    """

    host: str
    header: str
    value: str = field(repr=False)


class _Retries(urllib3.Retry):
    """Retries that wait with a given function, and not for longer than ``LONGEST_PAUSE_S``."""

    def __init__(self, *arguments: Any, pause: Callable[[float], None], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.pause = pause

    def new(self, **settings: Any) -> "_Retries":
        return super().new(pause=self.pause, **settings)

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        try:
            asked = self.get_retry_after(response) if response is not None else None
        except InvalidHeader:
            asked = None
        self.pause(self.get_backoff_time() if asked is None else asked)


class Client:
    """Asks one database, one request at a time.

    Args:
        credential: A header for its host alone, over HTTPS alone.
        interval_s: Least time between two requests, in seconds.
        note: Receives a line about each long pause.
        wait: Waits for a number of seconds.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        *,
        credential: Credential | None = None,
        interval_s: float = _INTERVAL_S,
        note: Callable[[str], None] = lambda _: None,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet."""
        self.interval_s = interval_s
        self._credential, self._note, self._wait, self._clock = credential, note, wait, clock
        self._next = 0.0
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def json(self, url: str, query: Mapping[str, str] | None = None) -> Any:
        """Ask for JSON.

        Raises:
            SourceError: The server cannot be reached, refuses, or answers with something else.
        """
        check_address(url)
        url = with_query(url, query or {})
        body, kind = self._whole(url, {"Accept": "application/vnd.api+json, application/json"})
        return _parsed(body, kind, url)

    def text(self, url: str) -> str:
        """Ask for text.

        Raises:
            SourceError: The server cannot be reached or refuses.
        """
        return self._whole(url, {})[0].decode(errors="replace")

    @contextmanager
    def opened(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request and yield the answer, of which nothing is read yet; statuses of 400 and above are errors.

        Args:
            url: The address.
            headers: Further headers, such as ``Range`` and ``If-None-Match``.

        Raises:
            SourceError: The server cannot be reached or refuses. What is read from the answer raises ``HTTPError``.
        """
        with self._sent(url, headers or {}, self._retries(url)) as answer:
            yield answer

    def _whole(self, url: str, headers: Mapping[str, str]) -> tuple[bytes, str]:
        """Return the body of an answer and its type; a body that was cut off is asked for again."""
        retries = self._retries(url)
        while True:
            with self._sent(url, headers, retries) as answer:
                try:
                    return self._body(answer, url), answer.headers.get("Content-Type", "")
                except (ProtocolError, TimedOutError, DecodeError) as error:
                    # a body that does not unpack may have been damaged on its way
                    failed = error if not isinstance(error, DecodeError) else ProtocolError(str(error))
                    used = answer.retries if isinstance(answer.retries, _Retries) else retries
            try:
                retries = used.increment("GET", url, error=failed)
            except MaxRetryError as error:
                raise _unreachable(url, error) from error
            retries.sleep()

    @contextmanager
    def _sent(self, url: str, headers: Mapping[str, str], retries: _Retries) -> Iterator[urllib3.BaseHTTPResponse]:
        check_address(url)
        self._keep_distance()
        try:
            answer = self._pool(url).request(
                "GET",
                url,
                headers={"User-Agent": _user_agent(), "Accept-Encoding": "gzip", **headers, **self._secret(url)},
                preload_content=False,
                retries=retries,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=_READ_S),
            )
        except HTTPError as error:
            raise _unreachable(url, error) from error
        finally:
            self._next = self._clock() + self.interval_s
        try:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise refusal(url, answer.status, self._said(answer, url))
            yield answer
        finally:
            answer.close()

    def _body(self, answer: urllib3.BaseHTTPResponse, url: str) -> bytes:
        until = self._clock() + _LONGEST_ANSWER_S
        body = bytearray()
        while chunk := answer.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise SourceError(
                    f"{shown(url)} answers with more than {LARGEST_ANSWER / 1e6:.0f} MB", "ask for fewer rows at once"
                )
            if self._clock() > until:
                raise SourceError(f"{shown(url)} sends too slowly", RUN_AGAIN)
        return bytes(body)

    def _said(self, answer: urllib3.BaseHTTPResponse, url: str) -> str:
        try:
            return explanation(self._body(answer, url))
        except (HTTPError, SourceError):
            return ""

    def _retries(self, url: str) -> _Retries:
        def pause(seconds: float) -> None:
            if seconds > LONGEST_PAUSE_S:
                raise SourceError(f"{urlsplit(url).hostname} asks to come back in {seconds:,.0f} s", RUN_AGAIN)
            if seconds > _LONGEST_BACKOFF_S / 10:
                self._note(f"{urlsplit(url).hostname} is asked again in {seconds:.0f} s")
            self._wait(seconds)

        hidden = {self._credential.header} if self._credential else set()
        return _Retries(
            total=None,
            connect=_CONNECTS,
            read=_TRIES,
            status=_TRIES,
            other=1,
            redirect=_REDIRECTS,
            status_forcelist=_MAY_PASS,
            backoff_factor=_BACKOFF_S,
            backoff_max=_LONGEST_BACKOFF_S,
            raise_on_status=False,
            remove_headers_on_redirect=_SECRET_HEADERS | hidden,
            pause=pause,
        )

    def _keep_distance(self) -> None:
        early = self._next - self._clock()
        if early > 0:
            self._wait(early)

    def _secret(self, url: str) -> dict[str, str]:
        place, secret = urlsplit(url), self._credential
        if secret is None or place.hostname != secret.host:
            return {}
        return {secret.header: secret.value} if is_private(url) else {}

    def _pool(self, url: str) -> urllib3.PoolManager:
        """Return the connections to a host, through the proxy that the environment names."""
        from urllib.request import getproxies, proxy_bypass

        place = urlsplit(url)
        host = place.hostname or ""
        proxy = None if host in _LOOPBACK or proxy_bypass(host) else getproxies().get(place.scheme)
        if proxy not in self._pools:
            self._pools[proxy] = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
        return self._pools[proxy]


def is_private(url: str) -> bool:
    """Tell whether nobody on the network reads what is sent to an address: keys go to no other."""
    place = urlsplit(url)
    return place.scheme == "https" or place.hostname in _LOOPBACK


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Add to the query of an address; blanks, quotes and operators are percent-encoded."""
    place = urlsplit(url)
    parts = [part for part in (place.query, urlencode(query, quote_via=quote)) if part]
    return urlunsplit(place._replace(query="&".join(parts)))


def check_address(url: str) -> None:
    """Refuse what is not a web address, and one with a password, which logs would keep.

    Raises:
        SourceError: It is one of these.
    """
    try:
        place = urlsplit(url)
        right = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        right = False
    if not right:
        raise SourceError(f"{url[:_SHOWN]!r} is not a valid address", "write one such as https://host/optimade")
    if place.username or place.password:
        raise SourceError(
            f"an address of {place.hostname} holds a name or password", "leave them out: the log of the lake keeps it"
        )


def shown(url: str) -> str:
    """Return an address without its query, for messages."""
    place = urlsplit(url)
    return urlunsplit((place.scheme, place.netloc.rpartition("@")[2], place.path, "", ""))


def refusal(url: str, status: int, said: str) -> AnswerError:
    """Return the error for a status, with what the server said and what to do."""
    try:
        name = HTTPStatus(status).phrase
    except ValueError:
        name = "unknown status"
    remedy = _REMEDIES.get(HTTPStatus(status)) if status in set(HTTPStatus) else None
    if remedy is None:
        remedy = f"the fault is the server's; {RUN_AGAIN}" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
    said = said.removeprefix(f"{name}: ")
    return AnswerError(f"{shown(url)} answers {status} ({name}){f': {said}' if said else ''}", remedy, status)


def explanation(body: bytes) -> str:
    """Return what the body of an error says: the errors of JSON:API, a message, or nothing."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return said_in(document)


def _parsed(body: bytes, kind: str, url: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        page = "html" in kind.lower() or body.lstrip()[:1] == b"<"
        found = "a web page" if page else "something that is not JSON" if body else "nothing"
        raise SourceError(
            f"{shown(url)} answers with {found}",
            "check the address: it must be that of the interface, not of the site"
            if page
            else f"the fault is the server's; {RUN_AGAIN}",
        ) from error


def _unreachable(url: str, error: HTTPError) -> SourceError:
    reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    host, place = urlsplit(url).hostname, shown(url)
    message, hint = f"{host} cannot be reached: {reason}"[:_SHOWN], RUN_AGAIN
    if isinstance(reason, ResponseError) and "redirect" in str(reason):
        message, hint = f"{place} redirects more than {_REDIRECTS} times", "check the address"
    elif isinstance(reason, LocationValueError):
        message, hint = f"{place} redirects to what is not a web address", "check the address"
    elif isinstance(reason, SSLError):
        message = f"no secure connection to {host}: {reason}"[:_SHOWN]
        hint = "check the address and the clock; SSL_CERT_FILE names the certificates that are trusted"
    elif isinstance(reason, NameResolutionError):
        message, hint = f"there is no host {host}, or no network", f"check the address; {RUN_AGAIN}"
    elif isinstance(reason, TimedOutError) and not isinstance(reason, NewConnectionError):
        message = f"{place} does not answer in time"
    elif isinstance(reason, ProtocolError | DecodeError):
        message = f"{place} cuts its answers off, {_TRIES + 1} times in a row"
    return SourceError(message, hint)


def _user_agent() -> str:
    from importlib.metadata import version

    return f"matlake/{version('matlake')}"
