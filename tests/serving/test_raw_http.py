"""What the server answers to bytes that no well-behaved client sends, whatever pieces they come in."""

import json
import time
from collections.abc import Iterator

import pytest
from running_server import Running, serving

import matlake

BODY = b'{"head": "gap", "formulas": ["TiO2"]}'
READ_S = 1.5
HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def quick(served_lake: matlake.Lake) -> Iterator[Running]:
    """A server that waits for slow clients for a second and a half."""
    with serving(served_lake, "gap", read_s=READ_S, idle_s=1.0) as (running, _):
        yield running


def get(headers: bytes = b"", target: bytes = b"/healthz", version: bytes = b"HTTP/1.1", host: bytes = HOST) -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + host + headers + b"\r\n"


def post(headers: bytes, body: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    start = b"POST /v1/predict " + version + b"\r\n" + HOST + b"Content-Type: application/json\r\n"
    return start + headers + b"\r\n" + body


def exchange(server: Running, sent: bytes, piece: int | None = None) -> tuple[int, dict[str, object], float]:
    """Send bytes, whole or in pieces, and return status, document and seconds of the one answer."""
    started = time.monotonic()
    received = b""
    with server.connect() as connection:
        for start in range(0, len(sent), piece or len(sent)):
            try:
                connection.sendall(sent[start : start + (piece or len(sent))])
            except OSError:
                break  # it was refused in the middle
            if piece:
                time.sleep(0.001)
        while b"\r\n\r\n" not in received or not received.endswith(b"}"):
            more = connection.recv(65_536)
            assert more, received
            received += more
    head, _, body = received.partition(b"\r\n\r\n")
    assert received.count(b"HTTP/1.1 ") == 1
    return int(head.split()[1]), json.loads(body), time.monotonic() - started


LONG = {
    "one header of 100 kB": get(b"X: " + b"y" * 100_000 + b"\r\n"),
    "a thousand headers of 100 bytes": get(b"".join(b"X%04d: %s\r\n" % (n, b"y" * 92) for n in range(1000))),
    "fifty thousand headers": get(b"a: b\r\n" * 50_000),
    "a name of 100 kB": get(b"x" * 100_000 + b": y\r\n"),
    "a target of 100 kB": get(target=b"/" + b"a" * 100_000),
    "a query of 100 kB": get(target=b"/?" + b"a" * 100_000),
    "target and header of 40 kB each": get(b"X: " + b"y" * 40_000 + b"\r\n", b"/" + b"a" * 40_000),
    "10 MB": get(b"X: " + b"y" * 10_000_000 + b"\r\n"),
    "100 kB before a body": post(b"X: " + b"y" * 100_000 + b"\r\nContent-Length: %d\r\n" % len(BODY), BODY),
    "a trailer of 1 MB": post(CHUNKED, b"%x\r\n%s\r\n0\r\nT: " % (len(BODY), BODY) + b"x" * 1_000_000),
    "a chunk with an extension of 1 MB": post(CHUNKED, b"5;a=" + b"x" * 1_000_000),
}


@pytest.mark.parametrize("piece", [None, 60_000, 8_000])
@pytest.mark.parametrize("sent", LONG.values(), ids=LONG)
def test_more_than_64_kilobytes_beside_the_body_are_refused(quick: Running, sent: bytes, piece: int | None) -> None:
    status, document, seconds = exchange(quick, sent, piece)
    assert (status, document["error"]) == (431, "request line and headers of more than 65,536 bytes")
    assert seconds < READ_S + 1


@pytest.mark.parametrize("piece", [None, 8_000])
def test_headers_of_60_kilobytes_are_taken(quick: Running, piece: int | None) -> None:
    assert exchange(quick, get(b"X: " + b"y" * 60_000 + b"\r\n"), piece)[0] == 200
    assert exchange(quick, get(b"a: b\r\n" * 10_000), piece)[0] == 200


def test_a_body_in_chunks_of_one_byte_is_read(quick: Running) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY + b" " * 50_000)
    assert exchange(quick, post(CHUNKED, chunks + b"0\r\n\r\n"))[0] == 200


