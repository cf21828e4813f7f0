"""A website that lets its name point to this machine is not answered (DNS rebinding), and cannot send JSON."""

import json
import os
from pathlib import Path

import pytest
from running_server import Answer, Running, serving, serving_process

import matlake
from matlake.serving.errors import RequestError
from matlake.serving.hosts import AllowedHosts

GOOD = {"head": "gap", "formulas": ["TiO2"]}
OURS = [
    *("localhost", "localhost:8080", "LocalHost:1", "localhost.", "localhost.:8080", "localhost:", "127.0.0.1"),
    *("127.0.0.1:80", "127.9.8.7", "[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]"),
]
FOREIGN = [
    *("evil.example", "evil.example:8080", "EVIL.example.", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("localhosts", "0.0.0.1", "10.0.0.7", "[2001:db8::1]", "[::]", "128.0.0.1", "xn--e1afmkfd.example", "x"),
]
GARBAGE = [
    *("", " ", "a b", "localhost evil.example", "user@localhost", "localhost/", "http://localhost", "[::1", "::1"),
    *("localhost:http", "localhost:123456", "localhost,evil.example", "\u00e4.example", "a" * 300, ".", "%00"),
]
PATHS = ("/", "/page/page.js", "/docs", "/openapi.json", "/metrics", "/healthz", "/readyz", "/v1/heads")


def refusal(hosts: AllowedHosts, given: str) -> int:
    try:
        hosts.check(given.encode("latin-1"))
    except RequestError as error:
        return error.status
    return 200


@pytest.mark.parametrize("listening", ["127.0.0.1", "localhost", "::1"])
def test_on_loopback_only_names_of_loopback_are_answered(listening: str) -> None:
    hosts = AllowedHosts(listening, ())
    assert {given for given in OURS if refusal(hosts, given) != 200} == set()
    assert {given for given in FOREIGN if refusal(hosts, given) != 421} == set()
    assert {given for given in GARBAGE if refusal(hosts, given) != 400} == set()


@pytest.mark.parametrize("listening", ["0.0.0.0", "192.168.1.5", "::", "heads.example"])  # noqa: S104 - nothing listens
def test_at_another_address_any_host_is_answered_unless_some_are_named(listening: str) -> None:
    hosts = AllowedHosts(listening, ())
    assert {given for given in OURS + FOREIGN if refusal(hosts, given) != 200} == set()
    assert {given for given in GARBAGE if refusal(hosts, given) != 400} == set()
    named = AllowedHosts(listening, ("Heads.example.",))
    assert [refusal(named, given) for given in ("heads.example:443", "localhost", "evil.example")] == [200, 200, 421]


def test_a_host_that_is_named_is_answered_on_loopback() -> None:
    hosts = AllowedHosts("127.0.0.1", ("heads.example",))
    assert [refusal(hosts, given) for given in ("HEADS.example", "evil.example", "127.0.0.1")] == [200, 421, 200]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_refuses_a_foreign_host(server: Running, path: str) -> None:
    answer = server.get(path, Host="evil.example")
    assert_refused(answer, 421, "'evil.example' is not a host of this server")
    assert server.get(path, Host="localhost:1").status == 200


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/embed", "/v1/search", "/v1/crystal"])
def test_every_request_refuses_a_foreign_host(server: Running, path: str) -> None:
    assert_refused(server.post(path, GOOD, Host="evil.example"), 421, "not a host of this server")
    assert_refused(server.post(path, GOOD, Host="a b"), 400, "Host")


def test_a_foreign_host_is_refused_before_its_key_is_looked_at(served_lake: matlake.Lake) -> None:
    key = "a-key-of-more-than-16"
    with serving(served_lake, "gap", api_key=key) as (locked, _):
        for headers in ({}, {"X_API_Key": key}):
            assert_refused(locked.post("/v1/predict", GOOD, Host="evil.example", **headers), 421, "not a host")


def test_the_host_of_an_absolute_target_wins_over_the_header(server: Running) -> None:
    statuses = {}
    for target, host in (
        ("http://evil.example/healthz", "localhost"),
        ("http://localhost/healthz", "evil.example"),
        ("http://[::1]:80/healthz", "evil.example"),
        ("http://me@localhost/healthz", "localhost"),
        ("ftp://localhost/healthz", "localhost"),
    ):
        with server.connect() as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            statuses[target] = int(connection.recv(1000).split()[1])
    assert [*statuses.values()] == [421, 200, 200, 400, 400]


def test_no_other_website_can_make_a_browser_send_a_request(server: Running) -> None:
    """A page may send these three content types without asking the server first; for any other it has to ask."""
    body = json.dumps(GOOD).encode()
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = server.ask("POST", "/v1/predict", body, Content_Type=content_type, Origin="http://evil.example")
        assert answer.status == 415
    asked = server.ask(
        *("OPTIONS", "/v1/predict"),
        Origin="http://evil.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type",
    )
    assert asked.status == 405
    for answer in (asked, server.post("/v1/predict", GOOD, Origin="http://evil.example")):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_command_takes_names_of_hosts(served_lake: matlake.Lake, tmp_path: Path) -> None:
    options = ("gap", "--allowed-host", "heads.example", "--allowed-host", "other.example")
    with serving_process(
        served_lake.path, tmp_path / "log", *options, PYTHONPATH=os.environ.get("PYTHONPATH", "")
    ) as p:
        hosts = ("heads.example", "other.example:80", "localhost", "evil.example")
        assert [p.running.get("/healthz", Host=host).status for host in hosts] == [200, 200, 200, 421]


def assert_refused(answer: Answer, status: int, reason: str) -> None:
    assert answer.status == status
    assert answer.document.keys() == {"error", "hint"}
    assert reason in answer.document["error"]
    assert b"\n" not in answer.body
