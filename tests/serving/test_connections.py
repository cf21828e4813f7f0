"""Clients that are slow, many, or gone; and a server that stops while it works."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO

import pytest
from running_server import Running, serving, wait_until
from structures import POSCAR

import matlake
from matlake.serving.settings import Capacity

GOOD = {"head": "gap", "formulas": ["TiO2"]}
BODY = json.dumps(GOOD).encode()
HEAD = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    + f"Content-Length: {len(BODY)}\r\n\r\n".encode()
)
READ_S = 1.5


def response(connection: socket.socket) -> tuple[int, dict[str, object]]:
    with connection.makefile("rb") as answers:
        return next_of(answers)


def next_of(answers: BinaryIO) -> tuple[int, dict[str, object]]:
    status = int(answers.readline().split()[1])
    headers = http.client.parse_headers(answers)
    return status, json.loads(answers.read(int(headers["Content-Length"])))


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_slow_body_is_given_up_and_blocks_nobody(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", read_s=READ_S) as (server, _):
        slow = [server.connect() for _ in range(20)]
        for connection in slow:
            connection.sendall(HEAD + BODY[:5])
        started = time.monotonic()
        assert server.post("/v1/predict", GOOD).status == 200
        assert time.monotonic() - started < READ_S
        for connection in slow:
            status, document = response(connection)
            assert (status, set(document)) == (408, {"error", "hint"})
            assert is_closed(connection)
            connection.close()


def test_slow_and_endless_headers_are_given_up(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", read_s=READ_S, idle_s=1.0) as (server, _):
        silent, begun, endless, idle = (server.connect() for _ in range(4))
        begun.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        endless.sendall(b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 70_000)
        assert response(endless)[0] == 431
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert response(idle)[0] == 200
        assert server.get("/healthz").status == 200
        for connection in (silent, begun, endless, idle):
            assert is_closed(connection)
            connection.close()


def test_what_clients_that_have_gone_asked_for_is_dropped(
    served_lake: matlake.Lake,
) -> None:
    """Their rows fill the queue; once they have gone there is room at once, and none of them is run."""
    with serving(served_lake, "gap", row_capacity=Capacity(batch=512, queue=3000)) as (server, started):
        may_run, names = threading.Event(), list[str]()
        queue = started.service.heads["gap"]._queues["formulas"]
        run = queue._run

        def held(inputs: list[Any]) -> Sequence[Any]:
            assert may_run.wait(30)
            names.extend(one.name for one in inputs)
            return run(inputs)

        queue._run = held
        in_flight = partial(started.service.metrics.registry.get_sample_value, "matlake_requests_in_flight")
        body = json.dumps({"head": "gap", "formulas": ["MgO"] * 900}).encode()
        first = server.connect()
        first.sendall(HEAD + BODY)
        wait_until(lambda: in_flight() == 1 and queue.weight == 0)
        gone = [server.connect() for _ in range(3)]
        for connection in gone:
            connection.sendall(HEAD.replace(b"%d" % len(BODY), b"%d" % len(body)) + body)
        wait_until(lambda: queue.weight == 2700)
        assert server.post("/v1/predict", {"head": "gap", "formulas": ["TiO2"] * 301}).status == 503
        for connection in gone:
            connection.close()
        wait_until(lambda: queue.weight == 0 and in_flight() == 1)
        may_run.set()
        assert response(first)[0] == 200
        assert server.post("/v1/predict", {"head": "gap", "formulas": ["TiO2"] * 301}).status == 200
        first.close()
    assert set(names) == {"TiO2"}


def test_a_later_client_is_answered_in_time_after_many_have_gone(served_lake: matlake.Lake) -> None:
    body = json.dumps({"head": "modulus", "structures": [POSCAR] * 500}).encode()
    head = HEAD.replace(b"%d" % len(BODY), b"%d" % len(body))
    with serving(served_lake, "gap", "modulus") as (server, started):
        alone = time.monotonic()
        assert server.post("/v1/predict", json.loads(body)).status == 200
        alone = time.monotonic() - alone
        for _ in range(40):
            with server.connect() as connection:
                connection.sendall(head + body)
        begun = time.monotonic()
        assert server.post("/v1/predict", {"head": "modulus", "structures": [POSCAR]}).status == 200
        assert time.monotonic() - begun < max(1.0, 10 * alone)  # forty times as much was asked for
        wait_until(lambda: started.service.metrics.registry.get_sample_value("matlake_requests_in_flight") == 0)
        shown = server.get("/metrics").body.decode()
    assert 'matlake_requests_total{path="/v1/predict",status="499"}' in shown


def test_headers_that_come_in_pieces_are_put_together(server: Running) -> None:
    with server.connect() as connection:
        for byte in HEAD:
            connection.sendall(bytes([byte]))
        connection.sendall(BODY)
        assert response(connection)[0] == 200


def test_requests_on_one_connection_are_answered_in_turn(server: Running) -> None:
    # one buffer reads them all: what is read ahead belongs to the next answer
    with server.connect() as connection, connection.makefile("rb") as answers:
        connection.sendall((HEAD + BODY) * 3)
        for _ in range(3):
            assert next_of(answers)[0] == 200


def test_what_is_no_http_is_told_so(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        status, document = response(connection)
        assert (status, document["hint"]) == (400, "speak HTTP/1.1")


def test_more_connections_than_allowed_are_told_to_come_back(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", connections=3) as (server, _):
        held = [server.connect() for _ in range(3)]
        held[0].sendall(HEAD + BODY)
        assert response(held[0])[0] == 200
        with server.connect() as one_more:
            status, document = response(one_more)
        assert (status, document["error"]) == (503, "too busy: 3 connections are open")
        for connection in held:
            connection.close()
        wait_until(lambda: _answers(server))


def _answers(server: Running) -> bool:
    try:
        return server.post("/v1/predict", GOOD).status == 200
    except OSError:
        return False


def test_a_refused_body_may_be_sent_to_its_end_and_the_connection_used_again(served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", body_bytes=1000) as (server, _), server.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n")
        assert response(connection)[0] == 413
        connection.sendall(b"x" * 3000 + HEAD + BODY)
        assert response(connection)[0] == 200


def test_a_client_that_goes_away_harms_nobody(server: Running) -> None:
    for sent in (HEAD, HEAD + BODY[:5], HEAD + BODY):
        for _ in range(10):
            with server.connect() as connection:
                connection.sendall(sent)
    assert server.post("/v1/predict", GOOD).status == 200
    in_flight = "matlake_requests_in_flight 1.0"  # that for the metrics
    wait_until(lambda: in_flight in server.get("/metrics").body.decode())


def test_stopping_finishes_what_was_taken_on(served_lake: matlake.Lake) -> None:
    """Requests that are being worked on get their answers; idle connections are closed; new ones are refused."""
    released = threading.Event()
    with serving(served_lake, "gap") as (server, started):
        predictor = started.service.heads["gap"].predictor
        encoder = next(iter(predictor.encoders.values()))
        session = encoder.session

        class Held:
            def run(self, *arguments: object) -> object:
                assert released.wait(30)
                return session.run(*arguments)

        object.__setattr__(encoder, "session", Held())
        answers: list[int] = []
        clients = [
            threading.Thread(target=lambda: answers.append(server.post("/v1/predict", GOOD).status)) for _ in range(8)
        ]
        with server.connect() as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert response(idle)[0] == 200
            for client in clients:
                client.start()
            wait_until(lambda: "matlake_requests_in_flight 9.0" in server.get("/metrics").body.decode())
            started.handle_exit(15, None)
            assert is_closed(idle)
        with pytest.raises(OSError, match=r"refused|reset"):
            server.post("/v1/predict", GOOD)
        assert not answers
        released.set()
        for client in clients:
            client.join(30)
    assert answers == [200] * 8
