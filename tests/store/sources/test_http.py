"""Tests of the client of web interfaces against a server that misbehaves."""

import json
import socket
import threading
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from web_server import Asked, Reply, Waits, WebServer, in_turn, web_server

from matlake.errors import SourceError
from matlake.store.sources import http
from matlake.store.sources.http import AnswerError, Credential, shown, with_query

GOOD = Reply({"data": [1, 2]})


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server(lambda _: GOOD) as running:
        yield running


@pytest.fixture
def waits() -> Waits:
    return Waits()


def test_it_says_who_asks_and_encodes_the_query(server: WebServer, waits: Waits) -> None:
    server.answers = lambda _: GOOD
    found = waits.client().json(f"{server.url}/structures", {"filter": 'elements HAS "O" AND nsites<5', "a": "1+1&2"})
    assert found == GOOD.body
    asked = server.asked[-1]
    assert asked.headers["user-agent"] == f"matlake/{version('matlake')}"
    assert asked.query == {"filter": 'elements HAS "O" AND nsites<5', "a": "1+1&2"}


def test_it_keeps_its_distance_between_requests(server: WebServer) -> None:
    server.answers = lambda _: GOOD
    waits = Waits()
    client = waits.client(interval_s=2.0, clock=lambda: 10.0)
    client.json(server.url)
    client.json(server.url)
    assert waits.seconds == [2.0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(server: WebServer, waits: Waits, status: int) -> None:
    server.answers = in_turn(Reply(b"busy", status), Reply(b"busy", status), GOOD)
    assert waits.client(interval_s=0).json(server.url) == GOOD.body
    assert len(waits.seconds) == 2
    assert waits.seconds[0] <= waits.seconds[1]


def test_the_pause_that_a_server_asks_for_is_kept(server: WebServer, waits: Waits) -> None:
    server.answers = in_turn(Reply(b"", 429, {"Retry-After": "17"}), Reply(b"", 503, {"Retry-After": "soon"}), GOOD)
    assert waits.client(interval_s=0).json(server.url) == GOOD.body
    assert waits.seconds[0] == 17
    assert waits.notes == ["127.0.0.1 is asked again in 17 s"]


def test_a_pause_of_an_hour_is_for_another_time(server: WebServer, waits: Waits) -> None:
    server.answers = in_turn(Reply(b"", 429, {"Retry-After": "3600"}), GOOD)
    with pytest.raises(SourceError, match="asks to come back in 3,600 s") as caught:
        waits.client().json(server.url)
    assert "goes on after what was received" in caught.value.hint
    assert not waits.seconds


@pytest.mark.parametrize(
    ("status", "said", "remedy"),
    [
        (400, "Bad Request", ""),
        (401, "Unauthorized", "give the key"),
        (403, "Forbidden", "check the key"),
        (404, "Not Found", "check the address"),
        (429, "Too Many Requests", "limits the number"),
        (500, "Internal Server Error", "the server's"),
        (999, "unknown status", "the server's"),
    ],
)
def test_a_refusal_is_one_line_with_the_servers_own_words(
    server: WebServer, waits: Waits, status: int, said: str, remedy: str
) -> None:
    errors = {"errors": [{"status": str(status), "title": "Sorry", "detail": "not today,\n sir"}]}
    server.answers = lambda _: Reply(errors, status)
    with pytest.raises(AnswerError) as caught:
        waits.client().json(f"{server.url}/v1/structures", {"secret": "x"})
    assert str(caught.value) == f"{server.url}/v1/structures answers {status} ({said}): Sorry: not today, sir"
    assert remedy in caught.value.hint
    assert caught.value.status == status


def test_a_body_that_was_cut_off_is_asked_for_again(server: WebServer, waits: Waits) -> None:
    server.answers = in_turn(Reply({"data": "x" * 100}, cut=20), Reply({"data": "x" * 100}, cut=0), GOOD)
    assert waits.client().json(server.url) == GOOD.body


def test_a_server_that_always_cuts_off_is_given_up(server: WebServer, waits: Waits) -> None:
    server.answers = lambda _: Reply({"data": "x" * 100}, cut=20)
    before = len(server.asked)
    with pytest.raises(SourceError, match="cuts its answers off, 6 times in a row"):
        waits.client().json(server.url)
    assert len(server.asked) - before == 6


def test_a_damaged_gzip_is_asked_for_again(server: WebServer, waits: Waits) -> None:
    damaged = Reply(b"no gzip at all", headers={"Content-Encoding": "gzip"})
    server.answers = in_turn(damaged, Reply(GOOD.body, zipped=True))
    assert waits.client().json(server.url) == GOOD.body


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"<!doctype html><title>Welcome</title>", headers={"Content-Type": "text/html"}), "a web page"),
        (Reply(b"  <html>"), "a web page"),
        (Reply(b'{"data": ['), "something that is not JSON"),
        (Reply(b"[" * 100_000), "something that is not JSON"),
        (Reply(b""), "nothing"),
        (Reply(b"\xff\xfe\x00", headers={"Content-Type": "text/plain"}), "something that is not JSON"),
    ],
)
def test_what_is_not_json_is_named(server: WebServer, waits: Waits, reply: Reply, said: str) -> None:
    server.answers = lambda _: reply
    with pytest.raises(SourceError, match=f"answers with {said}"):
        waits.client().json(server.url)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_huge_answer_is_not_kept(
    server: WebServer, waits: Waits, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1 << 20)
    server.answers = lambda _: Reply(b" " * (8 << 20), zipped=zipped)
    with pytest.raises(SourceError, match="answers with more than 1 MB"):
        waits.client().json(server.url)


