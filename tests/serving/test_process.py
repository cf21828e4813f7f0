"""The command: what it prints, logs and keeps to itself; and how it ends."""

import contextlib
import hashlib
import json
import signal
import socket
import threading
from pathlib import Path

import pytest
from running_server import Answer, serving_process, wait_until
from samples import Cli

import matlake

GOOD = {"head": "gap", "formulas": ["TiO2", "secretium"]}
KEY = "key-in-an-environment"


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return found.hexdigest()


def test_each_request_is_a_line_of_json_that_gives_nothing_away(served_lake: matlake.Lake, tmp_path: Path) -> None:
    with serving_process(served_lake.path, tmp_path / "log", "gap", MATLAKE_API_KEY=KEY) as served:
        answer = served.running.post("/v1/predict", GOOD, X_API_Key=KEY)
        assert answer.status == 200
        assert served.running.post("/v1/predict", GOOD, X_API_Key=KEY + "x").status == 401
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        start, predicted, refused, stop = served.events()
    assert (start["event"], start["heads"], stop["event"]) == ("start", ["gap"], "stop")
    assert predicted | {"method": "POST", "path": "/v1/predict", "status": 200, "rows": 2, "failed": 1} == predicted
    assert predicted["request"] == answer.headers["x-request-id"]
    assert (refused["status"], refused["level"]) == (401, "info")
    log = (tmp_path / "log").read_text()
    for secret in (KEY, "TiO2", "secretium"):
        assert secret not in log


def test_told_to_stop_under_load_it_answers_what_it_took(served_lake: matlake.Lake, tmp_path: Path) -> None:
    """Each client gets an answer, or finds the connection refused or cut before its request was read."""
    with serving_process(served_lake.path, tmp_path / "log", "gap", "--log-level", "error") as served:
        answers: list[Answer] = []
        gone: list[OSError] = []
        stop = threading.Event()

        def client() -> None:
            while not stop.is_set():
                try:
                    answers.append(served.running.post("/v1/predict", GOOD))
                except OSError as error:
                    gone.append(error)
                    return

        clients = [threading.Thread(target=client) for _ in range(8)]
        for one in clients:
            one.start()
        wait_until(lambda: len(answers) > 50)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        stop.set()
        for one in clients:
            one.join(30)
    assert {answer.status for answer in answers} <= {200, 503}
    assert all(len(answer.document["predictions"]) == 1 for answer in answers if answer.status == 200)


def test_killed_it_harms_nothing(served_lake: matlake.Lake, tmp_path: Path) -> None:
    before = digest(served_lake.path)
    with serving_process(served_lake.path, tmp_path / "log", "gap", "--log-level", "error") as served:
        with served.running.connect() as waiting:
            waiting.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n"
            )
            assert served.running.post("/v1/predict", GOOD).status == 200
            served.process.kill()
            with contextlib.suppress(ConnectionResetError):
                assert waiting.recv(1) == b""
        with pytest.raises(OSError, match=r"refused|reset"):
            served.running.post("/v1/predict", GOOD)
    assert digest(served_lake.path) == before
    with serving_process(served_lake.path, tmp_path / "log", "gap") as again:
        assert again.running.post("/v1/predict", GOOD).status == 200


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nope",), "there is no head 'nope'"),
        (("gap", "--api-key-file", "short"), "is not 16 or more printable ASCII characters"),
        (("gap", "--api-key-file", "none"), "cannot read the API key"),
        (("gap", "--host", "203.0.113.77"), "cannot listen at 203.0.113.77"),
    ],
)
def test_what_cannot_be_served_is_one_clear_error(
    served_lake: matlake.Lake, tmp_path: Path, arguments: tuple[str, ...], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("abc\n")
    answer = Cli(served_lake.path).json("serve", *arguments, code=1)
    assert error in str(answer["error"])
    assert answer["hint"]


def test_a_port_that_is_taken_is_named(served_lake: matlake.Lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = Cli(served_lake.path).json("serve", "gap", "--port", str(port), code=1)
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use" in str(answer["error"])


def test_without_a_key_an_open_address_is_warned_of(served_lake: matlake.Lake, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    for arguments, warned in (((), True), (("--api-key-file", str(tmp_path / "key")), False)):
        log = tmp_path / "log"
        with serving_process(served_lake.path, log, "gap", "--host", "0.0.0.0", *arguments):  # noqa: S104 - what is tested
            assert ("everyone who reaches 0.0.0.0 can send requests" in log.read_text()) is warned
    assert json.dumps(KEY) not in log.read_text()
