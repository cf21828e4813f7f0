"""An S3 server on this machine that fails as told, and keeps what it was asked: moto behind a layer of faults."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, NoReturn
from urllib.parse import parse_qs

import pytest

REGION: Final = "us-east-1"
LONGEST_SECONDS: Final = 20.0
"""A request that the server does not answer ends after this at the latest."""

_CONTROL: Final = "/_control/"
"""Path below which tests tell the server what to do; no bucket has such a name."""

Kind = Literal["error", "no answer", "cut", "lost answer", "unconditional"]


@dataclass(frozen=True)
class Request:
    """A request that came.

    Attributes:
        method: HTTP method.
        key: Bucket and key, without the first slash.
        query: Name -> first value.
        range: The header ``Range``, or an empty string.
        status: What was answered; 0 for no answer.
        received: Bytes of the body that came.
        sent: Bytes of the body that went.
    """

    method: str
    key: str
    query: Mapping[str, str]
    range: str
    status: int
    received: int
    sent: int


@dataclass
class Fault:
    """What goes wrong with some requests.

    Attributes:
        kind: ``error`` answers an S3 error; ``no answer`` keeps the request waiting; ``cut`` hangs up in the middle of
            the body, of the answer to a GET and of the request otherwise; ``lost answer`` does what was asked and hangs
            up; ``unconditional`` overlooks ``If-None-Match`` and ``If-Match``.
        methods: Methods that it concerns.
        key: Pattern of the keys that it concerns, as of ``fnmatch``, with the bucket.
        query: Names of query parameters, one of which the request must have; none means any request.
        times: How often it happens; None for always.
        after: How many requests that it concerns pass before.
        status: Of an error.
        code: Of an error, as S3 names it.
        happened: How often it has happened.
    """

    kind: Kind
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    key: str = "*"
    query: tuple[str, ...] = ()
    times: int | None = 1
    after: int = 0
    status: int = 500
    code: str = "InternalError"
    happened: int = 0

    def concerns(self, request: Request) -> bool:
        """Say whether it happens to a request, and count it."""
        if request.method not in self.methods or not fnmatchcase(request.key, self.key):
            return False
        if self.query and not any(name in request.query for name in self.query):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None and self.happened >= self.times:
            return False
        self.happened += 1
        return True


def slow_down(times: int | None = 3, **settings: Any) -> Fault:
    """Return the fault of a store that wants fewer requests."""
    return Fault("error", times=times, status=503, code="SlowDown", **settings)


def expired() -> Fault:
    """Return the fault of credentials whose time is over."""
    return Fault("error", times=None, status=400, code="ExpiredToken")


def read_only() -> Fault:
    """Return the fault of credentials that may read only."""
    return Fault("error", ("PUT", "POST", "DELETE"), times=None, status=403, code="AccessDenied")


@dataclass
class ObjectStore:
    """A running server, in a process of its own: delta-rs keeps Python waiting while it asks.

    Attributes:
        port: Where.
    """

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead to it."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def make_bucket(self, name: str | None = None) -> str:
        """Make a bucket, by default of a new name, and return its name."""
        name = name or f"matlake-{uuid.uuid4().hex[:12]}"
        self._tell("bucket", name)
        return name

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of a bucket."""
        found: list[str] = self._tell("keys", bucket)
        return found

    @contextlib.contextmanager
    def failing(self, *faults: Fault) -> Iterator[None]:
        """Let faults happen meanwhile; ``happened`` says afterwards how often."""
        self._tell("faults", [vars(fault) for fault in faults])
        try:
            yield
        finally:
            for fault, happened in zip(faults, self._tell("faults", []), strict=True):
                fault.happened = happened

    @contextlib.contextmanager
    def recording(self) -> Iterator[list[Request]]:
        """Give the requests that come meanwhile; the list is complete at the end."""
        recorded: list[Request] = []
        self._tell("requests", None)
        try:
            yield recorded
        finally:
            recorded += [Request(**one) for one in self._tell("requests", None)]

    def _tell(self, what: str, value: Any) -> Any:
        """Tell the server something, and return what it answers."""
        body = json.dumps(value).encode()
        request = urllib.request.Request(f"{self.endpoint}{_CONTROL}{what}", body, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=LONGEST_SECONDS) as answer:  # noqa: S310 - of this machine
            return json.load(answer)


def traffic(requests: Iterable[Request], *methods: str, key: str = "*") -> tuple[int, int]:
    """Return the number of requests of some methods (all by default) for keys of a pattern, and the bytes sent."""
    found = [
        request for request in requests if (not methods or request.method in methods) and fnmatchcase(request.key, key)
    ]
    return len(found), sum(request.sent for request in found)


