"""A web server on this machine that misbehaves as told, and keeps what it was asked."""

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from matlake.store.sources.http import Client, Credential


@dataclass
class Reply:
    """What the server answers.

    Attributes:
        body: Bytes, or a document that is sent as JSON.
        status: HTTP status.
        headers: Further headers.
        cut: Send so many bytes of the body, then hang up.
        zipped: Send it as gzip.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    zipped: bool = False

    def content(self) -> bytes:
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return gzip.compress(content) if self.zipped else content


@dataclass(frozen=True)
class Asked:
    """A request that came.

    Attributes:
        path: Without its query.
        query: Name -> value.
        headers: Names in lower case.
    """

    path: str
    query: dict[str, str]
    headers: dict[str, str]


Answers = Callable[[Asked], Reply]


@dataclass
class WebServer:
    """A running server.

    Attributes:
        port: Where.
        asked: All requests so far.
        answers: What it answers; a test may change it.
        faults: What went wrong in answering.
    """

    port: int
    answers: Answers
    asked: list[Asked] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def in_turn(*replies: Reply) -> Answers:
    """Answer with one after the other, then with the last for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@contextlib.contextmanager
def web_server(answers: Answers) -> Iterator[WebServer]:
    """Run a server in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(place.query, keep_blank_values=True).items()}
            asked = Asked(place.path, query, {name.lower(): value for name, value in self.headers.items()})
            running.asked.append(asked)
            try:
                reply = running.answers(asked)
            except Exception as fault:  # noqa: BLE001 - the test that runs the server shows it
                running.faults.append(fault)
                reply = Reply(b"", 418)
            content = reply.content()
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
            self.send_response(reply.status)
            for name, value in (headers | ({"Content-Encoding": "gzip"} if reply.zipped else {})).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: reply.cut])
            self.close_connection = reply.cut is not None

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Be silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Be silent: clients hang up, too."""

    server = Server(("127.0.0.1", 0), Handler)
    running = WebServer(server.server_port, answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    if running.faults:
        raise running.faults[0]


@dataclass
class Waits:
    """Makes clients that do not wait, and keeps for how long they would have, and what they said."""

    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def client(
        self, credential: Credential | None = None, note: Callable[[str], None] | None = None, **settings: Any
    ) -> Client:
        return Client(credential=credential, note=note or self.notes.append, wait=self.seconds.append, **settings)