LENGTH = b"Content-Length: %d\r\n" % len(BODY)
INVALID = {
    "Content-Length twice": post(LENGTH * 2, BODY),
    "two lengths": post(LENGTH + b"Content-Length: 5\r\n", BODY),
    "a list of lengths": post(b"Content-Length: 37, 37\r\n", BODY),
    "a negative length": post(b"Content-Length: -5\r\n", BODY),
    "a length with a sign": post(b"Content-Length: +37\r\n", BODY),
    "a length in hexadecimal": post(b"Content-Length: 0x25\r\n", BODY),
    "a length of 23 digits": post(b"Content-Length: 99999999999999999999999\r\n", BODY),
    "a length and chunks": post(LENGTH + CHUNKED, b"0\r\n\r\n"),
    "chunks and a length": post(CHUNKED + LENGTH, b"0\r\n\r\n"),
    "chunks twice": post(CHUNKED * 2, b"0\r\n\r\n"),
    "gzip": post(b"Transfer-Encoding: gzip\r\n", BODY),
    "gzip in chunks": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "chunks in gzip": post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "chunks in HTTP/1.0": post(CHUNKED, b"0\r\n\r\n", b"HTTP/1.0"),
    "a chunk of 2^68 bytes": post(CHUNKED, b"FFFFFFFFFFFFFFFFF\r\nabc"),
    "a chunk of -1 bytes": post(CHUNKED, b"-1\r\nabc"),
    "a chunk without size": post(CHUNKED, b"zz\r\nabc"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/1.2": get(version=b"HTTP/1.2"),
    "HTTP/2": get(version=b"HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no Host": get(host=b""),
    "two Hosts": get(host=HOST * 2),
    "a target without a slash": get(target=b"healthz"),
    "CONNECT": b"CONNECT evil.example:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the target": get(target=b"/\xff\xfe"),
    "a NUL in a header": get(b"X: a\0b\r\n"),
    "a folded header": get(b"X: a\r\n b\r\n"),
    "a blank before the colon": get(b"X : a\r\n"),
    "lines without return": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "an unknown method": b"FETCH /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a body after Upgrade": post(LENGTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n", BODY),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500,
}


@pytest.mark.parametrize("sent", INVALID.values(), ids=INVALID)
def test_what_is_not_http_is_a_400_at_once(quick: Running, sent: bytes) -> None:
    status, document, seconds = exchange(quick, sent)
    assert (status, document.keys()) == (400, {"error", "hint"})
    assert seconds < 1.0


def test_a_body_shorter_than_its_chunk_says_is_a_408(quick: Running) -> None:
    status, _, seconds = exchange(quick, post(CHUNKED, b"7FFFFFFFFFFFFFFF\r\nabc"))
    assert status == 408
    assert seconds < READ_S + 1


@pytest.mark.parametrize("headers", [b"", b"Connection: keep-alive\r\n"])
@pytest.mark.parametrize("host", [HOST, b""])
def test_http_1_0_is_answered_and_the_connection_closed(quick: Running, headers: bytes, host: bytes) -> None:
    with quick.connect() as connection:
        connection.sendall(get(headers, version=b"HTTP/1.0", host=host))
        received = b""
        while more := connection.recv(65_536):
            received += more
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in received


def test_what_is_wrong_with_a_later_request_is_no_answer_to_an_earlier_one(quick: Running) -> None:
    with quick.connect() as connection:
        connection.sendall(post(LENGTH, BODY) + get(b"X : a\r\n"))
        received = b""
        try:
            while more := connection.recv(65_536):
                received += more
        except ConnectionResetError:
            pass
    assert b" 400 " not in received


def test_headers_that_drip_are_given_up(quick: Running) -> None:
    started = time.monotonic()
    with quick.connect() as connection, pytest.raises(OSError, match=r"reset|Broken"):  # noqa: PT012 - which send is open
        connection.sendall(get()[:-2] + b"X: ")
        while time.monotonic() - started < 10:
            connection.sendall(b"y")
            time.sleep(0.05)
    assert time.monotonic() - started < READ_S + 2