def test_an_answer_that_trickles_is_given_up(server: WebServer, waits: Waits) -> None:
    server.answers = lambda _: GOOD
    times = iter(range(0, 100_000, 1000))
    with pytest.raises(SourceError, match="sends too slowly"):
        waits.client(clock=lambda: float(next(times))).json(server.url)


def test_a_server_that_does_not_answer_is_given_up(
    server: WebServer, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_READ_S", 0.02)
    answered = threading.Event()

    def late(_: Asked) -> Reply:
        answered.wait(30)
        return GOOD

    server.answers = late
    try:
        with pytest.raises(SourceError, match="does not answer in time"):
            waits.client().json(server.url)
    finally:
        answered.set()


def test_redirects_are_followed_a_few_times(server: WebServer, waits: Waits) -> None:
    server.answers = in_turn(Reply(b"", 301, {"Location": "/v1"}), Reply(b"", 308, {"Location": "/v1/"}), GOOD)
    assert waits.client().json(server.url) == GOOD.body
    server.answers = lambda _: Reply(b"", 302, {"Location": "/again"})
    with pytest.raises(SourceError, match="redirects more than 5 times"):
        waits.client().json(server.url)


def test_a_redirect_leads_to_the_web_only(server: WebServer, waits: Waits) -> None:
    server.answers = lambda _: Reply(b"", 302, {"Location": "file:///etc/passwd"})
    with pytest.raises(SourceError, match="is not a web address"):
        waits.client().json(server.url)


def test_a_key_goes_to_its_host_alone(server: WebServer, waits: Waits) -> None:
    secret = Credential("127.0.0.1", "X-API-KEY", "hush")
    client = waits.client(secret)
    server.answers = lambda _: GOOD
    client.json(server.url)
    assert server.asked[-1].headers["x-api-key"] == "hush"
    with web_server(lambda _: GOOD) as other:
        server.answers = lambda _: Reply(b"", 302, {"Location": f"http://localhost:{other.port}/"})
        assert client.json(server.url) == GOOD.body
        assert "x-api-key" not in other.asked[0].headers
        client.json(f"http://localhost:{other.port}/")
        assert "x-api-key" not in other.asked[1].headers
    assert "hush" not in repr(secret)


def test_a_key_goes_over_https_alone(waits: Waits) -> None:
    client = waits.client(Credential("api.example.org", "X-API-KEY", "hush"))
    assert client._secret("http://api.example.org/x") == {}
    assert client._secret("https://api.example.org/x") == {"X-API-KEY": "hush"}


def test_a_server_that_is_not_there_is_named(waits: Waits) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match=r"127\.0\.0\.1 cannot be reached"):
        waits.client(interval_s=0).json(f"http://127.0.0.1:{port}/")
    assert waits.seconds == [0, 2, 4]


def test_a_server_without_a_valid_certificate_is_refused(server: WebServer, waits: Waits) -> None:
    with pytest.raises(SourceError, match=r"no secure connection to 127\.0\.0\.1"):
        waits.client(interval_s=0).json(server.url.replace("http:", "https:"))
    assert len(waits.seconds) == 1


def test_a_host_that_does_not_exist_is_named(waits: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError, match=r"there is no host nobody\.invalid, or no network"):
        waits.client().json("http://nobody.invalid/")


@pytest.mark.parametrize("url", ["", "host/optimade", "ftp://host/", "http://", "http://[::1", "http://host:99999/"])
def test_what_is_no_address_is_refused(waits: Waits, url: str) -> None:
    with pytest.raises(SourceError, match="is not a valid address"):
        waits.client().json(url)


def test_an_address_with_a_password_is_refused_and_not_repeated(waits: Waits) -> None:
    with pytest.raises(SourceError) as caught:
        waits.client().json("https://me:hush@host/optimade")
    assert "hush" not in str(caught.value)


def test_a_status_is_handed_on_to_who_reads_the_answer(server: WebServer, waits: Waits) -> None:
    def answers(asked: Asked) -> Reply:
        return (
            Reply(b"", 304) if asked.headers.get("if-none-match") == '"a"' else Reply(b"abc", headers={"ETag": '"a"'})
        )

    server.answers = answers
    with waits.client().opened(server.url) as answer:
        assert answer.read() == b"abc"
    with waits.client().opened(server.url, {"If-None-Match": '"a"'}) as answer:
        assert answer.status == 304


def test_addresses_in_messages_have_neither_query_nor_password() -> None:
    assert shown("https://me:hush@host:8000/v1?key=hush#x") == "https://host:8000/v1"
    assert with_query("https://host/v1?a=1", {"b": "x y"}) == "https://host/v1?a=1&b=x%20y"
    assert with_query("https://host/v1", {}) == "https://host/v1"
    assert http.explanation(json.dumps({"detail": "no such thing"}).encode()) == "no such thing"
    assert http.explanation(json.dumps({"errors": ["a", {"title": "b"}, {"detail": "c"}]}).encode()) == "a; b; c"
