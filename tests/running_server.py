"""A server that tests talk to: in a thread of this process, or in a process of its own."""

import contextlib
import http.client
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matlake import Lake
from matlake.serving.server import Server
from matlake.serving.settings import Limits, Settings

PATIENCE_S = 60


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Running:
    """A server at a port."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, document: object, **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(document).encode(), Content_Type="application/json", **headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)


@contextlib.contextmanager
def serving(lake: Lake, *heads: str, api_key: str | None = None, **limits: Any) -> Iterator[tuple[Running, Server]]:
    """Serve heads from a thread."""
    server = Server(lake, Settings(heads, port=0, api_key=api_key, limits=Limits(**limits), log_level="error"))
    listening = threading.Event()
    thread = threading.Thread(target=server.listen, args=(lambda _: listening.set(),))
    thread.start()
    assert listening.wait(PATIENCE_S)
    try:
        yield Running(int(server.url.rstrip("/").rpartition(":")[2])), server
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@dataclass(frozen=True)
class Process:
    """``matlake serve`` in a process of its own, and the file that its log goes to."""

    running: Running
    process: "subprocess.Popen[str]"
    log: Path

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def serving_process(lake: Path, log: Path, *arguments: str, **environment: str) -> Iterator[Process]:
    """Run the command until it listens; kill it in the end if it still runs."""
    command = [sys.executable, "-m", "matlake", "--lake", str(lake), "serve", *arguments, "--port", "0", "--json"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | environment
        )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], PATIENCE_S)[0], log.read_text()
        line = process.stdout.readline()
        assert line, log.read_text()
        url = json.loads(line)["url"]
        yield Process(Running(int(url.rstrip("/").rpartition(":")[2])), process, log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