StartResponse = Callable[..., Any]


class _FaultyApplication:
    """Lets faults happen to requests, and passes the others to moto."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._faults: list[Fault] = []
        self._requests: list[Request] = []
        self._writing = threading.Lock()  # moto looks at a condition, then writes: a store does both at once
        self._changed = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode()
        if path.startswith(_CONTROL):
            told = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            answer = json.dumps(self._told(path.removeprefix(_CONTROL), told)).encode()
            start_response("200 OK", [_length(answer)])
            return iter([answer])
        query = {k: v[0] for k, v in parse_qs(environ["QUERY_STRING"], keep_blank_values=True).items()}
        request = Request(
            method,
            path.lstrip("/"),
            query,
            environ.get("HTTP_RANGE", ""),
            0,
            int(environ.get("CONTENT_LENGTH") or 0),
            0,
        )
        fault = next((one for one in self._faults if one.concerns(request)), None)
        return self._answered(request, fault, environ, start_response)

    def _told(self, what: str, value: Any) -> Any:
        """Do what a test wants of the server."""
        if what == "bucket":
            _moto().create_bucket(value, REGION)
            return None
        if what == "keys":
            return sorted(_moto().buckets[value].keys)
        if what == "faults":
            happened = [fault.happened for fault in self._faults]
            self._faults = [Fault(**{**one, "methods": tuple(one["methods"])}) for one in value]
            self._changed.set()  # who waits for an answer waits no longer
            self._changed = threading.Event()
            return happened
        requests, self._requests = self._requests, []
        return [vars(request) for request in requests]

    def _answered(
        self, request: Request, fault: Fault | None, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterator[bytes]:
        def record(status: int, sent: bytes) -> None:
            size = 0 if request.method == "HEAD" else len(sent)
            self._requests.append(replace(request, status=status, sent=size))

        kind = None if fault is None else fault.kind
        if kind == "no answer":
            record(0, b"")
            self._changed.wait(LONGEST_SECONDS)
            _hang_up(environ)
        if fault is not None and kind == "error":
            environ["wsgi.input"].read(request.received)
            body = _error(fault.code, request.key)
            record(fault.status, body)
            start_response(f"{fault.status} {fault.code}", [("Content-Type", "application/xml"), _length(body)])
            yield b"" if request.method == "HEAD" else body
            return
        if kind == "cut" and request.method not in ("GET", "HEAD"):
            record(0, b"")
            environ["wsgi.input"].read(request.received // 2)
            _hang_up(environ)
        if kind == "unconditional":
            environ.pop("HTTP_IF_NONE_MATCH", None)
            environ.pop("HTTP_IF_MATCH", None)
        answered, headers, body = self._pass_on(environ)
        if kind == "lost answer":
            record(0, b"")
            _hang_up(environ)
        if kind == "cut":
            record(0, body[: len(body) // 2])
            start_response(answered, headers)
            yield body[: len(body) // 2]
            _hang_up(environ)
        record(int(answered.split()[0]), body)
        start_response(answered, headers)
        yield body

    def _pass_on(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return what moto answers."""
        taken: list[Any] = []
        lock = contextlib.nullcontext() if environ["REQUEST_METHOD"] in ("GET", "HEAD") else self._writing
        with lock:
            body = b"".join(self._application(environ, lambda *arguments: taken.append(arguments)))
        status, headers = taken[0][:2]
        return status, list(headers), body


def _moto() -> Any:
    """Return what moto keeps of S3: it runs in this process."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


def _length(body: bytes) -> tuple[str, str]:
    return "Content-Length", str(len(body))


def _error(code: str, key: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code} of the test</Message>'
        f"<Resource>/{key}</Resource><RequestId>0</RequestId></Error>"
    ).encode()


def _hang_up(environ: dict[str, Any]) -> NoReturn:
    with contextlib.suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError  # werkzeug takes it that the client has hung up


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Run a server until the end of the block."""
    pytest.importorskip("moto", reason="needs moto[server]")
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield ObjectStore(int(process.stdout.readline()))
        finally:
            process.stdin.close()  # at which it ends
            process.wait(LONGEST_SECONDS)


def closed_port() -> int:
    """Return a port of this machine on which nothing answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def main() -> None:
    """Run a server until the input ends, and print its port."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class QuietHandler(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            pass

    application = _FaultyApplication(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    main()
